"""What the pages for strangers name is there: commands, targets, files, folders, sizes, entry points."""

import hashlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from nacl.signing import SigningKey

from proofs.committee import fast_quorum, full_quorum, malicious_bound
from relay.cli.commands import LazyGroup
from relay.cli.entry import root
from relay.config import load_committee
from relay.core.committee_check import committee_refusals

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docker/README.md",
    "adapters/README.md",
)

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)")
TOP = ("relay/", "adapters/", "proofs/", "tests/", "docker/", "requirements/", ".ci/")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code(name: str) -> Iterator[str]:
    """Every line of a fenced block (backslashes joined), and every inline piece of code."""
    text = page(name)
    for block in FENCE.findall(text):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()[1:-1]
    yield from INLINE.findall(FENCE.sub("", text))


def tocsin_calls(name: str) -> list[list[str]]:
    """The words after `tocsin` of each command line that a page shows."""
    calls = []
    for line in code(name):
        started = re.match(r"\s*(?:\S*/)?tocsin ([a-z-].*)", line) or re.search(
            r" \w+ tocsin ([a-z].*)", line
        )
        if started is not None:
            calls.append(shlex.split(re.split(r" {2,}#|\|\s|;", started[1])[0].strip("'\""), comments=True))
    return calls


def make_targets(name: str) -> set[str]:
    return {found for line in code(name) for found in re.findall(r"^\s*make (?:-k )?([a-z-]+)", line)}


def headings(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def refusal(words: list[str]) -> str:
    """Why the command tree would not take these words; looks at names of commands and options only."""
    command: click.Command = root()
    context = click.Context(command)
    rest = list(words)
    while isinstance(command, LazyGroup) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if "|" in name:
            unknown = [each for each in name.split("|") if each not in command.list_commands(context)]
            return f"no commands {unknown}" if unknown else ""
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name}"
        command = found
    taken = {option for parameter in command.get_params(context) for option in parameter.opts}
    return ", ".join(word for word in rest if word.startswith("--") and word.split("=")[0] not in taken)


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_a_page_shows_exists(name: str) -> None:
    refused = {" ".join(words): refusal(words) for words in tocsin_calls(name)}

    assert {words: why for words, why in refused.items() if why} == {}


def test_the_readme_shows_commands_at_all_and_a_wrong_one_would_be_seen() -> None:
    assert len(tocsin_calls("README.md")) > 10
    assert refusal(["committee", "shew"])
    assert refusal(["plan", "check|hush"])
    assert refusal(["init", "acme", "--lissen", "x"])
    assert refusal(["init", "acme", "--listen", "x", "--json"]) == ""


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_that_a_page_shows_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))

    assert make_targets(name) <= targets


def test_the_two_commands_stand_on_the_readme() -> None:
    assert {"demo", "test"} <= make_targets("README.md")


def test_the_options_of_the_demonstration_on_the_readme_exist() -> None:
    shown = [words for line in code("README.md") for words in re.findall(r'make demo ARGS="([^"]+)"', line)]

    assert shown
    assert [words for words in shown if refusal(["demo", *shlex.split(words)])] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_linked_file_and_heading_exists(name: str) -> None:
    broken = []
    for path, anchor in LINK.findall(page(name)):
        file = (ROOT / name).parent / path if path else ROOT / name
        if not file.exists() or (anchor and anchor[1:] not in headings(file.read_text(encoding="utf-8"))):
            broken.append(path + anchor)

    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_every_path_that_a_page_names_exists(name: str) -> None:
    named = {
        each for each in code(name) if each.startswith(TOP) and not re.search(r"[\s<…*]|node_modules", each)
    }

    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []


def test_the_map_of_the_house_has_every_folder_and_no_other() -> None:
    drawn = re.search(r"## The map of the house\n+```\n(.*?)```", page("CONTRIBUTING.md"), re.DOTALL)
    assert drawn is not None
    mapped = set(re.findall(r"^(\S+/) ", drawn[1], re.MULTILINE))
    shells = {f"relay/{file.parent.name}/" for file in (ROOT / "relay").glob("*/__init__.py")}
    families = {f"adapters/{file.parent.name}/" for file in (ROOT / "adapters").glob("*/__init__.py")}

    assert [each for each in sorted(mapped) if not (ROOT / each).is_dir()] == []
    assert sorted((shells | families) - mapped) == []


def test_every_module_of_the_core_that_the_reading_order_names_exists() -> None:
    order = page("CONTRIBUTING.md").split("### Reading the core")[1].split("\n## ")[0]
    named = {
        each
        for row in re.findall(r"^\|[^|]+\|([^|]+)\|", order, re.MULTILINE)
        for each in INLINE.findall(row)
    }

    assert len(named) > 20
    assert {
        name for name in named - {"SPEC.md"} if not (ROOT / "relay/core" / f"{name}.py").is_file()
    } == set()


def test_the_quorum_table_is_the_arithmetic_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", page("SECURITY.md"), re.MULTILINE)

    assert [int(row[0]) for row in rows] == list(range(4, 26))
    for members, malicious, fast, full in ([int(cell) for cell in row] for row in rows):
        assert (malicious, fast, full) == (
            malicious_bound(members),
            fast_quorum(members),
            full_quorum(members),
        )


def test_the_committee_document_of_the_readme_is_read_once_every_member_is_in_it(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", page("README.md"), re.DOTALL)
    assert shown is not None
    head, member = shown[1].split("[[members]]")
    file = tmp_path / "epoch-0001.toml"

    file.write_text(head + "".join("\n[[members]]" + seated(member, number) for number in range(7)))
    document = load_committee(file)

    assert (len(document.members), document.demo, committee_refusals(document)) == (7, False, ())


def seated(member: str, number: int) -> str:
    """The README's member under other names and keys: every hexadecimal key and every name changed alike."""

    def other(found: re.Match[str]) -> str:
        seed = found[2].encode() + bytes([number])
        key = bytes(SigningKey(hashlib.sha256(seed).digest()).verify_key).hex()
        return f'"{found[1] or ""}{key[: len(found[2])]}"'

    keyed = re.sub(r'"(0x)?([0-9a-f]{40,64})"', other, member)
    return re.sub(r'(name|operator) = "', rf"\g<0>n{number}-", keyed)


def test_the_entry_points_that_the_pages_name_are_declared() -> None:
    declared = tomllib.loads(page("pyproject.toml"))["project"]["entry-points"]
    named = {each for each in code("CONTRIBUTING.md") if re.fullmatch(r"tocsin\.\w+", each)}

    assert named == set(declared)


def test_the_figures_have_their_markers_so_that_they_can_be_measured_again() -> None:
    text = page("README.md")

    assert text.count("<!-- figures -->") == text.count("<!-- /figures -->") == 1
    assert re.search(r"<!-- figures -->.*\bseed \d+.*<!-- /figures -->", text, re.DOTALL)
