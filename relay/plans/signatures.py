"""Who stands behind a plan before it is registered: `<plan>.sigs` (plans SPEC 3). Text in, text out.

The signed text is shown by any wallet (EIP-191, `personal_sign`):

    Tocsin response plan
    protocol: NAME
    version: N
    hash: 0x<64 hex>
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.certificates import SIGNATURE_BYTES, CertificateError, recover_address
from proofs.hashes import keccak256
from proofs.kinds import Address
from relay.core.errors import ConfigError
from relay.core.plan import Plan
from relay.disk import replace_file

__all__ = [
    "OwnerSignature",
    "add_signature",
    "checksummed",
    "read_signatures",
    "read_signatures_beside",
    "render_signatures",
    "signature_bytes",
    "signatures_file",
    "signing_digest",
    "signing_text",
    "write_signatures",
]

FORMAT = "tocsin/plan-signatures/1"
MAX_SIGNATURES = 64
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class OwnerSignature:
    """One verified signature: r ‖ s ‖ v, v 27 or 28, and the account whose key made it."""

    signer: Address
    signature: bytes


def signing_text(plan: Plan) -> str:
    """Give the text that an owner's wallet shows and signs."""
    lines = ("Tocsin response plan", f"protocol: {plan.protocol}", f"version: {plan.version}")
    return "\n".join((*lines, f"hash: 0x{plan.hash.hex()}"))


def signing_digest(text: str) -> bytes:
    """Give what is signed: keccak-256 of the text as EIP-191 wraps it (version 0x45, `personal_sign`)."""
    content = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(content)).encode() + content)


def checksummed(address: Address) -> str:
    """Give an account with the upper and lower case of EIP-55."""
    plain = address.hex()
    marks = keccak256(plain.encode()).hex()
    return "0x" + "".join(
        c.upper() if int(mark, 16) >= 8 else c for c, mark in zip(plain, marks, strict=False)
    )


def add_signature(
    known: Sequence[OwnerSignature], plan: Plan, signature: bytes, where: str
) -> tuple[OwnerSignature, ...]:
    """Give `known` with one more, in ascending order of signers.

    Raises:
        ConfigError: it is no signature in canonical form (low s, v 27 or 28; 0 or 1 is taken for these), or
            its signer has signed already.
    """
    if len(signature) == SIGNATURE_BYTES and signature[-1] in (0, 1):
        signature = signature[:-1] + bytes([signature[-1] + 27])
    try:
        signer = recover_address(signing_digest(signing_text(plan)), signature)
    except CertificateError as error:
        raise ConfigError(
            where, error.message, remedy="sign the text that `tocsin plan sign` shows"
        ) from error
    if any(each.signer == signer for each in known):
        raise ConfigError(where, f"expected another signer, got {checksummed(signer)} twice")
    if len(known) >= MAX_SIGNATURES:
        raise ConfigError(where, f"expected at most {MAX_SIGNATURES} signatures, got one more")
    return tuple(sorted((*known, OwnerSignature(signer, signature)), key=lambda each: each.signer))


def render_signatures(plan: Plan, signatures: Sequence[OwnerSignature]) -> str:
    """Give the file's text."""
    lines = [f'format = "{FORMAT}"', f'hash = "0x{plan.hash.hex()}"']
    for each in signatures:
        lines += ["", "[[signatures]]", f'signer = "{checksummed(each.signer)}"']
        lines.append(f'signature = "0x{each.signature.hex()}"')
    return "\n".join(lines) + "\n"


def read_signatures(text: str, plan: Plan, where: str) -> tuple[OwnerSignature, ...]:
    """Read and verify the file of `plan`.

    Raises:
        ConfigError: another form, another plan's hash, a signature that is not its signer's, one twice.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, f"expected TOML, got {error}") from error
    if values.keys() - {"signatures"} != {"format", "hash"} or values["format"] != FORMAT:
        raise ConfigError(where, f'expected format = "{FORMAT}", hash and [[signatures]], got other keys')
    if values["hash"] != f"0x{plan.hash.hex()}":
        problem = f"expected signatures of 0x{plan.hash.hex()}, got those of another plan or version"
        raise ConfigError(where, problem, remedy="owners sign every version anew: move this file away")
    entries = values.get("signatures", [])
    if not isinstance(entries, list):
        raise ConfigError(where, "expected [[signatures]], got another value")
    found: tuple[OwnerSignature, ...] = ()
    for number, entry in enumerate(entries, start=1):
        found = _entry(found, plan, entry, f"{where}: signature {number}")
    return found


def _entry(
    known: tuple[OwnerSignature, ...], plan: Plan, entry: object, where: str
) -> tuple[OwnerSignature, ...]:
    fields: Mapping[object, object] = entry if isinstance(entry, dict) else {}
    signer, text = fields.get("signer"), fields.get("signature")
    if fields.keys() != {"signer", "signature"} or not isinstance(signer, str) or not isinstance(text, str):
        raise ConfigError(where, "expected signer and signature as texts, got other keys")
    found = add_signature(known, plan, signature_bytes(text, where), where)
    # The one that is new is that of this entry.
    (own,) = set(found) - set(known)
    if signer.lower() != f"0x{own.signer.hex()}":
        raise ConfigError(where, f"expected a signature by {signer}, got one by {checksummed(own.signer)}")
    return found


def signature_bytes(text: str, where: str) -> bytes:
    """Read 65 bytes of hex.

    Raises:
        ConfigError: it is another text.
    """
    try:
        signature = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        signature = b""
    if len(signature) != SIGNATURE_BYTES:
        raise ConfigError(where, f"expected {SIGNATURE_BYTES} bytes in hex, r ‖ s ‖ v, got another text")
    return signature


# ---- the file beside a plan


def signatures_file(plan_file: Path) -> Path:
    """Give the place of a plan's signatures: `acme.plan.sigs` beside `acme.plan.toml`."""
    return plan_file.with_name(plan_file.name.removesuffix(".toml") + ".sigs")


def read_signatures_beside(plan_file: Path, plan: Plan) -> tuple[OwnerSignature, ...]:
    """Read a plan's signatures; none where there is no file.

    Raises:
        ConfigError: it cannot be read, or as `read_signatures`.
    """
    file = signatures_file(plan_file)
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(str(file), f"expected a readable file, got: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(str(file), f"expected at most {MAX_FILE_BYTES} bytes, got more")
    try:
        return read_signatures(content.decode(), plan, str(file))
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), f"expected UTF-8, got other bytes at offset {error.start}") from error


def write_signatures(plan_file: Path, plan: Plan, signatures: Sequence[OwnerSignature]) -> Path:
    """Keep a plan's signatures beside it.

    Raises:
        ConfigError: the folder takes no file.
    """
    file = signatures_file(plan_file)
    try:
        replace_file(file, render_signatures(plan, signatures).encode())
    except OSError as error:
        raise ConfigError(str(file), f"expected a folder that takes files, got: {error.strerror}") from error
    return file
