"""What can be said of the container files without an engine."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
HEALTH = ROOT / "docker" / "health.py"

PINNED_IMAGE = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+-[a-z0-9-]+|[a-z0-9./-]+@sha256:[0-9a-f]{64}")
RELAYS = ("alice", "bob", "carol", "dave")
CHAINS = ("chain-one", "chain-two")


@dataclass(frozen=True)
class Stage:
    """One FROM and the instructions below it: (instruction, arguments)."""

    name: str
    base: str
    steps: tuple[tuple[str, str], ...]

    def arguments(self, instruction: str) -> tuple[str, ...]:
        return tuple(arguments for name, arguments in self.steps if name == instruction)


def stages() -> dict[str, Stage]:
    kept = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(kept).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        instruction, arguments = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            found.append(Stage(name=name, base=base, steps=()))
            continue
        last = found.pop()
        found.append(Stage(last.name, last.base, (*last.steps, (instruction, arguments))))
    return {stage.name: stage for stage in found}


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text())


def test_every_base_image_is_an_exact_tag_or_a_digest() -> None:
    for stage in stages().values():
        assert PINNED_IMAGE.fullmatch(stage.base), f"{stage.name}: {stage.base}"


def test_the_last_stage_is_the_relay() -> None:
    assert list(stages())[-1] == "relay"


def test_every_copied_file_exists_and_every_copied_stage_comes_earlier() -> None:
    earlier: list[str] = []
    for stage in stages().values():
        for arguments in stage.arguments("COPY"):
            *sources, _ = [word for word in arguments.split() if not word.startswith("--")]
            origin = re.search(r"--from=(\S+)", arguments)
            if origin:
                assert origin[1] in earlier, f"{stage.name}: COPY {arguments}"
                continue
            for source in sources:
                assert (ROOT / source).exists(), f"{stage.name}: COPY {source}"
        earlier.append(stage.name)


def test_every_copied_file_reaches_the_engine() -> None:
    """The ignore file starts from nothing, so each source needs its exception."""
    lines = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    allowed = [line[1:] for line in lines if line.startswith("!")]
    for stage in stages().values():
        for arguments in stage.arguments("COPY"):
            if "--from=" in arguments:
                continue
            for source in arguments.split()[:-1]:
                parent = source.split("/")[0]
                covered = {source, f"{parent}/**", f"{parent}/*{Path(source).suffix}"}
                assert covered & set(allowed), f"COPY {source}"


def test_final_stages_run_as_a_numbered_user_that_is_not_root() -> None:
    for name in ("relay", "anvil"):
        users = stages()[name].arguments("USER")
        assert users, f"{name}: expected USER"
        assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]), f"{name}: {users[-1]}"


def test_final_stages_hold_no_compiler_and_install_no_python_package() -> None:
    for name in ("relay", "anvil"):
        for command in stages()[name].arguments("RUN"):
            assert not re.search(r"\b(gcc|g\+\+|build-essential|pip|npm|lib\w+-dev)\b", command), command


def test_everything_from_an_index_is_locked_by_hash() -> None:
    commands = " && ".join(stages()["build"].arguments("RUN"))
    fetching = [
        step
        for step in commands.split("&&")
        if re.search(r"\bpip\b.*\b(install|wheel)\b", step) and "--no-index" not in step
    ]
    own_package = [step for step in fetching if "--no-deps" in step and step.rstrip().endswith(" .")]
    locked = [step for step in fetching if "--require-hashes" in step]

    assert len(own_package) == 1
    assert len(locked) == 2
    assert set(fetching) == set(own_package) | set(locked)
    assert any("requirements/relay.lock" in step for step in locked)
    assert "npm ci" in " ".join(stages()["anvil-build"].arguments("RUN"))


def test_the_relay_is_asked_for_its_health_by_python() -> None:
    (check,) = stages()["relay"].arguments("HEALTHCHECK")
    environment = " ".join(stages()["relay"].arguments("ENV"))

    assert 'CMD ["python", "/usr/local/lib/health.py", "relay"]' in check
    assert re.search(r"TOCSIN_HEALTH_URL=http://127\.0\.0\.1:\d+/healthz", environment)


def test_compose_has_four_relays_and_two_chains_of_different_ids(compose: dict) -> None:
    services = compose["services"]

    assert set(services) == {*RELAYS, *CHAINS}
    ids = {services[name]["command"][services[name]["command"].index("--chain-id") + 1] for name in CHAINS}
    assert len(ids) == 2


def test_every_service_is_hardened(compose: dict) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["pids_limit"] > 0, name
        assert service["mem_limit"], name
        assert not {"privileged", "cap_add", "network_mode", "pid", "ports", "user"} & set(service), name


def test_every_network_is_internal_and_only_relays_are_in_the_committee_s(compose: dict) -> None:
    assert all(network["internal"] is True for network in compose["networks"].values())
    members = {name for name, service in compose["services"].items() if "committee" in service["networks"]}
    assert members == set(RELAYS)


def test_no_two_relays_share_a_volume_and_none_mounts_the_host(compose: dict) -> None:
    mounted = [volume for name in RELAYS for volume in compose["services"][name]["volumes"]]
    sources = [volume.split(":")[0] for volume in mounted]

    assert len(set(sources)) == len(sources) == len(RELAYS)
    assert set(sources) <= set(compose["volumes"])
    assert {volume.split(":")[1] for volume in mounted} == {"/var/lib/tocsin"}


def test_each_relay_has_a_passphrase_of_its_own_that_is_not_committed(compose: dict) -> None:
    for name in RELAYS:
        assert compose["services"][name]["secrets"] == [{"source": name, "target": "passphrase"}]
    files = [secret["file"] for secret in compose["secrets"].values()]

    assert len(set(files)) == len(RELAYS)
    assert "/docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert all(file.startswith("./secrets/") for file in files)


def test_compose_builds_stages_that_exist(compose: dict) -> None:
    for name, service in compose["services"].items():
        context = (COMPOSE.parent / service["build"]["context"]).resolve()
        assert context == ROOT, name
        assert (context / service["build"]["dockerfile"]) == DOCKERFILE, name
        assert service["build"]["target"] in stages(), name


def test_compose_is_accepted_by_the_docker_client() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("this machine's docker client has no compose plugin")

    result = subprocess.run(
        [docker, "compose", "-f", COMPOSE, "config", "-q"], capture_output=True, text=True
    )

    assert result.returncode == 0, result.stderr


@contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[str]:
    """A server on a free port that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *message: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/healthz"
        finally:
            server.shutdown()
            thread.join()


def health(*arguments: str) -> int:
    return subprocess.run([sys.executable, HEALTH, *arguments], capture_output=True, timeout=30).returncode


def test_a_relay_that_answers_200_is_healthy_and_any_other_is_not() -> None:
    with answering(200) as url:
        assert health("relay", url) == 0
    assert health("relay", url) == 1
    with answering(503) as url:
        assert health("relay", url) == 1


def test_a_chain_is_healthy_if_it_tells_its_id() -> None:
    with answering(200, b'{"jsonrpc":"2.0","id":1,"result":"0x7a69"}') as url:
        assert health("chain", url) == 0
    with answering(200, b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}') as url:
        assert health("chain", url) == 1
    with answering(200, b"<html>") as url:
        assert health("chain", url) == 1
