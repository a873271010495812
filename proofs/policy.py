"""Whom a reader trusts about logs: C2SP tlog-policy files (`proofs/SPEC.md` 8)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from proofs.checkpoint import SignedCheckpoint, open_checkpoint
from proofs.committee import CommitteeDocument, cosigner_key, full_quorum, log_key
from proofs.errors import ProofError
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.note import (
    MAX_TIME_AHEAD_S,
    KeyKind,
    NoteError,
    VerifiedSignature,
    VerifierKey,
    format_verifier_key,
    is_timely,
    parse_verifier_key,
)
from proofs.text import decimal

__all__ = [
    "MAX_POLICY_BYTES",
    "Group",
    "Policy",
    "PolicyError",
    "committee_policy",
    "format_policy",
    "missing_witnesses",
    "open_checkpoint_under",
    "parse_policy",
    "policy_hash",
]

MAX_POLICY_BYTES = 65_536
MAX_LINES_OF_A_KIND = 64
_NONE = "none"
_OCTETS = "surrogateescape"
"""Names are octets to the format: what is no UTF-8 must come back as it was, and equal nothing else."""


class PolicyError(ProofError):
    """`policy-form` with the line's number; `policy-quorum`, `cosignature-time`: too few cosignatures."""


@dataclass(frozen=True, slots=True)
class Group:
    """`threshold` of `members`, which are names of witnesses or of groups before this one."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Which logs count, and which witnesses must stand behind a checkpoint; `quorum` `None` asks for none."""

    logs: tuple[VerifierKey, ...] = ()
    witnesses: Mapping[str, VerifierKey] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str | None = None


def policy_hash(raw: bytes) -> Digest:
    """Give the hash by which a policy is pinned: SHA-256 of the file."""
    return sha256(raw)


def format_policy(policy: Policy) -> bytes:
    """Give the file of a policy."""
    lines = [f"log {format_verifier_key(key)}" for key in policy.logs]
    lines += [f"witness {name} {format_verifier_key(key)}" for name, key in policy.witnesses.items()]
    lines += [
        f"group {name} {group.threshold} {' '.join(group.members)}" for name, group in policy.groups.items()
    ]
    lines.append(f"quorum {_NONE if policy.quorum is None else policy.quorum}")
    return "".join(f"{line}\n" for line in lines).encode(errors=_OCTETS)


