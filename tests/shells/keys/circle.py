"""Four members with signers of their own, and the ceremonies that they perform."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from proofs.committee import CommitteeDocument, CommitteeMember, CommitteeStatement, build_committee
from proofs.envelope import Envelope, PayloadFields, assemble_envelope, build_payload, open_envelope
from proofs.groupkeys import KeysDocument
from proofs.hashes import sha256
from proofs.kinds import Digest, Identity, Millis
from relay.disk import Probe, no_probe
from relay.keys import KdfCost, LocalSigner, PublicKeys, Secret, generate, open_signer
from relay.threshold.bodies import CEREMONY_KIND, ceremony_body
from relay.threshold.ceremony import Ceremony, Duty, begin, take
from relay.threshold.messages import CeremonyMessage, Proposal

__all__ = ["Circle"]

PASSPHRASE = Secret(b"correct horse")
NAMES = ("alice", "bob", "carol", "dave")
Twist = Callable[[Identity, CeremonyMessage], CeremonyMessage]


def _honest(_author: Identity, message: CeremonyMessage) -> CeremonyMessage:
    return message


@dataclass
class Circle:
    """A committee whose keys lie below `home`, one directory each."""

    home: Path
    keys: dict[Identity, PublicKeys] = field(init=False)
    names: dict[Identity, str] = field(init=False)
    committee: CommitteeDocument = field(init=False)

    def __post_init__(self) -> None:
        cost = KdfCost(passes=1, memory_bytes=8 << 10)
        made = {name: generate(self.home / name / "keys", PASSPHRASE, cost=cost) for name in NAMES}
        self.keys = {keys.identity: keys for keys in made.values()}
        self.names = {keys.identity: name for name, keys in made.items()}
        members = tuple(_member(name, keys) for name, keys in made.items())
        self.committee = build_committee(CommitteeStatement("circle", 1, 1, 0, True, None, members))

    @property
    def identities(self) -> tuple[Identity, ...]:
        return tuple(sorted(self.keys))

    def directory(self, member: Identity) -> Path:
        return self.home / self.names[member]

    def files(self, member: Identity) -> list[str]:
        """What lies in a member's directory of threshold keys."""
        directory = self.directory(member) / "keys" / "threshold"
        return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())

    @asynccontextmanager
    async def open(
        self,
        documents: Sequence[KeysDocument] = (),
        probes: dict[Identity, Probe] | None = None,
        *,
        released: bool = True,
    ) -> AsyncIterator[dict[Identity, LocalSigner]]:
        """All signers."""
        async with AsyncExitStack() as stack:
            signers = {
                member: await stack.enter_async_context(
                    open_signer(
                        self.directory(member) / "keys",
                        guard_path=self.directory(member) / "guard.sqlite",
                        passphrase=PASSPHRASE,
                        documents=documents,
                        probe=(probes or {}).get(member, no_probe),
                    )
                )
                for member in self.identities
            }
            for signer in signers.values() if released else ():
                await signer.release_guard()
            yield signers

    def proposal(self, base: KeysDocument | None = None, **changes: object) -> Proposal:
        plain = Proposal(
            network=self.committee.network,
            committee=Digest(sha256(self.committee.raw)),
            committee_epoch=1,
            key_epoch=1,
            generation=1 if base is None else base.generation + 1,
            base=None if base is None else base.digest,
            dealers=self.identities,
            receivers=self.identities,
            groups=("fast", "full"),
            rotation=None,
            deadline_ms=1_000,
            salt=bytes(16),
        )
        return replace(plain, **changes)  # type: ignore[arg-type]  # names are the dataclass's own

    async def begin(
        self, signer: LocalSigner, proposal: Proposal, base: KeysDocument | None = None
    ) -> Ceremony:
        envelope = await self.envelope(signer, proposal)
        return begin(envelope, proposal, self.committee, base)

    async def perform(
        self,
        signers: dict[Identity, LocalSigner],
        ceremony: Ceremony,
        twist: Twist = _honest,
        before: Duty | None = None,
    ) -> Ceremony:
        """Let everybody do its duty until nobody has one but, if it is given, `before`."""
        done: set[tuple[Identity, Duty]] = set()
        while True:
            wanted = [
                (member, duty)
                for member in signers
                if (duty := ceremony.wants(member, 1)) not in (None, before) and (member, duty) not in done
            ]
            if not wanted:
                return ceremony
            done.update(wanted)
            for member, duty in wanted:
                for message in await self.duty(signers[member], ceremony, duty):
                    said = twist(member, message)
                    ceremony, _ = take(ceremony, await self.envelope(signers[member], said), said)

    async def duty(self, signer: LocalSigner, ceremony: Ceremony, duty: Duty) -> tuple[CeremonyMessage, ...]:
        """What a member says next."""
        match duty:
            case Duty.JOIN:
                return (await signer.ceremony_join(ceremony),)
            case Duty.DEAL:
                return (await signer.ceremony_deal(ceremony),)
            case Duty.OPEN:
                found = await signer.ceremony_check(ceremony)
                return found if isinstance(found, tuple) else (found,)

    async def envelope(self, signer: LocalSigner, message: CeremonyMessage) -> Envelope:
        payload = build_payload(
            PayloadFields(
                network=self.committee.network,
                author=signer.identity,
                committee_epoch=1,
                kind=CEREMONY_KIND[type(message)],
                at_ms=Millis(1),
                body=ceremony_body(message),
            )
        )
        return open_envelope(assemble_envelope(payload, await signer.sign_envelope(payload)))


def _member(name: str, keys: PublicKeys) -> CommitteeMember:
    return CommitteeMember(
        identity=keys.identity,
        attester=keys.attester,
        log=keys.log,
        cosigner=keys.cosigner,
        name=name,
        operator=name,
        addresses=(),
        providers={},
    )
