"""Incidents of bridges, shaped after Nomad and Ronin, on traffic of quiet days that is made up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from relay.plans.rows import Observations
from tests.incidents.diary import AWAY, DAY_S, HOME, HOUR_S, Diary, Noise, Scenario, at, filled

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
_UNIT = 10**6
"""Millionths, of which the accounts of the bridge plan are."""
QUIET_S = DAY_S
"""Before each incident. The drain rule's base moves with every block, so each day costs a second here."""


@dataclass(frozen=True)
class Token:
    """A bridged token: what it is called, its decimals, its price in US cents, and what people move of it."""

    address: str
    symbol: str
    decimals: int
    price_cents: int
    median: int
    cap: int

    @property
    def to_raw(self) -> int:
        """Base units in a millionth."""
        return int(10 ** (self.decimals - 6))

    def usd(self, millionths: int) -> int:
        """Give the worth of an amount in whole US dollars."""
        return millionths * self.price_cents // (100 * _UNIT)


DOLLAR = Token(USDC, "USDC", 6, 100, median=1_000 * _UNIT, cap=1_000_000 * _UNIT)
ETHER = Token(WETH, "WETH", 18, 300_000, median=_UNIT // 2, cap=400 * _UNIT)


def bridge_plan(*tokens: Token, **limits: int) -> str:
    """Give the ready bridge plan for these tokens; the vault of the first one is watched for drain."""
    first = tokens[0]
    text = filled(
        "bridge",
        {
            "token": first.address,
            "remote_token": first.address,
            "symbol": first.symbol,
            "decimals": str(first.decimals),
            "scale": str(first.decimals - 6),
            "price_cents": str(first.price_cents),
        },
        **limits,
    )
    for token in tokens[1:]:
        text = _with_token(text, token)
    return text


def _with_token(text: str, token: Token) -> str:
    """Add a line to each `keys`, as the head of the ready plan says."""
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        if re.match(r'"0x[0-9a-f]{40}" = \{', line):
            scale, price = token.decimals - 6, ""
            if "price" in line:
                scale, price = token.decimals, f", price = {token.price_cents}"
            lines.append(f'"{token.address}" = {{ name = "{token.symbol}", scale = {scale}{price} }}')
    return "\n".join(lines) + "\n"


@dataclass
class Bridge:
    """A bridge at work: what its vault holds, and the withdrawals that are under way."""

    diary: Diary
    noise: Noise
    vault: Token
    held: int
    """Millionths of the vault's token."""
    changes: list[tuple[int, int]] = field(default_factory=list)
    """When the vault changed, and by how much."""

    def enter(self, time_s: int, token: Token, amount: int) -> None:
        """Somebody locks at home, and gets it minted on the other chain half an hour later, about."""
        raw = amount * token.to_raw
        self.diary.event(time_s, HOME, "Lock", token=token.address, amount=raw)
        self.diary.event(
            time_s + self.noise.between(20 * 60, 90 * 60), AWAY, "Mint", token=token.address, amount=raw
        )
        self._move(time_s, token, amount)

    def leave(self, time_s: int, token: Token, amount: int, *, takes_s: int = 0) -> None:
        """Somebody burns on the other chain, and gets it released at home after `takes_s`, or half an hour,
        about.
        """
        raw, arrival_s = amount * token.to_raw, time_s + (takes_s or self.noise.between(20 * 60, 90 * 60))
        self.diary.event(time_s, AWAY, "Burn", token=token.address, amount=raw)
        self.diary.event(arrival_s, HOME, "Release", token=token.address, amount=raw)
        self._move(arrival_s, token, -amount)

    def steal(self, time_s: int, token: Token, amount: int) -> None:
        """Somebody gets released what nobody burned."""
        self.diary.attack(
            time_s,
            HOME,
            "Release",
            token.usd(amount),
            token=token.address,
            amount=amount * token.to_raw,
        )
        self._move(time_s, token, -amount)

    def go_on(self, start_s: int, end_s: int, tokens: tuple[Token, ...]) -> None:
        """Let traffic of both directions flow, about one transfer in ten minutes, and twice a day a burst of
        equal small withdrawals, as Nomad's benign traffic had them (13 within ten minutes).
        """
        for time_s in self.noise.often(start_s, end_s - 2 * HOUR_S, 600):
            token = tokens[self.noise.between(0, len(tokens) - 1)]
            amount = self.noise.heavy(token.median, token.cap)
            (self.enter if self.noise.between(0, 1) else self.leave)(time_s, token, amount)
        for time_s in self.noise.often(start_s, end_s - 4 * HOUR_S, DAY_S // 2):
            takes_s = self.noise.between(20 * 60, 90 * 60)
            for place in range(self.noise.between(5, 13)):
                self.leave(time_s + 30 * place, tokens[0], tokens[0].median // 20, takes_s=takes_s)

    def settle(self, start_s: int) -> Observations:
        """Tell what the vault held, and give all rows."""
        held = self.held
        raw = held * self.vault.to_raw
        self.diary.state(start_s, held=raw, held_before=raw, base=raw)
        for time_s, change in sorted(self.changes):
            held += change
            self.diary.state(time_s, held=held * self.vault.to_raw)
        return self.diary.observations()

    def _move(self, time_s: int, token: Token, change: int) -> None:
        if token == self.vault:
            self.changes.append((time_s, change))


NOMAD_S = at("2022-08-01T21:32")
_NOMAD_MINUTES = (0, 22, 67, 90, 145)
_NOMAD_BP = (140, 1_400, 3_800, 9_400, 10_000)
_NOMAD_USD = 160_080_000
_NOMAD_RELEASES = 400


def nomad(noise: Noise) -> Observations:
    """Shaped after Nomad, 1 August 2022: anybody could copy the first withdrawal.

    Public: 160 M USD of mapped tokens in 1,175 releases within 671 blocks; the first block took 1.4 %; gone
    were 14 % after 22 minutes, 38 % after 67, 94 % after 90; the first protective act came after about two
    hours. Benign traffic had up to 13 equal small withdrawals within ten minutes. Invented: one token worth
    a dollar in the place of nine, 400 releases, how many share a block, and the quiet day before.
    """
    bridge = Bridge(Diary(), noise, DOLLAR, _NOMAD_USD * _UNIT)
    start_s = NOMAD_S - QUIET_S
    bridge.go_on(start_s, NOMAD_S, (DOLLAR,))
    for _ in range(4):
        bridge.steal(NOMAD_S, DOLLAR, _NOMAD_USD * _UNIT * 140 // 40_000)
    gone_bp = 140
    for place in range(1, _NOMAD_RELEASES - 3):
        time_s = _NOMAD_MINUTES[-1] * 60 * place // (_NOMAD_RELEASES - 4)
        share_bp = _share_bp(time_s)
        bridge.steal(NOMAD_S + time_s, DOLLAR, _NOMAD_USD * _UNIT * (share_bp - gone_bp) // 10_000)
        gone_bp = share_bp
    return bridge.settle(start_s)


def _share_bp(time_s: int) -> int:
    """Give the share that was gone after some seconds, in 1/10,000: straight lines between what is known."""
    for place in range(1, len(_NOMAD_MINUTES)):
        left_s, right_s = (minutes * 60 for minutes in _NOMAD_MINUTES[place - 1 : place + 1])
        if time_s <= right_s:
            low, high = _NOMAD_BP[place - 1 : place + 1]
            return low + (high - low) * (time_s - left_s) // (right_s - left_s)
    return 10_000


RONIN_S = at("2022-03-23T13:29")


def ronin(noise: Noise) -> Observations:
    """Shaped after Ronin, 23 March 2022: five of nine validator keys signed two withdrawals that nobody
    asked for.

    Public: 173,600 ether at 13:29 UTC and 25.5 M USDC two minutes later, about 540 M USD; the team noticed
    after six days. Invented: ether at 3,000 USD, a vault of 182,000 ether, and the quiet day before.
    Nearly all of it leaves in one transaction, which nothing stops: what is left to save is the second one.
    """
    bridge = Bridge(Diary(), noise, ETHER, 182_000 * _UNIT)
    start_s = RONIN_S - QUIET_S
    bridge.go_on(start_s, RONIN_S, (ETHER, DOLLAR))
    bridge.steal(RONIN_S, ETHER, 173_600 * _UNIT)
    bridge.steal(RONIN_S + 120, DOLLAR, 25_500_000 * _UNIT)
    return bridge.settle(start_s)


RONIN_2024_S = at("2024-08-06T09:37")


def ronin_2024(noise: Noise) -> Observations:
    """Shaped after Ronin, 6 August 2024: after an upgrade the bridge asked for no votes, a bot withdrew
    twice.

    Public: 3,996 ether at 09:37 UTC and 2 M USDC at 10:11, each the most that one withdrawal may be,
    about 12 M USD; paused at 10:15, with 850 M USD behind it. Invented: ether at 2,450 USD, a vault of
    140,000 ether, and the quiet day before. A cap for each withdrawal leaves time to act between the two.
    """
    ether = Token(WETH, "WETH", 18, 245_000, ETHER.median, ETHER.cap)
    bridge = Bridge(Diary(), noise, ether, 140_000 * _UNIT)
    start_s = RONIN_2024_S - QUIET_S
    bridge.go_on(start_s, RONIN_2024_S, (ether, DOLLAR))
    bridge.steal(RONIN_2024_S, ether, 3_996 * _UNIT)
    bridge.steal(RONIN_2024_S + 34 * 60, DOLLAR, 2_000_000 * _UNIT)
    return bridge.settle(start_s)


def scenarios() -> tuple[Scenario, ...]:
    """Give the incidents of bridges."""
    return (
        Scenario(
            "Nomad 2022: anybody copies one withdrawal",
            "bridge",
            bridge_plan(DOLLAR),
            seed=20220801,
            made=nomad,
            rules=("unbacked-release", "repeated-withdrawals"),
            in_fact="2 h",
            most_share=0.02,
        ),
        Scenario(
            "Ronin 2022: two withdrawals by valid signatures",
            "bridge",
            bridge_plan(ETHER, DOLLAR),
            seed=20220323,
            made=ronin,
            rules=("unbacked-release", "drain"),
            in_fact="6 days",
            most_share=0.96,
        ),
        Scenario(
            "Ronin 2024: two withdrawals without votes, each capped",
            "bridge",
            bridge_plan(ETHER, DOLLAR),
            seed=20240806,
            made=ronin_2024,
            rules=("unbacked-release",),
            in_fact="38 min",
            most_share=0.84,
        ),
    )
