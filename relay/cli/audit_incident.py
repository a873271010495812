"""`tocsin audit incident`: what happened, out of several nodes' bundles and logs; on the base install."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TypedDict, Unpack

import click
from rich.console import Console

from proofs.disclosure import MAX_DISCLOSURE_BYTES
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.policy import MAX_POLICY_BYTES, PolicyError, parse_policy
from relay.audit.anchors import anchors_of
from relay.audit.gather import MAX_SOURCES, Ambiguous, Place, places_of
from relay.audit.incident import Investigation, NoBundle, investigate
from relay.audit.layout import layout
from relay.audit.opening import Trust
from relay.audit.remarks import Opened, open_disclosure
from relay.audit.stamps import Given
from relay.audit.story import Answer as StoryAnswer
from relay.audit.story import Finding, Story
from relay.audit.story_html import story_html
from relay.audit.story_json import finding_value, story_value
from relay.audit.story_markdown import story_markdown
from relay.audit.story_text import show_story
from relay.audit.tell import Told, answer_of, tell
from relay.audit.texts import clean
from relay.cli.commands import Command
from relay.cli.hashes import hashes, one_hash, pinned_network
from relay.cli.rpc_text import named_url
from relay.cli.settings import Answer, Settings
from relay.config import read_private_line
from relay.core.errors import ConfigError
from relay.disk import replace_file

__all__ = ["incident"]

_EPILOG = """\b
Examples:
  tocsin audit incident 3f2a91 http://127.0.0.1:9330 http://127.0.0.1:9331 --policy policy.txt
  tocsin audit incident 3f2a91 evidence/ https://node.example --policy policy.txt --html story.html

ID is the beginning of the id of any decision of the incident; tocsin incident list tells it. A SOURCE is a
node's address, a folder with bundles and perhaps a log, or a bundle's file. Everything is verified here, the
newer end of each log is read, and what one log leaves out that another has is named.

