"""A fresh chain with a verifier, a gateway and a replica for each test."""

import itertools
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.adapters.evm.office.bench import Bench, open_bench

CHAIN_IDS = itertools.count(940_910)


@pytest_asyncio.fixture
async def office_bench() -> AsyncIterator[Bench]:
    async with open_bench(next(CHAIN_IDS)) as bench:
        yield bench
