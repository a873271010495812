"""The members' first ceremony: group keys before there is a gateway that could take them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.network import Member, Network
from adapters.evm.demo.report import CeremonyReport
from adapters.evm.demo.show import Show
from relay.config import KeptKeys, load_keys
from relay.core.errors import ConfigError
from relay.core.rotations import GroupKey, GroupKeys

__all__ = ["hold_ceremony"]

DEADLINE_S: Final = 60
POLL_S: Final = 0.05
FAST, FULL = "fast", "full"
OPEN: Final = frozenset({"waiting", "proposed", "joined", "dealt", "signed"})
DONE: Final = "done"
STEPS: Final = {
    "join": "join",
    "deal": "deal to each other",
    "sign": "check, and sign the keys",
}


async def hold_ceremony(network: Network, show: Show) -> tuple[GroupKeys, CeremonyReport]:
    """Let the running members make their group keys, and show that these can sign.

    Each operator is asked, as in earnest, and all of it goes through the members' own interfaces.

    Raises:
        ConfigError: a member refuses, the ceremony ends without keys, or it takes too long; says why.
    """
    story = _Story(show, asyncio.get_running_loop().time)
    try:
        async with asyncio.timeout(DEADLINE_S):
            for member in network.members:
                await network.wait_together(member)
            kept = await _make_keys(network, story)
    except TimeoutError:
        raise ConfigError("ceremony", f"expected keys within {DEADLINE_S} s, got none") from None
    document = kept.document
    thresholds = {group.name: group.threshold for group in document.groups}
    report = CeremonyReport(
        ceremony=document.ceremony.hex(),
        document=document.digest.hex(),
        generation=document.generation,
        holders=len(document.holders),
        fast_threshold=thresholds[FAST],
        full_threshold=thresholds[FULL],
        ms=round(story.done_ms, 1),
    )
    return GroupKeys(_group(kept, FAST), _group(kept, FULL)), report


async def _make_keys(network: Network, story: _Story) -> KeptKeys:
    first = network.members[0]
    story.begin("the members make their group keys: no place ever holds one")
    wish = {"kind": "dkg", "deadline_s": DEADLINE_S}
    name = str((await network.post(first, "/v1/ceremonies", wish))["id"])
    async with asyncio.TaskGroup() as group:
        for member in network.members:
            group.create_task(_join(network, member, name), name=f"join {member.name}")
    files = [await _end(network, member, name, story.tell) for member in network.members]
    story.done()
    while True:
        kept = await asyncio.to_thread(load_keys, files[0])
        if kept.possession.keys() >= {FAST, FULL}:
            story.say("and can sign: no gateway takes one without that proof", "green")
            return kept
        await asyncio.sleep(POLL_S)


async def _join(network: Network, member: Member, name: str) -> None:
    """Join as soon as this member has heard of the ceremony."""
    while await network.ask(member, f"/v1/ceremonies/{name}") is None:  # noqa: ASYNC110 - another process
        await asyncio.sleep(POLL_S)
    await network.post(member, f"/v1/ceremonies/{name}/join", {})


async def _end(
    network: Network, member: Member, name: str, tell: Callable[[Mapping[str, object]], None]
) -> Path:
    """Wait until a member has the keys in force; gives the file that it keeps them in."""
    while True:
        answer = shapes.mapping(await network.ask(member, f"/v1/ceremonies/{name}"))
        ceremony = shapes.mapping(answer["ceremony"])
        tell(ceremony)
        if ceremony["state"] == DONE:
            return Path(str(ceremony["file"]))
        if ceremony["state"] not in OPEN:
            raise ConfigError("ceremony", f"expected keys, got {ceremony['state']}: {ceremony['reason']}")
        await asyncio.sleep(POLL_S)


def _group(kept: KeptKeys, name: str) -> GroupKey:
    group = kept.document.group(name)
    assert group is not None, "a ceremony makes keys of both tiers"
    return GroupKey(group.key, kept.possession[name])


class _Story:
    """Tells each step once, when all who were asked have done it, with the time since the proposal."""

    def __init__(self, show: Show, clock_s: Callable[[], float]) -> None:
        self._show = show
        self._clock_s = clock_s
        self._began_s = 0.0
        self._told: set[str] = set()
        self.done_ms = 0.0

    def begin(self, text: str) -> None:
        """Start the clock."""
        self._began_s = self._clock_s()
        self._show.say(text, "bold")

    def tell(self, ceremony: Mapping[str, object]) -> None:
        """Tell what is new in a member's view."""
        asked = ", ".join(str(name) for name in shapes.sequence(ceremony["dealers"]))
        for step in map(shapes.mapping, shapes.sequence(ceremony["steps"])):
            name = str(step["name"])
            if step["done"] == step["of"] and name not in self._told:
                self._told.add(name)
                self.say(f"{asked} {STEPS[name]}")

    def say(self, text: str, style: str = "") -> None:
        """One line, with its time."""
        self._show.say(f"  ○ {self._ms():>5,.0f} ms  {text}", style)

    def done(self) -> None:
        """Stop the clock: the keys are in force on every member."""
        self.done_ms = self._ms()
        self.say("the keys are in force on every member", "bold green")

    def _ms(self) -> float:
        return 1_000 * (self._clock_s() - self._began_s)
