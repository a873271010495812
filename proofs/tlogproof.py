"""Offline proofs that an entry is in a log: C2SP tlog-proof, files `.tlog-proof` (`proofs/SPEC.md` 7)."""

from dataclasses import dataclass

from proofs.errors import ProofError
from proofs.kinds import Digest
from proofs.text import base64_text, decimal, from_base64
from proofs.tree import HASH_BYTES, MAX_PATH

__all__ = ["MAX_PROOF_CHARACTERS", "TlogProof", "TlogProofError", "format_tlog_proof", "parse_tlog_proof"]

MAX_PROOF_CHARACTERS = 131_072
_FIRST_LINE = "c2sp.org/tlog-proof@v1"


class TlogProofError(ProofError):
    """`tlog-proof-form`."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Where an entry stands in a log; `checkpoint` is the signed note as it came.

    `path` runs from the leaf's sibling up. `extra` is signed by nobody.
    """

    index: int
    path: tuple[Digest, ...]
    checkpoint: str
    extra: bytes | None = None


def format_tlog_proof(proof: TlogProof) -> str:
    """Give the text of a `.tlog-proof` file."""
    extra = [] if proof.extra is None else [f"extra {base64_text(proof.extra)}"]
    lines = [_FIRST_LINE, *extra, f"index {proof.index}", *map(base64_text, proof.path)]
    return "\n".join(lines) + "\n\n" + proof.checkpoint


def parse_tlog_proof(text: str) -> TlogProof:
    """Read a `.tlog-proof`; the checkpoint in it is not looked at.

    Raises:
        TlogProofError: `tlog-proof-form`.
    """
    if len(text) > MAX_PROOF_CHARACTERS:
        raise TlogProofError("tlog-proof-form", f"expected at most {MAX_PROOF_CHARACTERS} characters")
    head, _, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != _FIRST_LINE:
        raise TlogProofError("tlog-proof-form", f"expected {_FIRST_LINE}, got {first[:80]!r}")
    extra: bytes | None = None
    if lines and lines[0].startswith("extra "):
        extra = from_base64(lines.pop(0).removeprefix("extra "))
    index = decimal(lines[0].removeprefix("index ")) if lines and lines[0].startswith("index ") else None
    path = [from_base64(line) for line in lines[1:]]
    hashes = tuple(Digest(node) for node in path if node is not None and len(node) == HASH_BYTES)
    if index is None or len(hashes) != len(path) or len(path) > MAX_PATH:
        raise TlogProofError("tlog-proof-form", "expected an index and hashes in base64, got another form")
    proof = TlogProof(index, hashes, checkpoint, extra)
    if format_tlog_proof(proof) != text:
        raise TlogProofError("tlog-proof-form", "expected the one spelling of a proof, got another")
    return proof
