"""The command tree: every command teaches, and says what went wrong in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import click
import pytest

from relay.cli.commands import LazyGroup
from relay.cli.entry import answer_for, root
from relay.cli.settings import Answer
from relay.core.errors import (
    ConfigError,
    EndpointUnavailable,
    GuardRefusal,
    JournalError,
    KeyFileError,
    NoAgreement,
    TocsinError,
    WrongChain,
)
from tests.cli.calls import tocsin

TREE = {
    "demo": (),
    "init": (),
    "run": (),
    "status": (),
    "log": (),
    "doctor": (),
    "key": ("list",),
    "committee": ("show", "check", "sign"),
    "ceremony": ("propose", "start", "join", "status", "reshare", "drop", "verify", "blame"),
    "plan": ("new", "check", "hash", "sign", "diff", "page", "backtest", "cost", "graph", "rehearse"),
    "gateway": ("propose", "deploy", "register", "inspect", "verify"),
    "chain": ("list", "add", "check"),
    "incident": ("list", "show", "watch"),
    "drill": ("run", "report"),
    "signal": ("send", "keygen"),
    "audit": ("verify", "replay", "incident", "follow", "mirror", "disclose"),
}


def paths() -> Iterator[tuple[str, ...]]:
    for name, below in TREE.items():
        yield (name,)
        for inner in below:
            yield (name, inner)


def test_the_tree_is_the_one_that_is_told() -> None:
    group = root()
    context = click.Context(group)
    assert group.list_commands(context) == list(TREE)
    for name, below in TREE.items():
        if below:
            inner = group.get_command(context, name)
            assert isinstance(inner, LazyGroup)
            assert tuple(inner.list_commands(context)) == below


@pytest.mark.parametrize("path", list(paths()), ids=" ".join)
def test_every_command_has_help_that_teaches(path: tuple[str, ...]) -> None:
    said = tocsin(*path, "--help")

    assert said.code == Answer.YES, said.err
    assert "Usage: tocsin" in said.out
    assert "--json" in said.out
    if not TREE.get(path[-1]) and path != ("audit", "verify"):  # its example stands with its group
        assert "xample" in said.out, "an example says more than a list of options"


def test_help_and_version_need_nothing_but_the_base_install() -> None:
    program = (
        "import sys\n"
        "from relay.cli.entry import call\n"
        "assert call(['--help']) == 0 and call(['--version']) == 0\n"
        "heavy = {'aiohttp', 'web3', 'libp2p', 'cel_expr_python', 'prometheus_client', 'cryptography'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "tocsin audit verify FILE" in done.stdout


def test_a_missing_package_is_answered_with_the_extra_that_brings_it() -> None:
    program = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'aiohttp':\n"
        "            raise ModuleNotFoundError('No module named aiohttp', name='aiohttp')\n"
        "sys.meta_path.insert(0, Without())\n"
        "from relay.cli import main\n"
        "main(['run'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.returncode == Answer.USAGE
    assert "expected the package aiohttp" in done.stderr
    assert "pip install 'tocsin[relay]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "nonsense"),
        (["plan", "chek", "x"], "chek"),
        (["plan", "check"], "FILE"),
        (["plan", "check", "/no/such/file"], "/no/such/file"),
        (["status", "--colour"], "--colour"),
        (["demo", "--quorum", "rsa"], "rsa"),
        (["--home"], "--home"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_named(arguments: list[str], said: str) -> None:
    answer = tocsin(*arguments)

    assert answer.code == Answer.USAGE
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_an_error_in_json_carries_a_schema(home: Path) -> None:
    answer = tocsin("status", "--json")

    assert answer.code == Answer.USAGE
    assert answer.document["schema"] == "tocsin/error/1"
    assert str(home) in str(answer.document["problem"])
    assert "tocsin" in str(answer.document["remedy"])


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ConfigError("node.toml", "expected x, got y"), Answer.USAGE),
        (KeyFileError("identity.key", "expected x, got y"), Answer.USAGE),
        (WrongChain("eip155:1", "expected x, got y"), Answer.USAGE),
        (NoAgreement("eip155:1", "expected 2, got 1"), Answer.UNKNOWN),
        (EndpointUnavailable("eip155:1", "refused"), Answer.UNKNOWN),
        (TocsinError("something else"), Answer.UNKNOWN),
        (GuardRefusal("conflicting digest"), Answer.REFUSED),
        (JournalError("disk full"), Answer.REFUSED),
    ],
)
def test_exit_codes_tell_kinds_of_trouble_apart(error: TocsinError, answer: Answer) -> None:
    assert answer_for(error) is answer


def test_the_common_options_stand_before_and_after_the_command(tmp_path: Path) -> None:
    other = tmp_path / "other"

    assert str(other) in tocsin("--home", other, "status").err
    assert str(other) in tocsin("status", "--home", other).err
    assert str(other) in tocsin("incident", "--home", other, "list").err
    assert tocsin("--json", "status").document["schema"] == "tocsin/error/1"


def test_ctrl_c_leaves_with_130_and_no_traceback() -> None:
    # The command is interrupted while it reads a pipe that nobody writes to.
    program = (
        "import os, signal, threading\n"
        "import click\n"
        "import relay.cli.plan as plan\n"
        "def interrupted(file):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait(30)\n"
        "plan.read_plan = interrupted\n"
        "from relay.cli import main\n"
        "main(['plan', 'hash', __import__('sys').executable])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.returncode == Answer.INTERRUPTED
    assert "Traceback" not in done.stderr


def test_the_package_runs_as_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "relay.cli", "--version"], capture_output=True, text=True, timeout=60
    )

    assert done.stdout.startswith("tocsin ")


ANSWERING = (
    "import sys\n"
    "from relay.cli import entry\n"
    "from relay.cli.commands import Command\n"
    "from relay.cli.settings import settings_of\n"
    "import click\n"
    "@click.command(cls=Command)\n"
    "@click.pass_context\n"
    "def yes(context):\n"
    "    settings_of(context).give('kind', {'mark': '✓'}, lambda console: console.print('✓'))\n"
    "entry.root = lambda: yes\n"
    "entry.main(sys.argv[1:])\n"
)


def answering(form: str, out: IO[bytes]) -> subprocess.CompletedProcess[str]:
    """Let a command answer into `out`."""
    return subprocess.run(
        [sys.executable, "-c", ANSWERING, form],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("form", ["--json", "--no-color"])
def test_a_reader_that_leaves_heard_no_answer(form: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "wb") as left:
        done = answering(form, left)

    assert (done.returncode, done.stderr) == (Answer.UNKNOWN, "")


@pytest.mark.parametrize("form", ["--json", "--no-color"])
def test_an_answer_that_could_not_be_written_is_no_no(form: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = answering(form, full)

    assert (done.returncode, done.stderr) == (Answer.UNKNOWN, "error: [Errno 28] No space left on device\n")


def test_a_terminal_of_another_encoding_gets_the_answer_with_escapes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANSWERING],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )

    assert (done.returncode, done.stderr) == (Answer.YES, "")
    assert "\\u2713" in done.stdout


def test_a_mistake_of_ours_is_told_whole_and_is_no_no() -> None:
    program = "from relay.cli import entry; entry.root = lambda: 1 // 0; entry.main(['audit'])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == Answer.UNKNOWN
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_reader_that_leaves_is_no_traceback() -> None:
    program = "from relay.cli import main; main(['--help'])"
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "{program}" | true'], capture_output=True, text=True, timeout=60
    )

    assert done.stderr == ""


def test_every_lazy_command_can_be_found() -> None:
    group = root()
    assert isinstance(group, LazyGroup)
    for name, entry in group._lazy.items():
        module = entry.where.partition(":")[0]
        assert find_spec(module) is not None, f"{name} is shown and cannot run"
