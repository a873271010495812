"""The committee's group keys, as owners' commands need them: of keys files, beside what a verifier shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from proofs.committee import CommitteeDocument
from proofs.errors import ProofError
from proofs.groupkeys import group_name
from proofs.mandate import Tier
from relay.cli.findings import Finding
from relay.cli.gateway_options import FILE
from relay.cli.gateway_reading import has_node
from relay.cli.node_files import this_directory
from relay.cli.settings import Settings
from relay.config import KeptKeys, check_keys, keys_files, load_keys, load_known_committees, load_known_keys
from relay.core.errors import ConfigError
from relay.core.gateway_report import KeyEpochReport, VerifierReport
from relay.core.rotations import GroupKey, GroupKeys

F = TypeVar("F", bound=Callable[..., object])

_NAME = "group keys"
_ROTATE = (
    "members rotate the verifier's keys, or create one with tocsin gateway deploy; until then plans need"
    " frost_patience_ms = 0"
)
_FOREIGN = (
    "if they are not your committee's: the guardian calls refuseEpochsFrom, or the owner calls setVerifier"
)


def keys_option(command: F) -> F:
    """`--keys`: the committee's keys file."""
    about = "The committee's keys file; this node's newest of the key epoch if not given."
    return click.option("--keys", type=FILE, help=about)(command)


def committee_keys(
    settings: Settings, file: Path | None, committee: CommitteeDocument | None
) -> KeptKeys | None:
    """The keys of a committee's key epoch: those of the file, or the newest that this node has; None if none.

    Raises:
        ConfigError: the file's keys are not in force for the committee.
    """
    if file is not None:
        return _given(file, committee)
    if committee is None:
        return None
    ours = [each for each in known_keys(settings) if _is_of(each, committee)]
    return ours[-1] if ours else None


def known_keys(settings: Settings) -> Sequence[KeptKeys]:
    """The keys in force that this node has files of, oldest first; none where there is no node."""
    directory = this_directory(settings).committee if has_node(settings) else None
    if directory is None or not keys_files(directory):
        return ()
    chain = load_known_committees(directory).chain
    return load_known_keys(directory, [signed.document for signed in chain]).keys


def _given(file: Path, committee: CommitteeDocument | None) -> KeptKeys:
    keys = load_keys(file)
    if committee is None:
        raise ConfigError("--keys", "expected --committee beside it, got none")
    try:
        check_keys(keys, committee)
    except ProofError as error:
        remedy = "give the keys file and the committee document of one key epoch"
        raise ConfigError(str(file), str(error), remedy=remedy) from error
    return keys


def _is_of(keys: KeptKeys, committee: CommitteeDocument) -> bool:
    document = keys.document
    return document.network == committee.network and document.key_epoch == committee.key_epoch


def shown_groups(keys: KeptKeys) -> GroupKeys:
    """What a verifier takes: both keys, each with its possession.

    Raises:
        ConfigError: a tier has no key, or one that has not signed for itself yet.
    """
    return GroupKeys(_shown(keys, Tier.FAST), _shown(keys, Tier.FULL))


def _shown(keys: KeptKeys, tier: Tier) -> GroupKey:
    name = group_name(tier)
    group, possession = keys.document.group(name), keys.possession.get(name)
    if group is None:
        remedy = "hold a ceremony for both tiers, or give --without-group-keys"
        raise ConfigError("keys", f"expected a group {name}, got none", remedy=remedy)
    if possession is None:
        remedy = "it comes by itself while enough holders run; or give --without-group-keys"
        problem = f"expected proof that the key {name} has signed for itself, got none"
        raise ConfigError("keys", problem, remedy=remedy)
    return GroupKey(group.key, possession)


def key_words(epoch: KeyEpochReport, known: Sequence[KeptKeys]) -> str:
    """The group keys of a key epoch, and the keys document that they stand in."""
    if epoch.fast_key is None or epoch.full_key is None:
        return "none: certificates are lists of signatures"
    told = f"fast {epoch.fast_key.hex()}, full {epoch.full_key.hex()}"
    found = [each.document for each in known if _keys_of(each) == (epoch.fast_key, epoch.full_key)]
    if not found:
        return told
    newest = found[-1]
    return f"{told}; of keys document {newest.digest.hex()[:16]}, generation {newest.generation}"


def keys_finding(keys: KeptKeys | None, verifier: VerifierReport) -> Finding:
    """Whether the verifier has the committee's own group keys for the key epoch in force."""
    current = verifier.current
    has_keys = current.fast_key is not None
    if keys is None and not has_keys:
        return Finding(_NAME, True, "none: certificates are lists of signatures")
    if keys is None:
        told = f"no keys file to compare with: {key_words(current, ())}"
        return Finding(_NAME, None, told, "give --keys FILE, or --home of a node that has it")
    if not has_keys:
        told = "the verifier has none: it refuses what the committee's groups sign"
        return Finding(_NAME, False, told, _ROTATE)
    if (current.fast_key, current.full_key) != _keys_of(keys):
        wanted = " and ".join("none" if key is None else key.hex() for key in _keys_of(keys))
        return Finding(_NAME, False, f"expected {wanted}, got {key_words(current, ())}", _FOREIGN)
    missing = [group_name(tier) for tier in Tier if group_name(tier) not in keys.possession]
    shown = f"; {', '.join(missing)} not shown in the file, shown at the verifier" if missing else ""
    return Finding(_NAME, True, key_words(current, (keys,)) + shown)


def _keys_of(keys: KeptKeys) -> tuple[bytes | None, bytes | None]:
    fast, full = (keys.document.group(group_name(tier)) for tier in (Tier.FAST, Tier.FULL))
    return (None if fast is None else fast.key, None if full is None else full.key)


__all__ = ["committee_keys", "key_words", "keys_finding", "keys_option", "known_keys", "shown_groups"]
