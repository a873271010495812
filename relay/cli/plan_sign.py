"""`tocsin plan sign`: the protocol's owners stand behind a plan before it is registered (plans SPEC 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import coincurve
from rich.console import Console

from relay.cli import shown
from relay.cli.commands import Command
from relay.cli.node_files import PASSPHRASE_VARIABLE, passphrase_of
from relay.cli.plan import read_plan
from relay.cli.plan_files import PLAN_FILE
from relay.cli.settings import Answer, Settings
from relay.config import PassphraseSource, read_private_line
from relay.core.errors import ConfigError, KeyFileError
from relay.core.plan import Plan
from relay.keys import KeyKind, Secret
from relay.keys.files import SECRET_BYTES, KeyDerivation, unseal_key
from relay.plans.signatures import (
    OwnerSignature,
    add_signature,
    checksummed,
    read_signatures_beside,
    signature_bytes,
    signing_digest,
    signing_text,
    write_signatures,
)

_EPILOG = """\b
Examples:
  tocsin plan sign acme.plan.toml                        the text to sign with a wallet (personal_sign)
  tocsin plan sign acme.plan.toml --signature 0x…        keep what the wallet gave
  tocsin plan sign acme.plan.toml --key owner.key        sign here: a sealed submitter key, or hex (0600)
  tocsin plan sign acme.plan.toml --list                 who has signed

Signatures lie beside the plan, in acme.plan.sigs. They tell people who stands behind a file; what decides is
the registration on chain. An account that is a contract signs on chain instead.
Exit code 0 when it is signed, or was listed and at least one has signed; 1 when nobody has.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("file", type=PLAN_FILE)
@click.option("--key", type=PLAN_FILE, help="A key file, open to its owner alone.")
@click.option("--signature", metavar="0x…", help="65 bytes that a wallet made: r, s, v.")
@click.option("--list", "only_list", is_flag=True, help="Verify and list the signatures that are there.")
@click.pass_obj
def sign(settings: Settings, file: Path, key: Path | None, signature: str | None, only_list: bool) -> Answer:
    """Sign a plan as one of its protocol's owners, or show who has."""
    if sum((key is not None, signature is not None, only_list)) > 1:
        raise ConfigError("plan sign", "expected one of --key, --signature and --list, got several")
    plan = read_plan(file)
    known = read_signatures_beside(file, plan)
    if key is None and signature is None:
        return _list(settings, plan, known) if only_list else _ask(settings, plan)
    given = _signed(plan, key) if key is not None else signature_bytes(signature or "", "--signature")
    signed = add_signature(known, plan, given, "--signature" if key is None else "--key")
    kept = write_signatures(file, plan, signed)
    (own,) = set(signed) - set(known)
    document = {"signer": checksummed(own.signer), "file": str(kept), **_document(plan, signed)}
    said = f"signed by {checksummed(own.signer)}, kept in {kept}"
    settings.give("plan-signatures", document, lambda console: console.print(said, markup=False))
    return Answer.YES


def _ask(settings: Settings, plan: Plan) -> Answer:
    text = signing_text(plan)

    def show(console: Console) -> None:
        console.print(text, markup=False)
        settings.say("sign this very text with a wallet, then give --signature; or give --key")

    settings.give("plan-signing-text", {"text": text, "digest": signing_digest(text).hex()}, show)
    return Answer.YES


def _list(settings: Settings, plan: Plan, known: Sequence[OwnerSignature]) -> Answer:
    def show(console: Console) -> None:
        for each in known:
            console.print(f"{shown.YES_MARK} {checksummed(each.signer)}")
        if not known:
            console.print(f"{shown.NO_MARK} nobody has signed {shown.cell(plan.protocol)} {plan.version}")

    settings.give("plan-signatures", _document(plan, known), show)
    return Answer.YES if known else Answer.NO


def _document(plan: Plan, signatures: Sequence[OwnerSignature]) -> dict[str, object]:
    return {"hash": plan.hash.hex(), "signers": [checksummed(each.signer) for each in signatures]}


def _signed(plan: Plan, file: Path) -> bytes:
    """Sign with the key of a file: 65 bytes, low s, v 27 or 28."""
    key = coincurve.PrivateKey(_secret(file).reveal())
    signature = bytes(key.sign_recoverable(signing_digest(signing_text(plan)), hasher=None))
    return signature[:64] + bytes([signature[64] + 27])


def _secret(file: Path) -> Secret:
    # SECURITY: no error repeats what the file holds.
    with file.open("rb") as opened:
        is_sealed = opened.read(1) == b"{"
    if is_sealed:
        passphrase = passphrase_of(PassphraseSource(variable=PASSPHRASE_VARIABLE))
        return unseal_key(file, KeyKind.SUBMITTER, KeyDerivation(passphrase))
    line = read_private_line(file, where=str(file)).strip()
    try:
        secret = bytes.fromhex(line.removeprefix("0x"))
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise KeyFileError(
            str(file), f"expected a private key of {SECRET_BYTES} bytes in hex, got another text"
        )
    return Secret(secret)


__all__ = ["sign"]