def parse_policy(raw: bytes) -> Policy:
    """Read a policy file.

    Raises:
        PolicyError: `policy-form`, naming the line.
    """
    if len(raw) > MAX_POLICY_BYTES or any(
        (byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in raw
    ):
        raise PolicyError(
            "policy-form", f"expected {MAX_POLICY_BYTES} bytes of text at most, got other bytes"
        )
    draft = _Draft(Policy())
    for number, line in enumerate(raw.decode(errors=_OCTETS).split("\n"), start=1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            draft = _with_line(draft, words)
        except (_LineError, NoteError) as error:
            raise PolicyError("policy-form", f"line {number}: {error}", line=number) from error
    if not draft.is_decided:
        raise PolicyError("policy-form", "expected a quorum line, got none")
    return draft.policy


def committee_policy(documents: Sequence[CommitteeDocument]) -> Policy:
    """Give the policy that an auditor of a network would pin (`proofs/SPEC.md` 12.2).

    `documents` ascend by epoch, one at least. The logs are those of all, the newest document's first, at most
    64; the witnesses and their quorum are those of the newest alone.
    """
    newest = documents[-1]
    logs = {
        key.public_key: key
        for document in documents
        for key in (log_key(document, member) for member in document.members)
    }
    of_newest = [member.log for member in newest.members]
    order = [*of_newest, *(key for key in reversed(logs) if key not in of_newest)][:MAX_LINES_OF_A_KIND]
    cosigners = [cosigner_key(newest, member) for member in newest.members]
    group = f"epoch-{newest.committee_epoch}"
    return Policy(
        logs=tuple(logs[key] for key in order),
        witnesses={key.name: key for key in cosigners},
        groups={group: Group(full_quorum(len(cosigners)), tuple(key.name for key in cosigners))},
        quorum=group,
    )


def open_checkpoint_under(raw: str, policy: Policy, *, now_s: int | None = None) -> SignedCheckpoint:
    """Read a signed checkpoint and check that it stands under `policy`.

    A cosignature of time 0, or more than 300 s ahead of the reader's clock `now_s` (if there is one), counts
    for nothing and is not in what comes back.

    Raises:
        ProofError: as `open_checkpoint`.
        PolicyError: `policy-quorum`; `cosignature-time`, those that do not count would have made it.
    """
    signed = open_checkpoint(raw, policy.logs, tuple(policy.witnesses.values()))
    timely = tuple(each for each in signed.cosigned if each.at_s is not None and is_timely(each.at_s, now_s))
    if _is_reached(policy, timely):
        return replace(signed, cosigned=timely)
    if _is_reached(policy, signed.cosigned):
        others = [f"{each.at_s} of {each.key.name}" for each in signed.cosigned if each not in timely]
        raise PolicyError(
            "cosignature-time",
            f"expected quorum {policy.quorum!r} by times up to {MAX_TIME_AHEAD_S} s ahead of ours, got "
            f"{', '.join(others)}",
        )
    raise PolicyError(
        "policy-quorum",
        f"expected quorum {policy.quorum!r}, got {len(signed.cosigned)} cosignatures of witnesses",
    )


def missing_witnesses(policy: Policy, signed: SignedCheckpoint) -> tuple[VerifierKey, ...]:
    """Give the witnesses of `policy` that have not cosigned, in its order."""
    cosigners = {signature.key for signature in signed.cosigned}
    return tuple(key for key in policy.witnesses.values() if key not in cosigners)


def _is_reached(policy: Policy, cosigned: Sequence[VerifiedSignature]) -> bool:
    cosigners = {signature.key for signature in cosigned}
    reached = {name for name, key in policy.witnesses.items() if key in cosigners}
    for name, group in policy.groups.items():
        if sum(member in reached for member in group.members) >= group.threshold:
            reached.add(name)
    return policy.quorum is None or policy.quorum in reached


class _LineError(Exception):
    """What is wrong with one line."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A policy in the reading; `used` are the names that are members of a group already."""

    policy: Policy
    used: frozenset[str] = frozenset()
    is_decided: bool = False

    def knows(self, name: str) -> bool:
        return name in self.policy.witnesses or name in self.policy.groups


def _with_line(draft: _Draft, words: list[str]) -> _Draft:
    read = _READERS.get(words[0])
    if read is None:
        raise _LineError(f"expected log, witness, group or quorum, got {words[0]!r}")
    return read(draft, words[1:])


def _with_log(draft: _Draft, words: list[str]) -> _Draft:
    if len(words) not in (1, 2):
        raise _LineError(f"expected log <vkey> [<url>], got {len(words)} words")
    key = _key(words[0], KeyKind.ED25519)
    if key.public_key in [log.public_key for log in draft.policy.logs]:
        raise _LineError(f"expected each log once, got {key.name} again")
    _check_room(len(draft.policy.logs))
    return replace(draft, policy=replace(draft.policy, logs=(*draft.policy.logs, key)))


def _with_witness(draft: _Draft, words: list[str]) -> _Draft:
    if len(words) not in (2, 3):
        raise _LineError(f"expected witness <name> <vkey> [<url>], got {len(words)} words")
    key = _key(words[1], KeyKind.COSIGNATURE)
    _check_new(draft, words[0])
    if key.public_key in [witness.public_key for witness in draft.policy.witnesses.values()]:
        raise _LineError(f"expected each witness once, got {key.name} again")
    _check_room(len(draft.policy.witnesses))
    witnesses = {**draft.policy.witnesses, words[0]: key}
    return replace(draft, policy=replace(draft.policy, witnesses=witnesses))


def _with_group(draft: _Draft, words: list[str]) -> _Draft:
    if len(words) < 3:
        raise _LineError("expected group <name> all|any|<k> <name>..., got too few words")
    name, wanted, *members = words
    _check_new(draft, name)
    for member in members:
        if not draft.knows(member) or member in draft.used or members.count(member) > 1:
            raise _LineError(f"expected members defined before and used once, got {member!r}")
    threshold = {"all": len(members), "any": 1}.get(wanted, decimal(wanted))
    if threshold is None or not 1 <= threshold <= len(members):
        raise _LineError(f"expected all, any, or 1 to {len(members)}, got {wanted!r}")
    _check_room(len(draft.policy.groups))
    groups = {**draft.policy.groups, name: Group(threshold, tuple(members))}
    return replace(draft, policy=replace(draft.policy, groups=groups), used=draft.used | set(members))


def _with_quorum(draft: _Draft, words: list[str]) -> _Draft:
    if draft.is_decided or len(words) != 1:
        raise _LineError("expected one quorum line of one name, got another")
    if words[0] == _NONE:
        return replace(draft, is_decided=True)
    if not draft.knows(words[0]):
        raise _LineError(f"expected a name defined before, got {words[0]!r}")
    return replace(draft, policy=replace(draft.policy, quorum=words[0]), is_decided=True)


_READERS: Mapping[str, Callable[[_Draft, list[str]], _Draft]] = {
    "log": _with_log,
    "witness": _with_witness,
    "group": _with_group,
    "quorum": _with_quorum,
}


def _key(text: str, kind: KeyKind) -> VerifierKey:
    try:
        key = parse_verifier_key(text.encode(errors=_OCTETS).decode())
    except UnicodeDecodeError as error:
        raise _LineError("expected a key name in UTF-8, got other bytes") from error
    if key.kind is not kind:
        raise _LineError(f"expected a key of kind {kind:02x}, got {key.kind:02x}")
    return key


def _check_new(draft: _Draft, name: str) -> None:
    if name == _NONE or draft.knows(name):
        raise _LineError(f"expected a new name, got {name!r}")


def _check_room(count: int) -> None:
    if count >= MAX_LINES_OF_A_KIND:
        raise _LineError(f"expected at most {MAX_LINES_OF_A_KIND} lines of a kind")
