"""Playing a scenario on two chains: the quiet months, then the attack, with or without anybody watching."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import coincurve
from eth_utils.crypto import keccak

from adapters.evm.demo.scenario import Kind, Scenario, Step
from adapters.evm.demo.traffic import Call, Driver, encode_arguments, encode_call
from adapters.evm.demo.world import STABLE_UNIT, World

__all__ = ["Attack", "Block", "Bridge", "calm_blocks", "quiet_blocks"]

MESSAGE: Final = "(uint256,address,uint256,address)"
BLOCK_S: Final = 12
"""Between two blocks of either chain while the attack runs."""
CALM_BLOCKS: Final = 20
CALM_MARGIN_S: Final = 60
"""Before them there is time for the market to take up its plan."""
"""Regular blocks before the first bad release."""
BORROW_AFTER_S: Final = 36
"""So long after the first bad release the attacker borrows against the bridged token."""
UPDATER_KEY: Final = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
"""The public development key of anvil's second account: the bridge's updater, in the demonstration only."""
BORROW_USD: Final = 500_000


@dataclass(slots=True)
class Bridge:
    """Turns steps into transactions, and knows which burn a release belongs to."""

    world: World
    _next_burn: int = 0
    _messages: dict[str, tuple[int, str, int, str]] = field(default_factory=dict)
    _unburned: int = 1 << 64

    def copy(self) -> Bridge:
        """The same bridge at the same point, for another run of what follows."""
        return Bridge(self.world, self._next_burn, dict(self._messages), self._unburned)

    def burn(self, step: Step) -> Call:
        """The user burns the bridged token on the far chain."""
        original = self.world.original[step.token]
        self._messages[step.withdrawal_id] = (self._next_burn, original, step.amount, self.world.user)
        self._next_burn += 1
        data = encode_call("send(address,uint256,address)", original, step.amount, self.world.user)
        return Call(self.world.user, self.world.home, data)

    def release(self, step: Step) -> Call:
        """The bridge's agent commits the root, proves the message and processes it: all in one transaction.

        A release whose burn is not in the recording is taken as committed by the updater all the same.
        """
        message = self._messages.pop(step.withdrawal_id, None) or self._stray(step, self.world.user)
        root = _hash(message)
        update = encode_call("update(bytes32,bytes)", root, self._signature(root))
        prove = encode_call(f"proveAndProcess({MESSAGE},bytes32[])", message, [])
        data = encode_call("multicall(bytes[])", [update, prove])
        return Call(self.world.owner, self.world.replica, data)

    def steal(self, step: Step) -> Call:
        """The flaw: a message that nobody proved has the root zero, and the root zero was confirmed."""
        message = self._stray(step, self.world.attacker)
        return Call(self.world.attacker, self.world.replica, encode_call(f"process({MESSAGE})", message))

    def borrow(self) -> Call:
        """The second leg: the bridged token, whose backing is going, against good money."""
        collateral = self.world.bridged[self.world.collateral.address]
        data = encode_call("borrow(address,uint256)", collateral, BORROW_USD * STABLE_UNIT)
        return Call(self.world.attacker, self.world.market, data)

    def _stray(self, step: Step, recipient: str) -> tuple[int, str, int, str]:
        self._unburned += 1
        return (self._unburned, self.world.original[step.token], step.amount, recipient)

    def _signature(self, root: bytes) -> bytes:
        said = keccak(encode_arguments("(address,bytes32)", self.world.replica, root))
        digest = keccak(b"\x19Ethereum Signed Message:\n32" + said)
        signature = coincurve.PrivateKey(UPDATER_KEY).sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])


@dataclass(frozen=True, slots=True)
class Block:
    """What one time brings to both chains."""

    timestamp: int
    near: tuple[Call, ...]
    far: tuple[Call, ...]


def quiet_blocks(scenario: Scenario, bridge: Bridge) -> Iterable[Block]:
    """Give a block on each chain for every time at which something happened before the attack."""
    calm_from = scenario.attack_at - CALM_BLOCKS * BLOCK_S - CALM_MARGIN_S
    for timestamp, steps in groupby(scenario.quiet(), key=lambda step: min(step.timestamp, calm_from - 1)):
        near, far = [], []
        for step in steps:
            if step.kind is Kind.BURN:
                far.append(bridge.burn(step))
            else:
                near.append(bridge.release(step))
        yield Block(timestamp, tuple(near), tuple(far))


def calm_blocks(scenario: Scenario) -> Iterable[Block]:
    """Give regular blocks before the attack: chains make them also when nobody uses them.

    The months before go without these, for time's sake.
    """
    for number in range(CALM_BLOCKS, 0, -1):
        yield Block(scenario.attack_at - number * BLOCK_S, (), ())


@dataclass(frozen=True, slots=True)
class Progress:
    """Block pair `number` of the attack, mined; `stolen` and `stopped` count its attack releases."""

    number: int
    near_block: int
    far_block: int
    stolen: int
    stolen_usd: float
    stopped: int
    borrowed: bool | None


@dataclass(slots=True)
class Attack:
    """Plays the storm on two chains, block by block, at most `BLOCK_S` of chain time apart.

    `near` and `far` may be the chains of the demonstration, or copies of them that nobody watches.
    """

    near: Driver
    far: Driver
    scenario: Scenario
    bridge: Bridge
    stolen_usd: float = 0.0
    stolen: int = 0
    attempted: int = 0
    borrowed_usd: float = 0.0
    mined: int = 0
    first_block: tuple[int, int] | None = None

    async def run(self, dense: int) -> AsyncIterator[Progress]:
        """Mine the attack: the first `dense` blocks all, later only those in which something happens."""
        steps = list(self.scenario.stormy())
        at, position, tried_borrow = self.scenario.attack_at, 0, False
        while position < len(steps) or not tried_borrow or self.mined < dense:
            now: list[Step] = []
            while position < len(steps) and steps[position].timestamp <= at:
                now.append(steps[position])
                position += 1
            borrow = not tried_borrow and at >= self.scenario.attack_at + BORROW_AFTER_S
            tried_borrow = tried_borrow or borrow
            yield await self._block(at, now, borrow=borrow)
            at += BLOCK_S
            if self.mined >= dense and tried_borrow and position < len(steps):
                at = max(at, steps[position].timestamp)

    async def _block(self, at: int, steps: Sequence[Step], *, borrow: bool) -> Progress:
        far_calls = [self.bridge.burn(step) for step in steps if step.kind is Kind.BURN]
        far_calls += [self.bridge.borrow()] if borrow else []
        releases = [step for step in steps if step.kind is Kind.RELEASE]
        near_calls = [
            self.bridge.steal(step) if step.is_attack else self.bridge.release(step) for step in releases
        ]
        near_txs = await self.near.block(at, near_calls)
        far_txs = await self.far.block(at, far_calls)
        done = await self.near.succeeded(near_txs)
        attacks = [(step, ok) for step, ok in zip(releases, done, strict=True) if step.is_attack]
        took = [step.value_usd for step, ok in attacks if ok]
        self.attempted += len(attacks)
        self.stolen += len(took)
        self.stolen_usd += sum(took)
        borrowed = (await self.far.succeeded(far_txs[-1:]))[0] if borrow else None
        self.borrowed_usd += BORROW_USD if borrowed else 0
        self.mined += 1
        near_number, far_number = await self.near.number(), await self.far.number()
        if self.first_block is None and took:
            self.first_block = (near_number, far_number)
        return Progress(
            number=self.mined,
            near_block=near_number,
            far_block=far_number,
            stolen=len(took),
            stolen_usd=sum(took),
            stopped=len(attacks) - len(took),
            borrowed=borrowed,
        )


def _hash(message: tuple[int, str, int, str]) -> bytes:
    return keccak(keccak(encode_arguments(f"({MESSAGE})", message)))
