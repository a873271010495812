"""The two hash functions, and hashing under a tag (core SPEC, head)."""

import hashlib

from Crypto.Hash import keccak

from proofs.kinds import Digest

__all__ = ["keccak256", "sha256", "tagged"]


def sha256(data: bytes) -> Digest:
    """Give SHA-256 of `data`."""
    return Digest(hashlib.sha256(data).digest())


def keccak256(data: bytes) -> Digest:
    """Give Keccak-256 of `data`: the padding of Ethereum, not of SHA-3."""
    return Digest(keccak.new(data=data, digest_bits=256).digest())


def tagged(tag: str, data: bytes) -> Digest:
    """Give `H(tag ‖ newline ‖ data)`; `tag` is a constant such as `tocsin/plan/1`."""
    return sha256(tag.encode() + b"\n" + data)
