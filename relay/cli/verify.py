"""`tocsin audit verify`: verify a bundle offline; needs nothing but the base install."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from proofs.bundle import MAX_BUNDLE_BYTES
from proofs.disclosure import MAX_DISCLOSURE_BYTES
from proofs.errors import ProofError
from proofs.policy import MAX_POLICY_BYTES, PolicyError, parse_policy
from proofs.verdictvalue import VERDICT_SCHEMA, verdict_value
from proofs.verify import verify_bundle
from relay.cli.commands import Command
from relay.cli.hashes import hashes, one_hash, pinned_network
from relay.cli.settings import Answer, Settings, settings_of
from relay.cli.verdict_shown import show_verdict

__all__ = ["verify"]

_EPILOG = """\b
Example, with everything pinned:
  tocsin audit verify bundle.json --policy policy.txt --policy-hash H --network ID --plan-hash H

The form of a bundle is published as proofs/bundle.schema.json, its checks as proofs/SPEC.md.
"""
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("file", type=_FILE)
@click.option("--policy", "policy_file", type=_FILE, help="Whose logs to trust: a C2SP tlog-policy file.")
@click.option("--policy-hash", callback=one_hash, help="SHA-256 that the policy file must have.")
@click.option("--network", callback=pinned_network, help="Network id that the genesis committee must give.")
@click.option(
    "--plan-hash",
    "plan_hashes",
    multiple=True,
    callback=hashes,
    help="Hash that a plan may have; every plan of the bundle must have one of them. Repeatable.",
)
@click.option(
    "--disclosure",
    "disclosure_files",
    multiple=True,
    type=_FILE,
    help="Sealed fields of a record here, opened: a tocsin/disclosure/1 file. Repeatable.",
)
@click.pass_context
def verify(
    context: click.Context,
    file: Path,
    policy_file: Path | None,
    policy_hash: bytes | None,
    network: bytes | None,
    plan_hashes: Sequence[bytes],
    disclosure_files: Sequence[Path],
) -> int:
    """Verify a bundle: every signature, hash and log proof in it, without asking any server.

    Exit codes: 0 everything holds, 1 something does not and the failed check is named, 2 usage or policy
    file, 3 a file could not be read.
    """
    settings = settings_of(context)
    if policy_hash is not None and policy_file is None:
        raise click.UsageError("--policy-hash: expected --policy FILE with it, got none")
    try:
        data = _read(file, MAX_BUNDLE_BYTES)
        policy = None if policy_file is None else _read(policy_file, MAX_POLICY_BYTES)
        disclosures = [_read(each, MAX_DISCLOSURE_BYTES) for each in disclosure_files]
    except OSError as error:
        return settings.fail(f"{error.filename}: {error.strerror}", "", Answer.UNKNOWN)
    try:
        if policy is not None:
            parse_policy(policy)
    except PolicyError as error:
        return settings.fail(f"{policy_file}: {error.message}", "", Answer.USAGE)
    try:
        verdict = verify_bundle(
            data,
            policy=policy,
            policy_hash=policy_hash,
            network=network,
            plan_hashes=plan_hashes,
            disclosures=disclosures,
            now_s=_now_s(),
        )
    except ProofError as error:
        return _refuse(settings, error)
    settings.give("verdict", verdict_value(verdict), lambda console: show_verdict(console, verdict))
    return Answer.YES


def _now_s() -> int:
    return time.time_ns() // 10**9  # noqa: TID251 - the command is the outermost: nobody hands it a clock


def _read(path: Path, limit_bytes: int) -> bytes:
    """Read one byte more than is allowed at most: the parser says that it is too much."""
    with path.open("rb") as source:
        return source.read(limit_bytes + 1)


def _refuse(settings: Settings, error: ProofError) -> int:
    document = {"schema": VERDICT_SCHEMA, "verified": False, "check": error.check, "problem": error.message}

    def show(console: Console) -> None:
        console.print(Text.assemble(("NOT VERIFIED", "bold red"), f"  failed check: {error.check}"))
        console.print(Text(f"  {error.message}"))

    settings.give("verdict", document, show)
    return Answer.NO
