"""The trio thread: where it is started, woken, stopped, and where its end is noticed.

Between the two sides go bytes and plain values only, through the mailboxes. An end of the thread that nobody
asked for is final: what py-libp2p leaves behind is known to be gone only when the process is.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Self

import trio

from relay.gossip.config import LanePeer
from relay.gossip.errors import LaneError, ListenRefused
from relay.gossip.host import Host, HostParts

__all__ = ["Bridge"]

_STOP_S = 5.0


class Bridge:
    """The thread, seen from the event loop. An async context manager: entered when the address is bound."""

    def __init__(self, parts: HostParts) -> None:
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._listening: asyncio.Future[str] = self._loop.create_future()
        self._ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run_thread, name="gossip-trio", daemon=True)
        self._token: trio.lowlevel.TrioToken | None = None
        self._host: Host | None = None
        self._scope: trio.CancelScope | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        """Start the thread.

        Raises:
            ListenRefused: the address cannot be taken.
            LaneError: the thread ended in another way.
        """
        # It logs each of a stranger's bad bytes as an error; our counters say the same in bounded space.
        logging.getLogger("libp2p").setLevel(logging.CRITICAL)
        self._thread.start()
        try:
            await asyncio.wait((self._listening, self._ended), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._tell_trio(self._cancel)
            raise
        if self._ended.done():
            raise _error_of(self._ended.result())
        self.address = self._listening.result()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the thread: peers are told, sockets closed."""
        self._tell_trio(self._cancel)
        await asyncio.to_thread(self._thread.join, _STOP_S)
        if self._thread.is_alive():
            raise LaneError(f"the trio thread did not end within {_STOP_S} s")

    def flush(self) -> None:
        """Tell the trio side that outboxes have something; cheap to call for each frame."""
        if self._host is not None:
            self._tell_trio(self._host.wake)

    def set_peers(self, peers: tuple[LanePeer, ...]) -> None:
        """Tell the trio side who the members are from now on."""
        host = self._host
        if host is not None:
            self._tell_trio(lambda: host.set_peers(peers))

    async def watch(self) -> None:
        """Wait for an end of the thread.

        Raises:
            LaneError: it ended; the cause is what it ended of.
        """
        raise _error_of(await asyncio.shield(self._ended))

    def call_in_loop(self, call: Callable[[], None]) -> None:
        """From the trio thread: run `call` in the event loop, or not at all if it is closed already."""
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return

    def _tell_trio(self, call: Callable[[], None]) -> None:
        if self._token is None:
            return
        try:
            self._token.run_sync_soon(call, idempotent=True)
        except trio.RunFinishedError:
            return

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    # -- in the trio thread

    def _run_thread(self) -> None:
        failure: BaseException | None = None
        try:
            trio.run(self._run_host)
        except BaseException as error:  # noqa: BLE001 - carried over to the event loop, where it is raised again
            failure = error
        self.call_in_loop(lambda: self._ended.set_result(failure))

    async def _run_host(self) -> None:
        host = Host(self._parts)
        with trio.CancelScope() as scope:
            self._scope = scope
            self._host = host
            self._token = trio.lowlevel.current_trio_token()
            await host.run(self._on_listening)

    def _on_listening(self, address: str) -> None:
        self.call_in_loop(lambda: self._listening.set_result(address))


def _error_of(failure: BaseException | None) -> Exception:
    """What the event loop raises for an end of the thread; a refusal to listen stays what it is."""
    if isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        return _error_of(failure.exceptions[0])
    if isinstance(failure, ListenRefused):
        return failure
    error = LaneError(f"the trio thread ended: {failure!r}")
    error.__cause__ = failure
    return error
