"""`tocsin doctor`: everything that can be checked before and beside a running node."""

from __future__ import annotations

import asyncio

import click

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.diagnosis import Diagnosis, diagnose_files
from relay.cli.endpoints import diagnose_endpoints
from relay.cli.findings import Finding, file_found
from relay.cli.last_mile import diagnose_last_mile, diagnose_rehearsals
from relay.cli.node_files import this_directory
from relay.cli.settings import Answer, Settings
from relay.config import NodeConfig, load_node
from relay.core.errors import ConfigError
from relay.core.types import Address

_EPILOG = """\b
Examples:
  tocsin doctor
  tocsin doctor --offline            do not ask the endpoints
  tocsin doctor --json | jq '.findings[] | select(.held != true)'

Exit code 0 when everything holds, 1 when a named check fails, 3 when something could not be told.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--offline", is_flag=True, help="Do not ask the endpoints.")
@click.pass_obj
def doctor(settings: Settings, offline: bool) -> Answer:
    """Check files, keys, committee, plans, endpoints, and whether each act would land now; say what to do."""
    directory = this_directory(settings)
    try:
        config: NodeConfig | None = load_node(directory.node_file)
        findings = [file_found("node.toml", str(directory.node_file))]
    except ConfigError as error:
        config = None
        findings = [Finding("node.toml", False, f"{error.where}: {error.problem}", error.remedy)]
    files = diagnose_files(directory, config)
    findings += files.findings
    if config is not None:
        findings += diagnose_rehearsals(config)
    if config is not None and not offline:
        findings += asyncio.run(_diagnose_chains(config, files))
    document = {"findings": [finding.document() for finding in findings]}
    settings.give(
        "doctor", document, lambda console: shown.checks(console, [finding.row() for finding in findings])
    )
    if any(finding.held is False for finding in findings):
        return Answer.NO
    return Answer.UNKNOWN if any(finding.held is None for finding in findings) else Answer.YES


async def _diagnose_chains(config: NodeConfig, files: Diagnosis) -> list[Finding]:
    """Ask the endpoints about themselves, and about everything that a call of ours would meet."""
    findings = await diagnose_endpoints(config)
    if files.committees is None:
        return [*findings, Finding("last mile", None, "the committee is not known", "tocsin committee check")]
    submitter = None if files.keys is None else Address(files.keys.submitters["default"])
    return findings + await diagnose_last_mile(config, files.committees, submitter)


__all__ = ["doctor"]
