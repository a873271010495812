"""A log behind HTTP: GET of static files, with a deadline, a bound and three attempts for each (SPEC head).

C2SP tlog-tiles lets a log compress its files with gzip unasked: that is read, and unpacked no further than
the bound. No other encoding is.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from relay.audit.sources import (
    FolderSource,
    Source,
    SourceError,
    SourceMissing,
    SourceOverflow,
    SourceRefused,
    SourceSilent,
    check_path,
)
from relay.audit.texts import clean
from relay.core.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Patience", "WebSource", "open_source", "timed_connection"]

_SCHEMES = ("http", "https")
_PIECE_BYTES = 64 << 10
_MAX_IDLE = 16
_MAX_TOLD = 200
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, identity", "User-Agent": "tocsin-audit"}
_COME_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a whole file is waited for, how often it is asked for, the pause before the second time.

    The pause before the third time is twice as long, and so on. A source is waited for `altogether_s` at
    most, for all its files: one that drips each of them just in time would else hold its readers for hours.
    """

    timeout_s: float = 10.0
    attempts: int = 3
    pause_s: float = 0.2
    altogether_s: float = inf


def open_source(address: str, patience: Patience = Patience()) -> Source:
    """Give the source that a person named: an address of http(s), or a folder.

    Raises:
        ConfigError: it is neither.
    """
    if "://" in address:
        return WebSource(address, patience)
    return FolderSource(Path(address))


class WebSource:
    """A log at an address; connections are kept, and each serves one thread at a time."""

    def __init__(self, address: str, patience: Patience = Patience(), token: str | None = None) -> None:
        """Take `address`, as https://log.example.org/acme; nothing is asked yet.

        `token` is told to this address alone: redirects are not followed.

        Raises:
            ConfigError: another scheme, no host, or a user, query or fragment in it.
        """
        self._name = address.rstrip("/")
        self._patience = patience
        self._headers = _HEADERS if token is None else {**_HEADERS, "Authorization": f"Bearer {token}"}
        self._place = _place(address)
        self._prefix = self._place.path.rstrip("/")
        self._closed = threading.Event()
        self._guard = threading.Lock()
        self._idle: list[_Timed] = []
        self._busy: set[_Timed] = set()
        self._waited_s = 0.0

    @property
    def name(self) -> str:
        return self._name

    def read(self, path: str, limit_bytes: int) -> bytes:
        check_path(path)
        return self.fetch(path, limit_bytes)

    def fetch(self, path: str, limit_bytes: int) -> bytes:
        """Give what is at any `path` of ours below the address; errors as `read`."""
        for attempt in range(1, self._patience.attempts + 1):
            try:
                # After a failure no kept connection is used: a server that went away ended them all.
                return self._attempt(path, limit_bytes, is_first=attempt == 1)
            except SourceSilent:
                if attempt == self._patience.attempts or self._closed.wait(self._patience.pause_s * attempt):
                    raise
        raise AssertionError("expected one attempt at least")

    def close(self) -> None:
        self._closed.set()
        with self._guard:
            connections, self._idle = [*self._idle, *self._busy], []
        for connection in connections:
            connection.interrupt()

    def _attempt(self, path: str, limit_bytes: int, *, is_first: bool) -> bytes:
        connection = self._take(path, is_first=is_first)
        is_reusable, began_s = False, monotonic()
        try:
            connection.deadline_s = began_s + self._patience.timeout_s
            connection.request("GET", f"{self._prefix}/{path}", headers=self._headers)
            content = _Answer(self._name, path, limit_bytes).of(connection.getresponse())
            is_reusable = connection.sock is not None
        except TimeoutError as error:
            problem = f"expected an answer within {self._patience.timeout_s:g} s, got none"
            raise SourceSilent(self._name, path, problem) from error
        except ssl.SSLCertVerificationError as error:
            problem = f"expected a certificate that this system trusts, got: {error.verify_message}"
            raise SourceRefused(self._name, path, problem) from error
        except (OSError, http.client.HTTPException) as error:
            problem = f"expected an answer, got: {_told(error)}"
            raise SourceSilent(self._name, path, problem) from error
        finally:
            self._waited_s += monotonic() - began_s
            self._give_back(connection, is_reusable=is_reusable)
        return content

    def _take(self, path: str, *, is_first: bool) -> _Timed:
        with self._guard:
            if self._closed.is_set():
                raise SourceSilent(self._name, path, "expected an open source, got one that was closed")
            if self._waited_s > self._patience.altogether_s:
                limit = f"{self._patience.altogether_s:g} s for all files"
                raise SourceSilent(self._name, path, f"expected no more than {limit}, was waited for longer")
            if not is_first:
                stale, self._idle = self._idle, []
                for each in stale:
                    each.close()
            connection = self._idle.pop() if self._idle else self._new()
            self._busy.add(connection)
            return connection

    def _give_back(self, connection: _Timed, *, is_reusable: bool) -> None:
        with self._guard:
            self._busy.discard(connection)
            if is_reusable and not self._closed.is_set() and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _new(self) -> _Timed:
        return timed_connection(self._place, self._patience.timeout_s)


