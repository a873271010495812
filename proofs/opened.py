"""Sealed fields of a bundle's records, in it or beside it (`proofs/SPEC.md` 9, 13)."""

from collections.abc import Iterator, Mapping, Sequence

from proofs.bundle import BundleDisclosure
from proofs.disclosure import DisclosureError, decode_disclosure, open_field, sealed_of
from proofs.ground import Ground, LoggedRecord, record_at
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.verdict import DisclosedField

__all__ = ["check_disclosed"]


def check_disclosed(
    disclosed: Sequence[BundleDisclosure],
    files: Sequence[bytes],
    records: Sequence[LoggedRecord],
    ground: Ground,
) -> tuple[DisclosedField, ...]:
    """Check that each field was sealed in its record; give all, those of the bundle first.

    A field that a file repeats stands once.

    Raises:
        DisclosureError: `sealed-form`, `sealed-root`, `sealed-record` (of a record that seals nothing, or of
            none here), `sealed-twice`.
    """
    opened: dict[tuple[Digest, str], DisclosedField] = {}
    for each in disclosed:
        record = record_at(records, each.record).envelope
        key = (record.digest, each.opened.field)
        if key in opened:
            raise DisclosureError("sealed-twice", f"expected each field once, got {each.opened.field} again")
        value = open_field(sealed_of(record.kind, record.body), each.opened)
        opened[key] = DisclosedField(record.digest, record.kind, ground.name_of(record), key[1], value)
    by_digest = {record.envelope.digest: record for record in records}
    for data in files:
        for field in _of_file(data, by_digest, ground):
            # One value fits a field's place: what stands here already is the same.
            opened.setdefault((field.record, field.field), field)
    return tuple(opened.values())


def _of_file(
    data: bytes, by_digest: Mapping[Digest, LoggedRecord], ground: Ground
) -> Iterator[DisclosedField]:
    file = decode_disclosure(data)
    digest = sha256(file.envelope)
    record = by_digest.get(digest)
    if record is None:
        raise DisclosureError("sealed-record", f"expected a record of this bundle, got {digest.hex()}")
    envelope = record.envelope
    sealed = sealed_of(envelope.kind, envelope.body)
    for each in file.fields:
        value = open_field(sealed, each)
        yield DisclosedField(digest, envelope.kind, ground.name_of(envelope), each.field, value)
