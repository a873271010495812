"""`--send`: an owner's calls from an account of one's own. For development chains."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import coincurve

from relay.cli.node_files import PASSPHRASE_VARIABLE, passphrase_of
from relay.cli.settings import Settings
from relay.config import PassphraseSource
from relay.core.errors import ConfigError, KeyFileError, TocsinError
from relay.core.office import GatewayOffice, OwnerCall, Sent
from relay.core.ports import ChainSettings
from relay.core.types import Address
from relay.keys import KeyKind, Secret
from relay.keys.files import KeyDerivation, unseal_key
from relay.keys.keyring import address_of

SECRET_BYTES = 32


class NotSent(TocsinError):
    """Refused for safety: nothing was sent."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say: whose key, and whether the operator knows that this is no development chain."""

    send: bool
    key_file: Path | None
    key_env: str | None
    i_know: bool


class Account:
    """A key that pays for transactions: the port `TransactionSigner`."""

    def __init__(self, secret: Secret) -> None:
        self._key = coincurve.PrivateKey(secret.reveal())

    def __repr__(self) -> str:
        return "Account(…)"

    @property
    def submitter(self) -> Address:
        return address_of(self._key)

    async def sign_transaction(self, digest: bytes) -> bytes:
        return bytes(self._key.sign_recoverable(digest, hasher=None))


def open_account(wish: Wish) -> Account:
    """Open the key: a sealed file of kind `submitter`, or hex in an environment variable.

    Raises:
        ConfigError: neither or both are given, or it does not open.
    """
    # SECURITY: never an argument: other users of the machine see a process's arguments.
    if (wish.key_file is None) == (wish.key_env is None):
        remedy = "tocsin key files of kind submitter are sealed; or export a development key"
        raise ConfigError("--send", "expected one of --key-file and --key-env", remedy=remedy)
    if wish.key_file is not None:
        passphrase = passphrase_of(PassphraseSource(variable=PASSPHRASE_VARIABLE))
        return Account(unseal_key(wish.key_file, KeyKind.SUBMITTER, KeyDerivation(passphrase)))
    try:
        secret = bytes.fromhex(os.environ.get(wish.key_env or "", "").removeprefix("0x"))
        return Account(Secret(secret))
    except ValueError:
        # SECURITY: the name is not repeated: who misreads the option gives the key itself.
        problem = f"expected a variable with a private key of {SECRET_BYTES} bytes in hex, got none"
        raise KeyFileError("--key-env", problem) from None


def check_allowed(settings: Settings, office: GatewayOffice, chain: ChainSettings, wish: Wish) -> None:
    """Refuse a chain that is not known to be for development, unless `--yes` and `--i-know` are given.

    Raises:
        NotSent: it is refused.
    """
    if office.is_development(chain.chain) or (settings.yes and wish.i_know):
        return
    raise NotSent(
        f"{chain.chain} is not known as a development chain, and --send signs with a single key: hand the"
        " calls to the owner with --out, or give --yes and --i-know"
    )


def send_calls(
    settings: Settings,
    office: GatewayOffice,
    chain: ChainSettings,
    account: Account,
    calls: Sequence[OwnerCall],
) -> list[Sent]:
    """Send them one after the other, and stop at the first that fails.

    Raises:
        NotSent: nobody confirmed.
    """
    sender = office.address("0x" + account.submitter.hex())
    if not settings.confirm(f"Send {len(calls)} transactions to {chain.chain} from {sender}?"):
        raise NotSent("not confirmed (give --yes where nobody can be asked)")
    sent: list[Sent] = []
    for call in calls:
        done = asyncio.run(office.send(chain, account, call))
        sent.append(done)
        if not done.succeeded:
            settings.say(f"{call.method.partition('(')[0]}: refused: {done.reason}")
            break
        tx = "" if done.tx is None else done.tx.hex()
        settings.say(f"{call.method.partition('(')[0]}: done, {done.gas_used:,} gas, 0x{tx}")
    return sent


__all__ = ["Account", "NotSent", "Wish", "check_allowed", "open_account", "send_calls"]
