"""Shares and ceremony seeds at rest, below `keys/threshold/` (threshold SPEC 3, "Secrets").

```
<key epoch>-<generation>.shares      all of our shares of one keys document, put in force
ceremonies/<ceremony>.seed           what our part of a ceremony derives from, until it has ended
ceremonies/<ceremony>.shares         what came of it, sealed before its transcript is signed
```
All of it sealed as every key of the member, 0600, whole or absent, and never overwritten: only erased. The
methods wait for the disk; call them on a thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proofs.canonical import decode, encode
from proofs.errors import ProofError
from proofs.fields import fields_of
from proofs.groupkeys import KeysDocument, group_suite
from relay.core.errors import KeyFileError
from relay.core.types import Digest, Identity
from relay.disk import Probe, erase_file, make_directory, no_probe, sweep_erased, sync_directory
from relay.keys.files import (
    KeyDerivation,
    KeyKind,
    Sealing,
    read_about,
    seal_about,
    sealing_of,
    unseal_about,
    write_key,
)
from relay.keys.held import HeldKeys, is_share_of
from relay.keys.secret import Secret
from relay.threshold.groups import GROUPS

__all__ = ["OpenedShares", "ShareFiles", "open_shares"]

_FORMAT: Final = "tocsin/shares/1"
_MAX_BYTES: Final = 1_024
_NAME: Final = re.compile(r"([0-9]{1,10})-([0-9]{1,10})\.shares")


@dataclass(frozen=True, slots=True)
class ShareFiles:
    """The files of one member; `sealing` is what new ones are sealed with."""

    directory: Path
    derivation: KeyDerivation
    sealing: Sealing
    probe: Probe = no_probe

    def begin(self) -> None:
        """Finish the erasures that a crash has interrupted, and derive what opens the files that are there.

        Raises:
            KeyFileError: the disk refuses.
        """
        try:
            sweep_erased(self.directory)
        except OSError as error:
            raise _refused(self.directory, error) from error
        for path, kind in self._sealed():
            # Now, while the passphrase is here; what is wrong with a file is told on its use.
            with suppress(KeyFileError):
                self.derivation.box(*sealing_of(path, kind))

    # ---- ceremonies

    def keep_seed(self, ceremony: Digest, fresh: Secret) -> Secret:
        """Give the seed of a ceremony: the one on disk, or `fresh` once it is there.

        Raises:
            KeyFileError: there is one that does not open, or the disk refuses.
        """
        found = self.seed(ceremony)
        if found is None:
            # DURABLE: what is said in a ceremony follows from its seed: on disk before the first word.
            self._write(self._seed(ceremony), KeyKind.SEED, ceremony, fresh)
            return fresh
        return found

    def seed(self, ceremony: Digest) -> Secret | None:
        """Give the seed of a ceremony; None when we take no part in it, or it has ended.

        Raises:
            KeyFileError: it does not open.
        """
        path = self._seed(ceremony)
        if not path.exists():
            return None
        about, seed = unseal_about(path, KeyKind.SEED, self.derivation)
        _require_about(path, about, ceremony)
        return seed

    def keep_shares(self, document: KeysDocument, shares: Mapping[str, int]) -> None:
        """Seal what came of the document's ceremony; they are not in force yet.

        Raises:
            KeyFileError: other shares of this ceremony are there, or the disk refuses.
        """
        path = self._pending(document.ceremony)
        if path.exists():
            _require_about(path, read_about(path, KeyKind.SHARES), document.digest)
            return
        # DURABLE: who signs the transcript has its shares on disk: others count on them.
        self._write(path, KeyKind.SHARES, document.digest, Secret(_shares_bytes(shares)))

    def has_shares(self, ceremony: Digest) -> bool:
        """Tell whether shares of a ceremony are sealed that are not in force: we have signed, or shall."""
        return self._pending(ceremony).exists()

    def put_in_force(self, document: KeysDocument) -> None:
        """Give the shares of a ceremony that is done the name under which they are found.

        Raises:
            KeyFileError: there are none of this document, others have the name, or the disk refuses.
        """
        path, pending = self._in_force(document), self._pending(document.ceremony)
        if path.exists():
            _require_about(path, read_about(path, KeyKind.SHARES), document.digest)
            return
        _require_about(pending, read_about(pending, KeyKind.SHARES), document.digest)
        try:
            # No other process writes here, and there is no file of that name: nothing is replaced.
            pending.rename(path)
            sync_directory(path.parent)
            sync_directory(pending.parent)
            self.probe(f"in force {path.name}")
        except OSError as error:
            raise _refused(path, error) from error

    def end(self, ceremony: Digest) -> None:
        """Erase what is left of a ceremony: its seed, and shares that were not put in force.

        Raises:
            KeyFileError: the disk refuses.
        """
        self._erase(self._seed(ceremony))
        self._erase(self._pending(ceremony))

    # ---- shares in force

    def open(self, document: KeysDocument, identity: Identity) -> dict[str, int]:
        """Open our shares of a document, also those that a crash kept from being put in force.

        Raises:
            KeyFileError: there is no file, it does not open, or it holds anything but these shares.
        """
        path, pending = self._in_force(document), self._pending(document.ceremony)
        if not path.exists() and pending.exists():
            path = pending
        about, content = unseal_about(path, KeyKind.SHARES, self.derivation)
        _require_about(path, about, document.digest)
        shares = _read_shares(path, content.reveal())
        if not is_share_of(document, identity, shares):
            raise KeyFileError(
                str(path), "expected the shares whose public halves the document has, got others"
            )
        return shares

    def settle(self, document: KeysDocument) -> None:
        """Erase what a document in force leaves over: its ceremony's seed, and generations before it.

        Raises:
            KeyFileError: the disk refuses.
        """
        self.end(document.ceremony)
        self.erase(document.key_epoch, before=document.generation)

    def erase(self, key_epoch: int, *, before: int | None = None) -> None:
        """Erase our shares of a key epoch; only those of generations before `before` if it is given.

        Raises:
            KeyFileError: the disk refuses.
        """
        for path in sorted(self.directory.glob("*.shares")):
            name = _NAME.fullmatch(path.name)
            if name is not None and int(name[1]) == key_epoch and (before is None or int(name[2]) < before):
                self._erase(path)

    def _sealed(self) -> list[tuple[Path, KeyKind]]:
        seeds = [(path, KeyKind.SEED) for path in self.directory.rglob("*.seed")]
        return seeds + [(path, KeyKind.SHARES) for path in self.directory.rglob("*.shares")]

    def _write(self, path: Path, kind: KeyKind, about: Digest, secret: Secret) -> None:
        content = seal_about(kind, about, secret, self.derivation, self.sealing)
        try:
            make_directory(self._ceremonies)
            for directory in (self.directory, self._ceremonies):
                directory.chmod(0o700)
        except OSError as error:
            raise _refused(path, error) from error
        write_key(path, content, probe=self.probe)

    def _erase(self, path: Path) -> None:
        try:
            erase_file(path, probe=self.probe)
        except OSError as error:
            raise _refused(path, error) from error

    @property
    def _ceremonies(self) -> Path:
        return self.directory / "ceremonies"

    def _seed(self, ceremony: Digest) -> Path:
        return self._ceremonies / f"{ceremony.hex()}.seed"

    def _pending(self, ceremony: Digest) -> Path:
        return self._ceremonies / f"{ceremony.hex()}.shares"

    def _in_force(self, document: KeysDocument) -> Path:
        return self.directory / f"{document.key_epoch}-{document.generation}.shares"


@dataclass(frozen=True, slots=True)
class OpenedShares:
    """What a signer holds at its start; `problems` say why it does not hold the rest."""

    identity: Identity
    files: ShareFiles
    keys: HeldKeys
    problems: tuple[KeyFileError, ...]


def open_shares(files: ShareFiles, identity: Identity, documents: Sequence[KeysDocument]) -> OpenedShares:
    """Open our shares of the newest generation of each key epoch, and finish what activating it began.

    A newest one that does not open is told, and the one before is tried.

    Raises:
        KeyFileError: the disk refuses.
    """
    files.begin()
    keys, problems, settled = HeldKeys(identity), list[KeyFileError](), set[int]()
    for document in sorted(documents, key=lambda each: (each.key_epoch, each.generation), reverse=True):
        if document.key_epoch in settled:
            continue
        try:
            if document.identifier(identity) is not None:
                keys.put(document, files.open(document, identity))
                files.put_in_force(document)
        except KeyFileError as problem:
            problems.append(problem)
            continue
        files.settle(document)
        settled.add(document.key_epoch)
    return OpenedShares(identity, files, keys, tuple(problems))


def _shares_bytes(shares: Mapping[str, int]) -> bytes:
    encoded = {
        name: GROUPS[group_suite(name)].scalar_to_bytes(share) for name, share in sorted(shares.items())
    }
    return encode({"format": _FORMAT, "shares": encoded})


def _read_shares(path: Path, content: bytes) -> dict[str, int]:
    try:
        fields = fields_of(decode(content, limit_bytes=_MAX_BYTES), "shares", ("format", "shares"))
        if fields.raw("format") != _FORMAT:
            raise KeyFileError(str(path), f"expected {_FORMAT}, got {fields.raw('format')!r}")
        names = fields.mapping("shares", max_items=4)
        shares = fields_of(names, "shares.shares", tuple(names))
        return {name: GROUPS[group_suite(name)].read_scalar(shares.binary(name, length=32)) for name in names}
    except ProofError as error:
        # SECURITY: no cause is kept: what is wrong with a share may show a part of it.
        raise KeyFileError(str(path), f"expected {_FORMAT}, got other bytes ({error.check})") from None


def _require_about(path: Path, found: Digest, expected: Digest) -> None:
    if found != expected:
        raise KeyFileError(
            str(path),
            f"expected a file about {expected.hex()[:16]}…, got one about {found.hex()[:16]}…",
            remedy="move it away; what it holds may be needed by the ceremony or document that it names",
        )


def _refused(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(str(path), f"expected to write below it, got: {error.strerror or error}")
