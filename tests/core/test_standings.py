"""A node's own word on its readiness: what changes is said, and what flaps fills no log (SPEC 3, 6.5)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.remarks import STANDINGS
from relay.core.effects import Notice, SignStatement
from relay.core.events import Event, ReadinessChanged, Ticked
from relay.core.history import event_from_bytes, event_to_bytes
from relay.core.messages import ReadinessChange
from relay.core.readiness import Standing
from relay.core.standings import FACT_REST_MS, HELD, MAX_OWN_CHANGES, SPAN_MS, Standings
from relay.core.types import Millis
from tests.core.stage import BEGIN_S, Stage

BEGIN_MS = BEGIN_S * 1_000


def changed(fact: str, standing: str, *, after_ms: int = 0) -> ReadinessChanged:
    at_ms = Millis(BEGIN_MS + after_ms)
    return ReadinessChanged(fact, standing, "a reason", "a remedy", b"s" * 32, at_ms)


def words(effects: list[object]) -> list[tuple[str, str]]:
    statements = (effect.message for effect in effects if isinstance(effect, SignStatement))
    return [(each.fact, each.standing) for each in statements if isinstance(each, ReadinessChange)]


def tell(standings: Standings, fact: str, standing: str, *, after_ms: int = 0) -> list[tuple[str, str]]:
    return words([*standings.changed(changed(fact, standing, after_ms=after_ms))])


def due(standings: Standings, *, after_ms: int) -> list[tuple[str, str]]:
    return words([*standings.due(Millis(BEGIN_MS + after_ms))])


def test_the_words_for_standings_are_those_of_the_log() -> None:
    assert [standing.value for standing in Standing] == list(STANDINGS)
    assert Standing.HELD.value == HELD


def test_what_is_held_at_first_is_not_said_and_what_is_not_is() -> None:
    standings = Standings()

    assert tell(standings, "funds", "held") == []
    assert tell(standings, "nonce", "failed") == [("nonce", "failed")]
    assert tell(standings, "nonce", "failed", after_ms=1) == []


def test_a_fact_that_comes_back_is_said_when_its_rest_is_over_and_not_before() -> None:
    standings = Standings()
    tell(standings, "funds", "failed")

    assert tell(standings, "funds", "held", after_ms=1_000) == []
    assert due(standings, after_ms=FACT_REST_MS - 1) == []
    assert due(standings, after_ms=FACT_REST_MS) == [("funds", "held")]
    assert due(standings, after_ms=2 * FACT_REST_MS) == []


def test_what_flaps_back_to_what_was_said_is_not_said_again() -> None:
    standings = Standings()
    tell(standings, "funds", "failed")
    tell(standings, "funds", "held", after_ms=1)
    tell(standings, "funds", "failed", after_ms=2)

    assert standings.newest("funds") == "failed"
    assert due(standings, after_ms=FACT_REST_MS) == []


@settings(max_examples=40)
@given(
    flaps=st.lists(
        st.tuples(st.integers(0, 70), st.sampled_from(STANDINGS), st.integers(0, 20_000)),
        max_size=150,
    )
)
def test_however_facts_flap_an_hour_has_so_many_words_and_the_last_of_each_is_how_it_stands(
    flaps: list[tuple[int, str, int]],
) -> None:
    standings, now_ms = Standings(), 0
    told: list[tuple[int, str, str]] = []
    newest: dict[str, str] = {}
    for fact, standing, wait_ms in flaps:
        now_ms += wait_ms
        newest[f"fact {fact}"] = standing
        told += [(now_ms, *word) for word in tell(standings, f"fact {fact}", standing, after_ms=now_ms)]
        assert standings.newest(f"fact {fact}") == standing
    for _ in range(20):
        now_ms += FACT_REST_MS
        told += [(now_ms, *word) for word in due(standings, after_ms=now_ms)]

    times = [at_ms for at_ms, _, _ in told]
    assert all(later - first >= SPAN_MS for first, later in zip(times, times[MAX_OWN_CHANGES:], strict=False))
    last = {fact: standing for _, fact, standing in told}
    assert {fact: last.get(fact, HELD) for fact in newest} == newest


def test_when_everything_falls_at_once_an_hour_has_so_many_words_and_the_rest_come_later() -> None:
    standings = Standings()
    names = [f"fact {number}" for number in range(MAX_OWN_CHANGES + 9)]

    at_once = [word for name in names for word in tell(standings, name, "failed")]
    early = due(standings, after_ms=SPAN_MS - 1)
    late = due(standings, after_ms=SPAN_MS)

    assert [fact for fact, _ in at_once] == names[:MAX_OWN_CHANGES]
    assert early == []
    assert [fact for fact, _ in late] == names[MAX_OWN_CHANGES:]


def test_a_name_that_no_log_takes_is_not_said() -> None:
    for name in ("", "x" * 257, "two\nlines"):
        (notice,) = Standings().changed(changed(name, "failed"))
        assert isinstance(notice, Notice)


def test_the_node_says_it_when_the_rest_is_over_though_nothing_happens() -> None:
    stage = Stage()
    stage.release()
    for effect in stage.run(changed("funds", "failed")):
        assert isinstance(effect, SignStatement)
        stage.run(stage.says(effect.message))
    assert words([*stage.run(changed("funds", "held", after_ms=5))]) == []

    said = stage.run(Ticked(Millis(BEGIN_MS + FACT_REST_MS + 5)))

    assert words([*said]) == [("funds", "held")]


def test_after_a_restart_what_was_said_is_known_also_where_time_alone_made_us_say_it() -> None:
    stage, again = Stage(), Stage()
    stage.release()
    journal = [changed("funds", "failed"), changed("funds", "held", after_ms=5)]
    signed = []
    events: list[Event] = [*journal, Ticked(Millis(BEGIN_MS + FACT_REST_MS + 5))]
    for event in events:
        for effect in stage.run(event):
            if isinstance(effect, SignStatement) and isinstance(effect.message, ReadinessChange):
                signed.append(stage.says(effect.message))
                stage.run(signed[-1])
    first, last = signed

    again.run(*(event_from_bytes(event_to_bytes(event)) for event in (journal[0], first, journal[1], last)))

    assert again.node.hearing.standings.newest("funds") == "held"
    assert not words([*again.run(again.started(boot=2))])
    assert words([*again.run(changed("funds", "held", after_ms=2 * FACT_REST_MS))]) == []


def test_what_a_crash_kept_from_being_said_is_said_after_the_start() -> None:
    stage = Stage()
    stage.release()
    stage.run(changed("funds", "failed"))

    assert words([*stage.run(stage.started(boot=2))]) == [("funds", "failed")]
