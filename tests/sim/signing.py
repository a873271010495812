"""A member's part in signing sessions: the real signer and its nonces, over a disk that may fail."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

from relay.core.effects import Commit, CommitPossession, SignShare
from relay.core.errors import GuardRefusal
from relay.core.types import DecisionId, Digest, Identity
from relay.keys.guard import require_held
from relay.keys.held import HeldKeys
from relay.keys.nonces import NonceVault
from relay.keys.sessions import SessionSigner
from relay.keys.spent import Spending
from relay.threshold.messages import SessionMessage
from tests.sim.dealer import Dealt
from tests.sim.keys import Guard

T = TypeVar("T")
Write = Callable[[Callable[[], None]], None]


@dataclass(frozen=True)
class Release:
    """A share that left a machine: by which nonces, for which digest."""

    nonce: Digest
    digest: Digest


@dataclass
class Desk:
    """One process' session signer. `write` is called around each durable write, and may end the process."""

    me: Identity
    guard: Guard
    keys: list[Dealt]
    write: Write
    entropy: Callable[[int], bytes]
    released: list[Release]
    """Every share that ever left this machine."""
    unlocked: bool = False
    _held: HeldKeys = field(init=False)
    _signer: SessionSigner = field(init=False)

    def __post_init__(self) -> None:
        self.guard.boot += 1
        self._held = HeldKeys(self.me)
        for dealt in self.keys:
            self.put(dealt)
        vault = NonceVault(self.guard.boot)
        self._signer = SessionSigner(self, self.me, self._held, vault, self.entropy)  # type: ignore[arg-type]

    def put(self, dealt: Dealt) -> None:
        """Take our shares of further keys."""
        if self.me in dealt.shares:
            self._held.put(dealt.document, dealt.shares[self.me])

    def answer(self, effect: Commit | CommitPossession | SignShare) -> SessionMessage | None:
        """Do what the node asks for; None if the signer refuses."""
        try:
            match effect:
                case Commit(prepared, key_id, coordinators):
                    epoch = prepared.decision.key_epoch
                    wanted = self._signer.commit(prepared.id, epoch, prepared.mandate, key_id, coordinators)
                    return _at_once(wanted)
                case CommitPossession(key_id, coordinators):
                    return _at_once(self._signer.commit_possession(key_id, coordinators))
                case SignShare(request, coordinator):
                    return _at_once(self._signer.sign_share(request, coordinator))
        except GuardRefusal:
            return None

    # ---- the guard, as the signer sees it

    def require_release(self) -> None:
        if not self.unlocked:
            raise GuardRefusal("not yet released")

    async def holds(self, decision_id: DecisionId, key_epoch: int) -> bytes | None:
        return self.guard.held.get((decision_id, key_epoch))

    async def spend(self, spending: Spending, said: tuple[DecisionId, int] | None) -> None:
        """Keep the rules of the spent table over the simulated disk."""
        if said is not None:
            held = self.guard.held.get(said)
            require_held(None if held is None else Digest(held), spending.digest)
        if self.guard.boot != spending.boot:
            raise GuardRefusal("nonce dead")
        if spending.nonce in self.guard.spent:
            raise GuardRefusal("nonce spent")
        self.write(lambda: self.guard.spent.__setitem__(spending.nonce, spending.digest))
        self.released.append(Release(spending.nonce, spending.digest))


def _at_once(wanted: Coroutine[object, None, T]) -> T:
    """Run what waits for nothing here."""
    try:
        wanted.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    raise AssertionError("the simulated disk answers at once")
