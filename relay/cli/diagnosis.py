"""Checks of a node's directory: permissions, keys, committee, plans, disk."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proofs.committee import CommitteeDocument, CommitteeMember
from relay.cli.findings import Finding, file_found
from relay.cli.key_findings import group_key_findings
from relay.cli.node_files import passphrase_of
from relay.cli.plan import read_plan
from relay.config import MonitorSettings, NodeConfig, NodeDirectory, load_known_committees
from relay.core.committee_check import committee_refusals
from relay.core.committees import Committees
from relay.core.errors import ConfigError
from relay.core.types import Caip2
from relay.keys import PublicKeys, open_reporter_key, public_keys

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found in the files, and what of them further checks need."""

    findings: tuple[Finding, ...]
    keys: PublicKeys | None
    committees: Committees | None


def wall_clock_s() -> int:
    """Give the time in seconds: the command is the outermost, nobody hands it a clock."""
    return time.time_ns() // 10**9  # noqa: TID251


def diagnose_files(directory: NodeDirectory, config: NodeConfig | None) -> Diagnosis:
    """Check everything that needs no network; `config` is None when node.toml itself is wrong."""
    findings = list(_permissions(directory))
    keys, found = _keys(directory, config)
    findings.append(found)
    committees, found_of_them = _committees(directory)
    findings += found_of_them
    if committees is not None:
        committee = committees.in_force(wall_clock_s())
        findings += _fitness(committee)
        findings += _membership(committee, keys, config)
        findings += group_key_findings(directory, committees, keys, wall_clock_s())
    if config is not None:
        findings += _plans(config)
        findings.append(_token(config))
        findings += (_monitor(monitor) for monitor in config.monitors)
        findings.append(_disk(config))
    return Diagnosis(tuple(findings), keys, committees)


def _permissions(directory: NodeDirectory) -> Iterator[Finding]:
    for path in (directory.secrets, directory.keys, directory.guard_file.parent, directory.state):
        name = f"permissions of {path.relative_to(directory.path)}"
        if not path.is_dir():
            yield Finding(name, False, f"expected a directory at {path}", f"mkdir -m 700 {path}")
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            yield Finding(name, False, f"open to others, mode {mode:03o}", f"chmod 700 {path}")
    for path in (directory.path, directory.node_file, directory.committee):
        if path.exists() and path.stat().st_mode & _WRITABLE:
            yield Finding(f"permissions of {path.name}", False, "others may write", f"chmod go-w {path}")
    yield file_found("directory", str(directory.path))


def _keys(directory: NodeDirectory, config: NodeConfig | None) -> tuple[PublicKeys | None, Finding]:
    if config is None:
        return None, Finding(
            "keys", None, "node.toml says where the passphrase is", "correct node.toml first"
        )
    try:
        passphrase = passphrase_of(config.passphrase)
    except ConfigError as error:
        return None, Finding("keys", None, f"{error.where}: {error.problem}", error.remedy)
    try:
        keys = public_keys(directory.keys, passphrase)
    except ConfigError as error:
        return None, Finding("keys", False, f"{error.where}: {error.problem}", error.remedy)
    return keys, file_found("keys", f"identity {keys.identity.hex()}")


def _committees(directory: NodeDirectory) -> tuple[Committees | None, list[Finding]]:
    """Read the documents in force by their signatures, and say which is active and what is announced."""
    try:
        known = load_known_committees(directory.committee)
    except ConfigError as error:
        remedy = error.remedy or "tocsin committee check"
        return None, [Finding("committee", False, f"{error.where}: {error.problem}", remedy)]
    committees = Committees(tuple(signed.document for signed in known.chain))
    now = committees.in_force(wall_clock_s())
    detail = f"epoch {now.committee_epoch}, {len(now.members)} members, network {now.network.hex()}"
    findings = [file_found("committee", detail)]
    for later in committees.documents:
        if later.committee_epoch > now.committee_epoch:
            detail = (
                f"epoch {later.committee_epoch}, key epoch {later.key_epoch}, from {later.activates_at} on"
            )
            findings.append(file_found("next committee", detail))
    if known.problem is not None:
        remedy = known.problem.remedy or "tocsin committee sign, by the members that have not yet"
        problem = f"{known.problem.where}: {known.problem.problem}"
        findings.append(Finding("next committee", False, problem, remedy))
    return committees, findings


