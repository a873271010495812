"""The keys files of a node: what is in force, and what its members have added to it (threshold SPEC 2)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from proofs.committee import CommitteeDocument
from proofs.groupkeys import KeysDocument, SignedKeys
from relay.config import KeptKeys, dump_keys, keys_file, keys_files, load_keys, load_known_keys
from relay.core.errors import ConfigError, JournalError
from relay.disk import replace_file
from relay.telemetry import Telemetry

__all__ = ["KeysFiles"]


class KeysFiles:
    """Reads and writes `committee/keys-*.keys`; the methods wait for the disk."""

    def __init__(
        self,
        directory: Path,
        committees: Callable[[], Sequence[CommitteeDocument]],
        telemetry: Telemetry,
    ) -> None:
        self._directory = directory
        self._committees = committees
        self._telemetry = telemetry
        self._writing = threading.Lock()
        """Two proofs may come at once, and each is added to what is there."""
        self._seen: object = None

    def path(self, document: KeysDocument) -> Path:
        """Give where the keys of a document lie."""
        return keys_file(self._directory, document)

    def in_force(self) -> tuple[KeptKeys, ...]:
        """Give the keys that are in force, oldest first; what is not is told, and changes nothing."""
        self._seen = self._fingerprint()
        known = load_known_keys(self._directory, self._committees())
        for problem in known.problems:
            self._telemetry.warning("keys file not in force", detail=str(problem))
        return known.keys

    def look(self) -> tuple[KeptKeys, ...]:
        """Give what is in force if a file, or a committee document to hold it against, has come since."""
        return () if self._fingerprint() == self._seen else self.in_force()

    def keep(self, signed: SignedKeys) -> None:
        """Write the keys of a ceremony that is done; the same again changes nothing.

        Raises:
            JournalError: the disk refuses, or other keys have that name.
        """
        with self._writing:
            kept = self._kept(signed.document)
            if kept is None:
                self._write(KeptKeys(signed, self._proved_before(signed.document)))

    def add_possession(self, document: KeysDocument, possession: Mapping[str, bytes]) -> None:
        """Add proofs that keys can sign to their file.

        Raises:
            JournalError: the disk refuses.
        """
        with self._writing:
            kept = self._kept(document)
            if kept is not None and not possession.items() <= kept.possession.items():
                self._write(KeptKeys(kept.signed, {**kept.possession, **possession}))

    def _proved_before(self, document: KeysDocument) -> dict[str, bytes]:
        """Give what earlier files prove of the very same keys: a reshare leaves them as they were."""
        found: dict[str, bytes] = {}
        for kept in load_known_keys(self._directory, self._committees()).keys:
            for name, certificate in kept.possession.items():
                group, before = document.group(name), kept.document.group(name)
                is_of_epoch = kept.document.key_epoch == document.key_epoch
                if is_of_epoch and group is not None and before is not None and group.key == before.key:
                    found[name] = certificate
        return found

    def _kept(self, document: KeysDocument) -> KeptKeys | None:
        path = self.path(document)
        if not path.exists():
            return None
        try:
            kept = load_keys(path)
        except ConfigError as error:
            # What a crash or a hand has spoilt is written again.
            self._telemetry.warning("keys file not in force", detail=str(error))
            return None
        if kept.document.raw != document.raw:
            raise JournalError(f"{path}: expected keys {document.digest.hex()}, got others")
        return kept

    def _fingerprint(self) -> object:
        """Give what shows a change without reading files."""
        found = [(path.name, path.stat()) for path in keys_files(self._directory)]
        committees = [document.committee_epoch for document in self._committees()]
        return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in found], committees

    def _write(self, keys: KeptKeys) -> None:
        path = self.path(keys.document)
        try:
            replace_file(path, dump_keys(keys).encode())
        except OSError as error:
            raise JournalError(f"{path}: expected to write it, got: {error.strerror}") from error
