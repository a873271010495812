"""Work without the collector of cycles leaves it as it was."""

from __future__ import annotations

import gc

import pytest

from relay.plans.collector import no_cycles


def test_the_collector_rests_within_and_is_on_again_after_a_failure() -> None:
    seen: list[bool] = []

    def fail() -> None:
        with no_cycles():
            seen.append(gc.isenabled())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert (seen, gc.isenabled()) == ([False], True)


def test_who_had_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with no_cycles():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