def _fitness(committee: CommitteeDocument) -> Iterator[Finding]:
    for refusal in committee_refusals(committee):
        detail = f"{refusal}{' (demonstration: only a warning)' if committee.demo else ''}"
        yield Finding(
            "committee is fit", committee.demo, detail, "seat other operators or declare more providers"
        )


def _membership(
    committee: CommitteeDocument, keys: PublicKeys | None, config: NodeConfig | None
) -> Iterator[Finding]:
    if keys is None:
        return
    member = committee.member(keys.identity)
    if member is None:
        detail = f"expected this node's identity in epoch {committee.committee_epoch}, got none"
        yield Finding("membership", False, detail, "add the member that `tocsin key list` shows")
        return
    pairs = {
        "attester": (member.attester, keys.attester),
        "log": (member.log, keys.log),
        "cosigner": (member.cosigner, keys.cosigner),
    }
    wrong = [name for name, (told, own) in pairs.items() if told != own]
    if wrong:
        detail = f"the document has other keys of {member.name}: {', '.join(wrong)}"
        yield Finding("membership", False, detail, "restore the key files, or seat the new keys")
    else:
        yield file_found("membership", member.name)
    if config is not None:
        yield from _providers(member, config)


def _providers(member: CommitteeMember, config: NodeConfig) -> Iterator[Finding]:
    used = {
        chain.chain: {endpoint.operator.casefold() for endpoint in chain.endpoints} for chain in config.chains
    }
    for chain, declared in member.providers.items():
        told = {name.casefold() for name in declared}
        if used.get(chain, set()) != told:
            detail = (
                f"declared {', '.join(sorted(told))}; node.toml has {', '.join(sorted(used.get(chain, ())))}"
            )
            remedy = "use the declared operators, or have the document changed"
            yield Finding(f"providers of {chain}", False, detail, remedy)


def _plans(config: NodeConfig) -> Iterator[Finding]:
    chains = {chain.chain for chain in config.chains}
    files = sorted(config.plans.glob("*/*.plan.toml"))
    if not files:
        remedy = f"put plans at {config.plans}/<protocol>/<version>.plan.toml"
        yield Finding("plans", False, "expected at least one, got none", remedy)
    for file in files:
        yield _plan(file, config.plans, chains)


def _plan(file: Path, plans: Path, chains: set[Caip2]) -> Finding:
    name = f"plan {file.relative_to(plans)}"
    try:
        plan = read_plan(file)
    except ConfigError as error:
        return Finding(
            name, False, f"{error.where}: {error.problem}", error.remedy or f"tocsin plan check {file}"
        )
    missing = sorted(set(plan.chains) - chains)
    if missing:
        detail = f"names chains that node.toml does not have: {', '.join(missing)}"
        return Finding(name, False, detail, "add them to node.toml")
    return file_found(name, plan.hash.hex())


def _token(config: NodeConfig) -> Finding:
    try:
        token = config.api.token()
    except ConfigError as error:
        return Finding("API token", False, error.problem, error.remedy)
    return file_found("API token", "" if token is not None else "none: this node takes no signals")


def _monitor(monitor: MonitorSettings) -> Finding:
    """Tell whether a monitor may post here, and by which key its findings are reported."""
    name = f"monitor {monitor.name}"
    try:
        monitor.secret()
        key = open_reporter_key(monitor.reporter_key_file)
    except ConfigError as error:
        return Finding(name, False, f"{error.where}: {error.problem}", error.remedy)
    return file_found(name, f"{key.name}, reporter of {monitor.report} for {monitor.plan}")


def _disk(config: NodeConfig) -> Finding:
    free = shutil.disk_usage(config.directory.path).free
    detail = f"{free >> 20} MiB free"
    if free < config.journal.min_free_bytes:
        needed = f"{detail}, expected {config.journal.min_free_bytes >> 20}"
        return Finding("disk", False, needed, f"free space, or delete {config.directory.ballast_file}")
    return file_found("disk", detail)


__all__ = ["Diagnosis", "diagnose_files", "wall_clock_s"]
