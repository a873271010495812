"""What all tests share: seeded chance, and property tests that do not depend on the speed of the machine."""

import os
import random

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "tocsin", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tocsin")

SEED_VARIABLE = "TOCSIN_TEST_SEED"


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