Exit code 0 when everything that was asked for was checked and holds, 1 when something does not and is named,
2 usage or a malformed policy, 3 when something could not be told: a source was silent, or fewer logs than
one honest one takes. The story is told all the same.
"""
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_OUT = click.Path(dir_okay=False, writable=True, path_type=Path)
_ID = re.compile(r"(?:0x)?([0-9a-fA-F]{4,64})")
_EXITS = {StoryAnswer.YES: Answer.YES, StoryAnswer.NO: Answer.NO, StoryAnswer.UNKNOWN: Answer.UNKNOWN}
_MAX_WAIT_S = 600


def _prefix(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    found = _ID.fullmatch(value)
    if found is None:
        raise click.BadParameter(
            f"expected 4 to 64 hexadecimal digits of a decision's id, got {value[:80]!r}"
        )
    return found[1].lower()


def _time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"expected a time as 2023-11-14T20:13:36Z, got {value[:80]!r}") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


class _Options(TypedDict):
    """The options, as click gives them."""

    policy_file: Path
    policy_hash: bytes | None
    network: bytes | None
    plan_hashes: tuple[bytes, ...]
    token_file: Path | None
    endpoints: tuple[str, ...]
    disclosures: tuple[Path, ...]
    began: int | None
    compromise: int | None
    wait: bool
    html_file: Path | None
    markdown_file: Path | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """The command line, read."""

    prefix: str
    places: tuple[Place, ...]
    trust: Trust
    opened: tuple[Opened, ...]
    endpoints: Mapping[str, str]
    given: Given
    is_patient: bool


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("prefix", metavar="ID", callback=_prefix)
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@click.option(
    "--policy", "policy_file", type=_FILE, required=True, help="Whose logs to trust: a C2SP policy."
)
@click.option("--policy-hash", callback=one_hash, help="SHA-256 that the policy file must have.")
@click.option("--network", callback=pinned_network, help="Network id that the genesis committee must give.")
@click.option("--plan-hash", "plan_hashes", multiple=True, callback=hashes, help="As of audit verify.")
@click.option("--token-file", type=_FILE, help="File with the token of nodes that ask for one.")
@click.option("--rpc", "endpoints", multiple=True, metavar="CHAIN=URL", help="Read anchors; @FILE for URL.")
@click.option("--disclosure", "disclosures", multiple=True, type=_FILE, help="Opened fields. Repeatable.")
@click.option("--began", callback=_time, help="When the first hostile act was, if you know it.")
@click.option("--compromise", callback=_time, help="When the first compromise was, if you know it.")
@click.option("--wait", is_flag=True, help="Ask again where a log may yet publish what it lacks.")
@click.option("--html", "html_file", type=_OUT, help="Write the story as one HTML page.")
@click.option("--md", "markdown_file", type=_OUT, help="Write the story as Markdown.")
@click.pass_obj
def incident(
    settings: Settings, prefix: str, sources: tuple[str, ...], **options: Unpack[_Options]
) -> Answer:
    """Tell an incident from the bundles and logs of several nodes, and what they leave out."""
    try:
        asked = _read(prefix, sources, options)
    except OSError as error:
        return settings.fail(f"{error.filename}: {error.strerror}", "", Answer.UNKNOWN)
    except PolicyError as error:
        return settings.fail(f"--policy: {error.message}", "", Answer.USAGE)
    except ProofError as error:
        return settings.fail(f"--disclosure: {error.check}: {error.message}", "", Answer.NO)
    if asked is None:
        return settings.fail("--policy: its hash is not that of --policy-hash", "", Answer.NO)
    try:
        return _give(settings, _story(settings, asked), options)
    except Ambiguous as error:
        ids = ", ".join(each[:20] for each in error.ids[:8])
        return settings.fail(f"{prefix} {error}: {ids}", "give more digits of the id", Answer.USAGE)
    except NoBundle as error:
        return _nothing(settings, error.findings)
    finally:
        _close(asked.places)


def _close(places: Sequence[Place]) -> None:
    for place in places:
        if place.log is not None:
            place.log.close()


def _read(prefix: str, sources: tuple[str, ...], options: _Options) -> _Asked | None:
    """Read everything that lies on this machine; None where the policy is not the pinned one.

    Raises:
        OSError, PolicyError, ProofError, ConfigError: a file is not there, or not what it should be.
    """
    if len(sources) > MAX_SOURCES:
        raise click.UsageError(f"expected at most {MAX_SOURCES} sources, got {len(sources)}")
    token_file = options["token_file"]
    token = None if token_file is None else read_private_line(token_file, where="--token-file")
    raw_policy = _bytes(options["policy_file"], MAX_POLICY_BYTES)
    policy = parse_policy(raw_policy)
    pin = options["policy_hash"]
    if pin is not None and pin != sha256(raw_policy):
        return None
    trust = Trust(
        raw_policy=raw_policy,
        policy=policy,
        now_s=_now_s(),
        policy_hash=pin,
        network=options["network"],
        plan_hashes=options["plan_hashes"],
    )
    return _Asked(
        prefix=prefix,
        places=tuple(places_of(sources, token)),
        trust=trust,
        opened=tuple(open_disclosure(_bytes(file, MAX_DISCLOSURE_BYTES)) for file in options["disclosures"]),
        endpoints=dict(_endpoints(options["endpoints"])),
        given=Given(options["began"], options["compromise"]),
        is_patient=options["wait"],
    )


def _bytes(path: Path, limit_bytes: int) -> bytes:
    """Read one byte more than is allowed at most: the parser says that it is too much."""
    with path.open("rb") as source:
        return source.read(limit_bytes + 1)


def _now_s() -> int:
    return time.time_ns() // 10**9  # noqa: TID251 - the command is the outermost: nobody hands it a clock


def _endpoints(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        chain, url = named_url(text, "--rpc")
        if chain is None:
            raise ConfigError("--rpc", "expected CHAIN=URL", remedy="name the chain, as eip155:1=https://…")
        yield chain, url


def _story(settings: Settings, asked: _Asked) -> Story:
    """Ask, and ask again where something may yet come.

    Raises:
        Ambiguous, NoBundle: there is no story.
    """
    also = [opened.digest for opened in asked.opened]
    found = investigate(asked.places, asked.prefix, asked.trust, _now_s, also=also)
    story = _told(found, asked)
    wait_s = _wait_s(story.findings) if asked.is_patient else 0
    if wait_s == 0:
        return story
    settings.say(f"a log lacks what it may yet publish: asking again in {wait_s} s")
    Event().wait(wait_s)
    earlier = {said.envelope.digest: said.since_s for said in found.case.said}
    trust = replace(asked.trust, now_s=_now_s())
    again = investigate(asked.places, asked.prefix, trust, _now_s, earlier=earlier, also=also)
    return _told(again, asked)


def _wait_s(findings: Sequence[Finding]) -> int:
    """Give how long until everything that is missing is overdue; 0 where nothing is missing that may come."""
    due = [each.facts.get("due_at_s") for each in findings if each.name == "missing"]
    ends = [end for end in due if isinstance(end, int)]
    return min(_MAX_WAIT_S, max(0, max(ends) - _now_s() + 1)) if ends else 0


def _told(found: Investigation, asked: _Asked) -> Story:
    findings, anchors = list(found.findings), None
    known = {said.envelope.digest for said in found.case.said}
    for opened in asked.opened:
        if opened.digest not in known:
            words = f"a disclosed {opened.kind} {opened.digest.hex()[:16]}… is no record that was read here"
            findings.append(Finding("disclosure", StoryAnswer.UNKNOWN, words))
    if asked.endpoints:
        anchors, odd = anchors_of(found.case, found.readers, asked.endpoints)
        findings += odd
    told = Told(tuple(findings), asked.given, asked.opened, anchors, found.unshown)
    return tell(found.case, told)


def _nothing(settings: Settings, findings: Sequence[Finding]) -> Answer:
    """Say why there is no story."""
    answer = answer_of(findings)
    if answer is StoryAnswer.YES:
        answer = StoryAnswer.UNKNOWN

    def show(console: Console) -> None:
        console.print("NO STORY: no source gave a bundle of this incident that verifies", style="bold red")
        for finding in findings:
            console.print(f"  · {finding.name}: {clean(finding.words)}", markup=False)

    document = {"answer": answer.value, "story": None, "findings": [finding_value(each) for each in findings]}
    settings.give("audit-incident", document, show)
    return _EXITS[answer]


def _give(settings: Settings, story: Story, options: _Options) -> Answer:
    sheet = layout(story)
    for file, write in ((options["html_file"], story_html), (options["markdown_file"], story_markdown)):
        if file is not None:
            try:
                replace_file(file, write(sheet).encode())
            except OSError as error:
                return settings.fail(f"{file}: {error.strerror}", "name a place to write", Answer.USAGE)
    value = story_value(story)
    findings = value.pop("findings")
    document = {"answer": story.answer.value, "findings": findings, "story": value}
    settings.give("audit-incident", document, lambda console: show_story(console, sheet))
    return _EXITS[story.answer]
