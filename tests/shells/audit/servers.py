"""Web servers for auditors: one that serves a folder, and ones that say what a test wants said."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["Served", "answering", "head", "serving"]


class Served:
    """A folder behind HTTP: `url`, and the paths that were asked for so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.answers_left: int | None = None
        """So many more, then connections are ended without a word."""


class _Files(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: without this each small file waits for a delayed acknowledgement.
    disable_nagle_algorithm = True

    def __init__(self, *arguments: object, served: Served, directory: str) -> None:
        self.served = served
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.served.asked.append(self.path)
        if self.served.answers_left is not None:
            if self.served.answers_left == 0:
                self.close_connection = True
                return
            self.served.answers_left -= 1
        super().do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_arguments: object) -> None:
        """A client that goes away is no error of a test."""


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve the files of `folder` on a free port of this machine."""
    served = Served("")
    with _Quiet(("127.0.0.1", 0), partial(_Files, served=served, directory=str(folder))) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        with _running(server):
            yield served


@contextmanager
def answering(say: Callable[[socket.socket, threading.Event], None]) -> Iterator[tuple[str, list[str]]]:
    """Serve whatever `say` writes to each connection, one request each; gives the address and what was asked.

    The event that `say` gets is set when the test is over: a server that drips or waits ends by it.
    """
    over, asked = threading.Event(), list[str]()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            request = b""
            with suppress(OSError):
                while b"\r\n\r\n" not in request:
                    piece = self.request.recv(4_096)
                    if not piece:
                        return
                    request += piece
                asked.append(request.decode().split(" ")[1])
                say(self.request, over)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server, _running(server):
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            over.set()


def head(status: str, *lines: str) -> bytes:
    """Give the beginning of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
