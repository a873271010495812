"""What goes wrong with threshold keys and signatures, by name."""

from __future__ import annotations

from proofs.errors import ProofError

__all__ = ["ThresholdError"]


class ThresholdError(ProofError):
    """Bytes, a share or a step is not what the SPEC asks for.

    `check` is one of `scalar`, `point`, `identity-point`, `identifiers`, `commitments`, `signature-share`,
    `signature`, `nonces`, `share`, `deal`, `complaint`, `ceremony`, `evidence`, `session`.
    """
