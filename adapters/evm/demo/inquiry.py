"""The auditor's own commands, in processes of their own: copies of all logs, and the story that they tell.

What is run here is what the demonstration shows for a stranger to type: nothing of the relays is asked for it
but their logs over HTTP, and afterwards only the folder that stays.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo.network import Member, Network
from proofs.hashes import sha256
from relay.core.errors import ConfigError

__all__ = ["LOGS", "Inquiry", "Telling"]

LOGS: Final = "logs"
"""A folder for each member's log, in the folder that stays."""
STORY_S: Final = 90.0
"""For every log to hold what the others hold: a member that was away takes it up when it is back."""
ID_DIGITS: Final = 16
YES: Final = 0
UNKNOWN: Final = 3
"""Exit codes of the auditor's commands (audit SPEC 1)."""
OMISSIONS: Final = frozenset({"omitted", "omitted-own", "missing"})


@dataclass(frozen=True, slots=True)
class Telling:
    """What came of it: the pages, how many logs were compared, what they leave out, and the commands.

    `problem` is empty where all commands answered that everything holds; `is_final` is not so while a log
    may yet publish what it lacks.
    """

    stories: tuple[Path, ...]
    logs_compared: int
    omissions: int
    commands: tuple[str, ...]
    problem: str
    is_final: bool = True

    @classmethod
    def none(cls, problem: str) -> Telling:
        """Give what came of nothing, and why."""
        return cls((), 0, 0, (), problem)


@dataclass(frozen=True, slots=True)
class _Answered:
    code: int
    document: Mapping[str, object]

    @property
    def problem(self) -> str:
        """What does not hold, or could not be told, in the command's own words."""
        findings = [
            f"{shapes.mapping(each)['name']}: {shapes.mapping(each)['words']}"
            for each in shapes.sequence(self.document.get("findings", []))
        ]
        return "; ".join(
            [*findings[:1], *(str(self.document[key]) for key in _WORDS if key in self.document)]
        )


_WORDS: Final = ("check", "problem")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Works in `home`, where the bundles and `policy.txt` lie; policy and network are pinned by hash.

    `even_out` lets the logs publish what they took; it is waited for before each round.
    """

    home: Path
    network: Network
    even_out: Callable[[], Awaitable[None]]

    async def tell(self, incidents: Mapping[Path, str]) -> Telling:
        """Verify each bundle, copy every member's log, and tell each incident from all of that.

        `incidents` has for each bundle a decision of its incident. Logs may lack for a while what others
        have published: they are copied again, until the deadline.
        """
        for bundle in incidents:
            verified = await self._run(self._verify(bundle))
            if verified.code != YES:
                return Telling.none(f"{bundle.name}: {verified.problem}")
        told = replace(Telling.none("no log was copied"), is_final=False)
        try:
            async with asyncio.timeout(STORY_S):
                while not told.is_final:
                    await self.even_out()
                    told = await self._tell(incidents)
        except TimeoutError:
            pass
        return told

    async def _tell(self, incidents: Mapping[Path, str]) -> Telling:
        async with asyncio.TaskGroup() as group:
            copies = [
                group.create_task(self._run(self._mirror(member)), name=f"mirror {member.name}")
                for member in self.network.members
            ]
        for copy in copies:
            if copy.result().code != YES:
                none = Telling.none(f"audit mirror: {copy.result().problem}")
                return replace(none, is_final=copy.result().code != UNKNOWN)
        stories: list[Path] = []
        answers: list[_Answered] = []
        for bundle, decision in incidents.items():
            stories.append(_page(bundle))
            answers.append(await self._run(self._story(decision, stories[-1])))
        failed = next((each for each in answers if each.code != YES), None)
        return Telling(
            stories=tuple(stories),
            logs_compared=min(_logs_of(each) for each in answers),
            omissions=sum(_omissions_of(each) for each in answers),
            commands=self.commands(incidents),
            problem="" if failed is None else f"audit incident: {failed.problem}",
            is_final=failed is None or failed.code != UNKNOWN,
        )

    def commands(self, incidents: Mapping[Path, str]) -> tuple[str, ...]:
        """Give what a person types to check all of it again, from the folder that stays."""
        lines = [f"cd {shlex.quote(str(self.home))}"]
        for bundle in incidents:
            lines.append(shlex.join(["tocsin", *self._verify(bundle)]))
        for bundle, decision in incidents.items():
            lines.append(shlex.join(["tocsin", *self._story(decision, _page(bundle))]))
        return tuple(lines)

    # --- the commands, as they are typed in `home`

    def _verify(self, bundle: Path) -> list[str]:
        return ["audit", "verify", bundle.name, *self._pins()]

    def _mirror(self, member: Member) -> list[str]:
        return ["audit", "mirror", member.url, f"{LOGS}/{member.name}", *self._pins()[:4], "--only-new"]

    def _story(self, decision: str, file: Path) -> list[str]:
        sources = [".", *(f"{LOGS}/{member.name}" for member in self.network.members)]
        return ["audit", "incident", decision[:ID_DIGITS], *sources, *self._pins(), "--html", file.name]

    def _pins(self) -> list[str]:
        policy = sha256((self.home / "policy.txt").read_bytes()).hex()
        network = self.network.committee.network.hex()
        return ["--policy", "policy.txt", "--policy-hash", policy, "--network", network]

    async def _run(self, words: Sequence[str]) -> _Answered:
        """Run a command in `home`.

        Raises:
            ConfigError: it gave no answer.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "relay.cli",
            *words,
            "--json",
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        try:
            out, err = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        try:
            answer = json.loads(out)
        except ValueError:
            told = err.decode(errors="replace")[-500:]
            raise ConfigError(f"tocsin {' '.join(words[:2])}", f"expected an answer, got: {told}") from None
        assert process.returncode is not None
        return _Answered(process.returncode, shapes.mapping(answer))


def _page(bundle: Path) -> Path:
    return bundle.with_name(bundle.name.replace("bundle", "story")).with_suffix(".html")


def _logs_of(answer: _Answered) -> int:
    """Count the logs that were compared, each once."""
    story = shapes.mapping(answer.document.get("story") or {})
    return len({str(shapes.mapping(log)["origin"]) for log in shapes.sequence(story.get("logs", []))})


def _omissions_of(answer: _Answered) -> int:
    findings = shapes.sequence(answer.document.get("findings", []))
    return sum(shapes.mapping(each)["name"] in OMISSIONS for each in findings)