def timed_connection(place: SplitResult, timeout_s: float) -> _Timed:
    """Give a connection to the host of an address, not yet opened, whose answer is due in `timeout_s`."""
    host, port = place.hostname or "", place.port
    connection = _Timed(host, port, timeout=timeout_s)
    if place.scheme == "https":
        connection = _TimedTls(host, port, timeout=timeout_s, context=ssl.create_default_context())
    connection.deadline_s = monotonic() + timeout_s
    return connection


class _Timed(http.client.HTTPConnection):
    """A connection whose answer, all of it, is there by `deadline_s` (monotonic), however slowly it drips."""

    deadline_s = 0.0

    def connect(self) -> None:
        super().connect()
        self.sock = _Channel(self.sock, self.left_s)

    def left_s(self) -> float:
        """Give the seconds until the deadline.

        Raises:
            TimeoutError: it has passed.
        """
        left = self.deadline_s - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def interrupt(self) -> None:
        """End what is being read here, from another thread."""
        channel: object = self.sock
        if isinstance(channel, _Channel):
            channel.shut()


class _TimedTls(_Timed, http.client.HTTPSConnection):
    """The same over TLS, with the system's trust."""


class _Channel:
    """A socket as `http.client` uses it; every wait on it ends by the deadline."""

    def __init__(self, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._sock = sock
        self._left_s = left_s

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _Bounded(_Incoming(self._sock, self._left_s), _PIECE_BYTES)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._left_s())
        self._sock.sendall(data)

    def close(self) -> None:
        self._sock.close()

    def shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already


class _Bounded(io.BufferedReader):
    """What is never read without a bound.

    SECURITY: `http.client` takes the size of a chunk as it stands, and -1 for "all that comes".
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise http.client.HTTPException("a chunk of negative size")
        return super().read(size)


class _Incoming(io.RawIOBase):
    """What a socket receives; it holds the socket open until it is closed itself."""

    def __init__(self, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._left_s = left_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._sock.settimeout(self._left_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer: about which file, of how many bytes at most."""

    source: str
    path: str
    limit_bytes: int

    def of(self, response: http.client.HTTPResponse) -> bytes:
        """Read the body to its end, so that the connection can serve again.

        Raises:
            SourceError: what the answer says instead of a file.
            OSError, HTTPException: it breaks off.
        """
        if response.status != HTTPStatus.OK:
            raise self._other(response.status)
        encoding = response.getheader("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", ""):
            raise self._refused(f"expected no encoding or gzip, got {encoding[:40]!r}")
        body = self._body(response)
        return self._unpacked(body) if encoding.endswith("gzip") else body

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        if response.length is not None and response.length > self.limit_bytes:
            raise self._too_long(f"expected at most {self.limit_bytes} bytes, got {response.length}")
        pieces, room = [], self.limit_bytes
        while piece := response.read(min(_PIECE_BYTES, room + 1)):
            room -= len(piece)
            if room < 0:
                raise self._too_long(f"expected at most {self.limit_bytes} bytes, got more")
            pieces.append(piece)
        if response.length:  # counted down: the connection ended before
            raise SourceSilent(self.source, self.path, f"expected {response.length} bytes more, got the end")
        return b"".join(pieces)

    def _unpacked(self, packed: bytes) -> bytes:
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        try:
            body = unpacker.decompress(packed, self.limit_bytes + 1)
        except zlib.error as error:
            raise self._refused(f"expected gzip, got: {error}") from error
        if len(body) > self.limit_bytes:
            raise self._too_long(f"expected at most {self.limit_bytes} bytes when unpacked, got more")
        if not unpacker.eof or unpacker.unused_data:
            raise self._refused("expected one whole gzip member, got another form")
        return body

    def _other(self, status: int) -> SourceError:
        if status in _GONE:
            return SourceMissing(self.source, self.path, f"expected a file, got status {status}")
        if status in _COME_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return SourceSilent(self.source, self.path, f"expected a file, got status {status}")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return self._refused(f"expected a file, got a redirect ({status}), which is not followed")
        return self._refused(f"expected a file, got status {status}")

    def _too_long(self, problem: str) -> SourceOverflow:
        return SourceOverflow(self.source, self.path, problem)

    def _refused(self, problem: str) -> SourceRefused:
        return SourceRefused(self.source, self.path, problem)


def _place(address: str) -> SplitResult:
    try:
        place = urlsplit(address)
        is_right = place.scheme in _SCHEMES and place.hostname and place.port != 0
        (place.hostname or "").encode("idna")  # as looking it up will
    except ValueError:
        is_right = False
        place = SplitResult("", "", "", "", "")
    # A password in an address would stand in every table that names the source.
    odd = place.username is not None or place.password is not None or place.query or place.fragment
    is_plain = address.isascii() and address.isprintable() and " " not in address
    if not is_right or odd or not is_plain:
        raise ConfigError(
            "source",
            f"expected a folder, or http(s)://host[:port][/path] alone, got {address[:200]!r}",
            remedy="give a node's address, as http://127.0.0.1:9330",
        )
    return place


def _told(error: Exception) -> str:
    """Say what went wrong; SECURITY: it may repeat what the server sent, as long as a line can be."""
    return clean(str(error)[:_MAX_TOLD]) or type(error).__name__
