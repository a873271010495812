"""Sources of logs: what a web server or folder may do, and what an auditor makes of it."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from proofs.tiles import ENTRIES, Tile
from relay.audit.sources import (
    MAX_ANSWER_BYTES,
    FolderSource,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceSilent,
    read_checkpoint,
    tile_limit,
)
from relay.audit.web import Patience, WebSource, open_source
from relay.core.errors import ConfigError
from tests.shells.audit.servers import answering, head, serving

QUICK = Patience(pause_s=0.01)
HASTY = Patience(timeout_s=0.2, attempts=1)
LIMIT = 100
Say = Callable[[socket.socket, threading.Event], None]


def says(answer: bytes) -> Say:
    return lambda connection, _over: connection.sendall(answer)


def drips(first: bytes, drop: bytes) -> Say:
    """Send a drop every 50 ms: each wait alone is short."""

    def say(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(first)
        while not over.wait(0.05):
            connection.sendall(drop)

    return say


def floods(first: bytes) -> Say:
    def say(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(first)
        while not over.is_set():
            connection.sendall(bytes(65_536))

    return say


def read(url: str, limit_bytes: int = LIMIT, patience: Patience = QUICK) -> bytes:
    with closing(WebSource(url, patience)) as source:
        return source.read("checkpoint", limit_bytes)


BOMB = gzip.compress(bytes(50 << 20))
GZIPPED = head("200 OK", "Content-Encoding: gzip")


@pytest.mark.parametrize(
    ("say", "error", "told"),
    [
        (says(b""), SourceSilent, "without response"),
        (says(b"\x00\xff" * 20 + b"\r\n\r\n"), SourceSilent, "expected an answer"),
        (says(head("503 Later", "Content-Length: 0")), SourceSilent, "status 503"),
        (says(head("429 Slow", "Content-Length: 0")), SourceSilent, "status 429"),
        (says(head("200 OK", "Content-Length: 50") + b"short"), SourceSilent, "45 bytes more"),
        (says(head("200 OK", "Transfer-Encoding: chunked") + b"ffffffffffff\r\nx"), SourceSilent, "expected"),
        (says(head("200 OK", "Transfer-Encoding: chunked") + b"-5\r\nx"), SourceSilent, "negative"),
        (floods(head("200 OK", "Transfer-Encoding: chunked") + b"-1\r\n"), SourceSilent, "negative"),
        (says(head("404 No", "Content-Length: 0")), SourceMissing, "status 404"),
        (says(head("410 Gone", "Content-Length: 0")), SourceMissing, "status 410"),
        (says(head("302 There", "Location: http://127.0.0.1/x")), SourceRefused, "not followed"),
        (says(head("403 No", "Content-Length: 0")), SourceRefused, "status 403"),
        (says(head("206 Part", "Content-Length: 1") + b"x"), SourceRefused, "status 206"),
        (says(head("200 OK", "Content-Length: 101") + bytes(101)), SourceRefused, "at most 100 bytes"),
        (says(head("200 OK", f"Content-Length: {1 << 62}")), SourceRefused, "at most 100 bytes"),
        (floods(head("200 OK")), SourceRefused, "at most 100 bytes"),
        (floods(head("200 OK", "Content-Length: -5")), SourceRefused, "at most 100 bytes"),
        (says(head("200 OK", "Content-Encoding: br") + b"x"), SourceRefused, "'br'"),
        (says(head("200 OK", "Content-Encoding: gzip, gzip") + b"x"), SourceRefused, "gzip, gzip"),
        (says(GZIPPED + b"no gzip"), SourceRefused, "expected gzip"),
        (
            says(GZIPPED + gzip.compress(bytes(101))),
            SourceRefused,
            "unpacked",
        ),
        (says(GZIPPED + gzip.compress(b"x")[:-3]), SourceRefused, "whole"),
        (
            says(GZIPPED + gzip.compress(b"x") * 2),
            SourceRefused,
            "one whole",
        ),
    ],
)
def test_what_a_web_server_may_do_ends_soon_with_a_named_error(
    say: Say, error: type[SourceError], told: str
) -> None:
    began = monotonic()

    with answering(say) as (url, _), pytest.raises(error) as caught:
        read(url)

    assert told in str(caught.value)
    assert (caught.value.source, caught.value.path) == (url, "checkpoint")
    assert monotonic() - began < 5


@pytest.mark.parametrize(
    "say",
    [
        drips(head("200 OK", "Content-Length: 90"), b"x"),
        drips(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n"),
        drips(head("100 Continue"), head("100 Continue")),
        drips(b"", b""),
    ],
    ids=["body", "heads", "continue", "nothing"],
)
def test_an_answer_that_drips_is_late_as_a_whole(say: Say) -> None:
    began = monotonic()

    with answering(say) as (url, _), pytest.raises(SourceSilent, match=r"within 0\.2 s"):
        read(url, patience=HASTY)

    assert monotonic() - began < 5


def test_a_bomb_is_not_unpacked_beyond_the_bound() -> None:
    with answering(says(GZIPPED + BOMB)) as (url, _), pytest.raises(SourceRefused, match="when unpacked"):
        read(url, len(BOMB))


def test_unpacking_takes_no_more_memory_than_the_bound() -> None:
    with answering(says(GZIPPED + BOMB)) as (url, _):
        tracemalloc.start()
        with pytest.raises(SourceRefused):
            read(url, len(BOMB))
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak_bytes < 8 << 20


def test_a_source_that_drips_every_file_is_waited_for_so_long_altogether() -> None:
    patience = Patience(attempts=1, altogether_s=0.2)
    slow = head("200 OK", "Content-Length: 2", "Connection: close") + b"x"

    def late(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(slow)
        over.wait(0.15)
        connection.sendall(b"y")

    with answering(late) as (url, asked), closing(WebSource(url, patience)) as source:
        assert [source.read("checkpoint", LIMIT) for _ in range(2)] == [b"xy"] * 2
        with pytest.raises(SourceSilent, match=r"0\.2 s for all files"):
            source.read("checkpoint", LIMIT)

    assert len(asked) == 2


def test_what_a_server_says_instead_of_an_answer_is_short_and_no_terminals_command() -> None:
    line = b"HTTP/1.1 \x1b]0;all is well\x07" + "\u202e".encode() + b"A" * 5_000 + b"\r\n\r\n"
    with answering(says(line)) as (url, _), pytest.raises(SourceSilent) as caught:
        read(url)

    assert str(caught.value).isprintable()
    assert len(caught.value.problem) < 500


def test_what_a_log_compresses_unasked_is_read() -> None:
    with answering(says(GZIPPED + gzip.compress(b"note"))) as (url, _):
        assert read(url) == b"note"


def test_silence_is_asked_three_times_and_a_refusal_once() -> None:
    with answering(says(b"")) as (url, silent), pytest.raises(SourceSilent):
        read(url)
    with answering(says(head("404 No", "Content-Length: 0"))) as (url, missing), pytest.raises(SourceMissing):
        read(url)

    assert (len(silent), len(missing)) == (3, 1)


def test_a_server_that_comes_back_is_heard() -> None:
    answers = iter([b"", head("500 Ill", "Content-Length: 0"), head("200 OK", "Content-Length: 2") + b"ok"])

    with answering(lambda connection, _over: connection.sendall(next(answers))) as (url, _):
        assert read(url) == b"ok"


def test_nobody_listens_is_silence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(SourceSilent, match="refused"):
            read(f"http://127.0.0.1:{unused.getsockname()[1]}")


def test_connections_are_kept_and_a_path_before_the_log_too(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "checkpoint").write_bytes(b"note")
    connections: set[object] = set()

    with serving(tmp_path) as served, closing(WebSource(f"{served.url}/acme/", QUICK)) as source:
        for _ in range(5):
            assert source.read("checkpoint", LIMIT) == b"note"
            connections |= {id(each) for each in source._idle}

    assert served.asked == ["/acme/checkpoint"] * 5
    assert len(connections) == 1


def test_kept_connections_that_the_server_ended_are_no_failure(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"note")

    with serving(tmp_path) as served, closing(WebSource(served.url, QUICK)) as source:
        source.read("checkpoint", LIMIT)
        ended = [source._new() for _ in range(8)]
        for each in ended:
            each.deadline_s = monotonic() + 10
            each.connect()
            each.interrupt()
        source._idle.extend(ended)

        assert source.read("checkpoint", LIMIT) == b"note"


def test_closing_ends_what_is_being_read() -> None:
    asked, failed = threading.Event(), list[SourceError]()

    def say(_connection: socket.socket, over: threading.Event) -> None:
        asked.set()
        over.wait(30)

    with answering(say) as (url, _):
        source = WebSource(url, Patience(timeout_s=30))

        def wait() -> None:
            try:
                source.read("checkpoint", LIMIT)
            except SourceError as error:
                failed.append(error)

        reader = threading.Thread(target=wait)
        reader.start()
        assert asked.wait(10)
        source.close()
        reader.join(10)

        assert not reader.is_alive()
    assert isinstance(failed[0], SourceSilent)
    with pytest.raises(SourceSilent, match="closed"):
        source.read("checkpoint", LIMIT)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.org",
        "file:///etc",
        "http://",
        "http://user:secret@example.org",
        "http://example.org/?a=b",
        "http://example.org/#top",
        "http://example.org:99999",
        "http://example.org:0",
        "http://exa mple.org",
        "http://example.org/\nx",
        f"http://{'a' * 70}.org",
        "no-such-folder",
    ],
)
def test_an_address_of_another_form_is_a_usage_error(address: str) -> None:
    with pytest.raises(ConfigError):
        open_source(address)


def test_paths_of_logs_alone_are_asked_for(tmp_path: Path) -> None:
    source = FolderSource(tmp_path)
    for path in ("../secret", "/etc/passwd", "tile/../../x", "tile/0/000.p/../x", "", "checkpoint/"):
        with pytest.raises(AssertionError):
            source.read(path, LIMIT)


def test_a_folder_gives_its_files_and_nothing_from_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"seed")
    folder = tmp_path / "log"
    (folder / "tile/0").mkdir(parents=True)
    (folder / "checkpoint").write_bytes(b"note")
    (folder / "tile/0/000").symlink_to(secret)
    (folder / "tile/0/001").symlink_to("001")
    (folder / "tile/0/002").symlink_to("../../checkpoint")
    (folder / "tile/1").symlink_to(tmp_path)
    (folder / "tile/0/003").mkdir()
    os.mkfifo(folder / "tile/0/004")
    (folder / "tile/0/005").write_bytes(bytes(LIMIT + 1))
    source = FolderSource(folder)

    assert source.read("checkpoint", LIMIT) == b"note"
    assert source.read("tile/0/002", LIMIT) == b"note"
    for path in ("tile/0/000", "tile/0/001", "tile/0/003", "tile/0/004", "tile/0/005"):
        with pytest.raises(SourceRefused):
            source.read(path, LIMIT)
    for path in ("tile/0/006", "tile/2/000", "tile/0/002.p/7"):
        with pytest.raises(SourceMissing):
            source.read(path, LIMIT)


def test_a_checkpoint_that_is_no_text_is_still_only_a_wrong_one(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe")

    assert read_checkpoint(FolderSource(tmp_path)) == "��"


def test_bounds_are_those_of_the_format() -> None:
    assert tile_limit(Tile(3, 0)) == 8_192
    assert tile_limit(Tile(0, 0, 5)) == 160
    assert tile_limit(Tile(ENTRIES, 0)) == MAX_ANSWER_BYTES == 256 * 65_537
