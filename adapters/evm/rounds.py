"""The watch over all transactions of one key: round after round until each is final (core SPEC 6.6).

Each flight, once a round:

    waiting --receipt agreed--> landed     waiting --nonce used by another--> lost, forgotten
    landed --final--> forgotten            landed --gone from its block--> waiting, sent again
    waiting, wanted: outbid every two blocks    waiting, unwanted: cancelled after a while
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from adapters.evm.crowd import Crowd
from adapters.evm.flights import Flight, Flights, Landing, Lost
from adapters.evm.nonces import MAX_HOLES, holes
from adapters.evm.quotes import Question, Quote
from adapters.evm.sights import Shown, Sight, SightQuestion, look_around
from relay.core.errors import ChainError
from relay.core.ports import Submission, SubmissionStatus

_log = logging.getLogger(__name__)

FIRST_POLL_S = 0.02
"""After something was sent; from then on ever longer."""
LANDED_POLL_S = 1.0
"""Between two looks where everything has landed and finality alone is waited for."""


@dataclass(slots=True)
class Rounds:
    """Looks, judges and moves. `quote` is how a call is simulated again before more is paid for it."""

    crowd: Crowd
    flights: Flights
    quote: Callable[[Question], Awaitable[Quote]]
    clock: Callable[[], float]
    _holes: dict[int, float] = field(default_factory=dict)
    """Since when a nonce below ours has had no transaction of ours."""

    async def run(self) -> None:
        """Go on for ever; sleeps while nothing is under way."""
        flights, longest_s = self.flights, self.flights.pace.poll_s
        pause_s = FIRST_POLL_S
        while True:
            if not flights.by_nonce:
                await flights.stirred.wait()
            if flights.stirred.is_set():
                flights.stirred.clear()
                pause_s = min(FIRST_POLL_S, longest_s)
            await self.round()
            await self._rest(
                pause_s if flights.waiting() else max(self.flights.pace.bump_s / 2, LANDED_POLL_S)
            )
            pause_s = min(pause_s * 1.5, longest_s)

    async def _rest(self, pause_s: float) -> None:
        """Until the next round is due, or somebody begins to wait."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self.flights.stirred.wait()

    async def round(self) -> None:
        """Look once, and do what follows."""
        settings, flights = self.flights.settings, self.flights
        rows = tuple(flight.row for _, flight in sorted(flights.by_nonce.items()))
        sender = "0x" + flights.signer.submitter.hex()
        # What one endpoint alone tells weighs: then those in back-off are asked too.
        ask = self.crowd.ask_all if self._is_in_doubt() else self.crowd.ask
        sight = await look_around(ask, SightQuestion(sender, settings.finality, rows), self.crowd.need)
        if sight is None:
            return
        flights.head = sight.head
        seen = {row.nonce: row.hashes for row in rows}
        for nonce, hashes in seen.items():
            async with flights.lock:
                flight = flights.by_nonce.get(nonce)
                if flight is not None and flight.row.hashes == hashes:
                    await self._judge(flight, sight)
        async with flights.lock:
            await self._fill_holes(sight)

    def _is_in_doubt(self) -> bool:
        flights = self.flights.by_nonce.values()
        return bool(self._holes) or any(
            flight.shown_since is not None or flight.lost_since is not None for flight in flights
        )

    # ---- one flight

    async def _judge(self, flight: Flight, sight: Sight) -> None:
        shown = sight.shown(flight.nonce)
        if flight.landing is not None:
            await self._watch_landed(flight, flight.landing, shown, sight)
        elif shown is not None and self._has_landed(flight, shown, sight):
            flight.end(Landing(shown.receipt, () if sight.is_agreed(shown) else shown.by))
        elif await self._is_lost(flight, shown, sight):
            await self.flights.forget(flight)
            flight.end(Lost())
        elif sight.latest <= flight.nonce:
            await self._push(flight, sight)

    def _has_landed(self, flight: Flight, shown: Shown, sight: Sight) -> bool:
        """Whether enough endpoints give the receipt; or for two blocks those that do are all that answer."""
        if sight.is_agreed(shown):
            return True
        flight.note = f"only {', '.join(shown.by)} shows it in a block"
        if not sight.is_lonely(shown):
            flight.shown_since = None
            return False
        if flight.shown_since is None:
            flight.shown_since = self.clock()
        return self.clock() - flight.shown_since >= self.flights.pace.bump_s

    async def _watch_landed(
        self, flight: Flight, landing: Landing, shown: Shown | None, sight: Sight
    ) -> None:
        if shown is not None and sight.is_agreed(shown):
            flight.landing = Landing(shown.receipt)
            if shown.receipt.block_number <= sight.final:
                await self.flights.forget(flight)
        elif sight.is_missing(flight.nonce):
            _log.info(
                "transaction left its block",
                extra={"chain": self.flights.settings.chain, "tx": landing.receipt.tx.hex()},
            )
            flight.fly_again()
            await self._send_again(flight)

    async def _is_lost(self, flight: Flight, shown: Shown | None, sight: Sight) -> bool:
        """Whether the nonce is used, and by none of ours, for as long as endpoints may need to tell."""
        if sight.latest <= flight.nonce or shown is not None or not sight.is_missing(flight.nonce):
            flight.lost_since = None
            return False
        if flight.lost_since is None:
            flight.lost_since = self.clock()
        return self.clock() - flight.lost_since >= self.flights.pace.bump_s / 2

    # ---- what has not landed

    async def _push(self, flight: Flight, sight: Sight) -> None:
        now, flights = self.clock(), self.flights
        if flight.row.since_block > sight.head:  # a false head, or a re-org
            flight.row = replace(flight.row, since_block=sight.head)
        if flight.wanted or flight.row.is_cancel:
            if now >= flight.bump_at:
                flight.bump_at = now + flights.pace.bump_s
                await self._outbid(flight, sight)
            elif not flight.is_public and not flights.is_private(flight):
                await self._send_again(flight)
        elif now - flight.unwanted_since >= self._patience_s(flight):
            flight.unwanted_since = now
            await flights.cancel(flight, sight.market, now)

    def _patience_s(self, flight: Flight) -> float:
        """How long what nobody wants is let be: not long where it stands before something wanted."""
        pace = self.flights.pace
        waiting = self.flights.waiting()
        is_in_the_way = any(other.wanted and nonce > flight.nonce for nonce, other in waiting.items())
        return pace.bump_s if is_in_the_way else pace.unwanted_s

    async def _send_again(self, flight: Flight) -> None:
        flight.bump_at = self.clock() + self.flights.pace.bump_s
        sending = await self.flights.send(flight)
        flight.note = sending.text or flight.note

    async def _outbid(self, flight: Flight, sight: Sight) -> None:
        """Pay more; but first see whether the call is still worth it."""
        market, balance = sight.market, None
        if flight.question is not None:
            try:
                quote = await self.quote(flight.question)
            except ChainError as error:
                flight.note = error.problem
            else:
                verdict = _given_up(flight, quote)
                if verdict is not None:
                    flight.end(verdict)
                    return
                market, balance = quote.market, quote.balance_wei
        sending = await self.flights.outbid(flight, market, balance)
        flight.note = sending.text or flight.note
        _log.info(
            "transaction sent again",
            extra={
                "chain": self.flights.settings.chain,
                "nonce": flight.nonce,
                "fee_wei": flight.row.transaction.fees.most_wei,
                "refusal": sending.text,
            },
        )

    # ---- what is in the way

    async def _fill_holes(self, sight: Sight) -> None:
        """Use up nonces below ours that nobody's transaction holds, or that another's holds for too long."""
        now, pace = self.clock(), self.flights.pace
        found = holes(self.flights.by_nonce.keys(), sight.latest)
        self._holes = {nonce: self._holes.get(nonce, now) for nonce in found}
        ripe = [
            nonce
            for nonce, since in self._holes.items()
            if now - since >= (pace.held_s if nonce < sight.pending else pace.bump_s)
        ]
        if len(ripe) > MAX_HOLES:
            await self._move_down(ripe[MAX_HOLES])
        else:
            for nonce in ripe:
                await self.flights.fill(nonce, sight.market, now)

    async def _move_down(self, above: int) -> None:
        """Give up the nonces that a false count of the chain's led us to: their calls take others."""
        for nonce, flight in self.flights.waiting().items():
            if nonce > above:
                await self.flights.forget(flight)
                flight.end(Lost())


def _given_up(flight: Flight, quote: Quote) -> Submission | None:
    """Why a call is not worth more. With its nonce used already that may be this call's own effect."""
    if quote.latest > flight.nonce:
        return None
    if quote.refusal is not None:
        return Submission(SubmissionStatus.REFUSED, tx=flight.row.hashes[-1], reason=quote.refusal)
    if quote.is_needless and flight.needless_ends:
        return Submission(SubmissionStatus.NEEDLESS, tx=flight.row.hashes[-1], reason="already protected")
    return None


__all__ = ["Rounds"]
