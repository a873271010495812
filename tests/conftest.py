"""What all tests share: seeded chance, and property tests that do not depend on the speed of the machine."""

import os
import random
import signal

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

settings.register_profile(
    "tocsin", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tocsin")

SEED_VARIABLE = "TOCSIN_TEST_SEED"


def pytest_configure() -> None:
    """Let the processes that tests start hear Ctrl-C: in a shell's background all are born deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def seed() -> int:
    """A fresh seed, or the one in TOCSIN_TEST_SEED; a failing test shows it with its captured output."""
    value = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().getrandbits(64))
    print(f"{SEED_VARIABLE}={value}")
    return value


@pytest.fixture
def chance(seed: int) -> random.Random:
    """Chance that can be repeated: everything that a test draws comes from here."""
    return random.Random(seed)


_OWN_NETWORK = ("test_fault_table.py", "test_ceremony.py", "test_succession.py", "test_liars.py")
"""Tests that start a network of their own."""


class ByNetwork(LoadScopeScheduling):
    """Tests on one running network stay on one worker: it is started once, and the machine carries no second.

    By name, because `--dist loadgroup` renames items, and pytest 9 no longer lets it.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if not file.startswith("tests/e2e/"):
            return nodeid
        return file if file.endswith(_OWN_NETWORK) else "tests/e2e"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByNetwork:
    """Say which worker gets which test, with -n."""
    return ByNetwork(config, log)
