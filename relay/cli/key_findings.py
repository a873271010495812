"""What `tocsin doctor` finds of group keys: which are in force, and whether this node can sign with them."""

from __future__ import annotations

from collections.abc import Iterator

from relay.cli.findings import Finding
from relay.config import NodeDirectory, load_known_keys
from relay.core.committees import Committees
from relay.keys import PublicKeys

__all__ = ["group_key_findings"]

_NAME = "group keys"


def group_key_findings(
    directory: NodeDirectory, committees: Committees, keys: PublicKeys | None, now_s: int
) -> Iterator[Finding]:
    """Check the keys files, and that there is a share where this node is a holder."""
    known = load_known_keys(directory.committee, committees.documents)
    for problem in known.problems:
        remedy = problem.remedy or "copy the file from another member: it holds nothing secret"
        yield Finding(_NAME, False, f"{problem.where}: {problem.problem}", remedy)
    epoch = committees.in_force(now_s).key_epoch
    newest = max(
        (kept.document for kept in known.keys if kept.document.key_epoch == epoch),
        key=lambda document: document.generation,
        default=None,
    )
    if newest is None:
        yield Finding(_NAME, True, f"none of key epoch {epoch}: certificates are lists of signatures")
        return
    which = f"key epoch {epoch}, generation {newest.generation}, {len(newest.holders)} holders"
    if keys is None:
        yield Finding(_NAME, None, which, "give the passphrase to see whether this node is one")
    elif newest.identifier(keys.identity) is None:
        yield Finding(_NAME, True, f"{which}; this node is none of them")
    elif not (directory.keys / "threshold" / f"{epoch}-{newest.generation}.shares").is_file():
        remedy = "the members hold a reshare: tocsin ceremony reshare --replace and this member's name"
        yield Finding(_NAME, False, f"{which}; this node is one, and has no share", remedy)
    else:
        yield Finding(_NAME, True, f"{which}; this node has its share")
