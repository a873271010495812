"""The HTTP server: routes, bounds, life cycle."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from relay.api.bodies import object_of
from relay.api.ceremonies import CeremonyDeed, CeremonyPorts, ceremony_id, open_proposal
from relay.api.guards import Bucket, TokenGuard, is_loopback, local_names_only
from relay.api.log_files import LogFiles
from relay.api.ports import ApiOptions, ApiPorts, CeremonyRefused, Json, Readiness, SignalRefused
from relay.api.problems import ProblemError, problems
from relay.api.reports import ReportPorts, Webhooks, is_report, open_report
from relay.api.signals import open_signal
from relay.api.stream import Streams
from relay.api.witness import LogPorts, WitnessDoor
from relay.core.errors import ConfigError

DECISION_ID_BYTES = 32
MAX_ID_CHARS = 128
_OPEN_PATHS = frozenset({"/healthz", "/readyz", "/checkpoint", "/add-checkpoint"})


class Api:
    """Serves while its context is open; `publish` hands updates to watchers.

    On a loopback address everything but signals and deeds in ceremonies is open to local users; on any other
    `/v1` and `/metrics` want the token, since a bundle of an undelivered decision is a working certificate.
    """

    def __init__(
        self,
        options: ApiOptions,
        ports: ApiPorts,
        ceremonies: CeremonyPorts | None = None,
        reports: ReportPorts | None = None,
        log: LogPorts | None = None,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._ports = ports
        self._ceremonies = CeremonyPorts() if ceremonies is None else ceremonies
        self._reports = ReportPorts() if reports is None else reports
        self._webhooks = Webhooks(self._reports, per_minute=options.findings_per_minute, clock_s=clock_s)
        self._log = LogPorts() if log is None else log
        self._door = WitnessDoor(self._log, timeout_s=options.body_timeout_s, clock_s=clock_s)
        self._guard = TokenGuard(options.token, Bucket(options.failures_per_minute, clock_s))
        self._signals = Bucket(options.signals_per_minute, clock_s)
        self._deeds = Bucket(options.ceremony_requests_per_minute, clock_s)
        self._streams = Streams(
            most=options.max_streams, queue=options.stream_queue, keepalive_s=options.keepalive_s
        )
        # SECURITY: bodies are taken as they were sent: 300 KB of a stranger's would be inflated for seconds.
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=1.0,
            handler_cancellation=True,
        )
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as bound (the port that the system chose, when 0 was asked for)."""
        assert self._server is not None, "the interface is not open"
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """The base address, as `http://127.0.0.1:9330`."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def publish(self, kind: str, document: Mapping[str, Json]) -> None:
        """Give an update to everyone who watches `/v1/events`; never waits."""
        self._streams.publish(kind, document)

    async def __aenter__(self) -> Self:
        """Bind and serve.

        Raises:
            ConfigError: the address is in use or is not ours.
        """
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connection, self._options.host, self._options.port
            )
        except OSError as error:
            await self._runner.cleanup()
            where = f"api.bind {self._options.host}:{self._options.port}"
            problem = f"expected a free address of this machine, got: {error.strerror or error}"
            raise ConfigError(
                where, problem, remedy="stop what listens there, or choose another port"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._streams.close()
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= self._options.max_connections:
            return _Refused()
        return server()

    def _application(self) -> web.Application:
        chain: list[Middleware] = [problems]
        if is_loopback(self._options.host):
            chain.append(local_names_only())
        else:
            chain.append(self._token_elsewhere())
        application = web.Application(middlewares=chain, client_max_size=self._options.max_body_bytes)
        log = LogFiles(self._options.log_directory)
        application.add_routes(
            [
                web.get("/v1/status", self._status),
                web.get("/v1/incidents", self._incidents),
                web.get("/v1/incidents/{id}", self._incident),
                web.get("/v1/decisions/{id}/bundle", self._bundle),
                web.get("/v1/events", self._streams.serve, allow_head=False),
                web.post("/v1/signals", self._signal),
                web.get("/v1/signals", self._known_signals),
                web.get("/v1/remarks", self._remarks),
                web.get("/v1/log", self._known_logs),
                web.get("/v1/reports", self._open_reports),
                web.post("/v1/webhooks/{name}", self._webhook),
                web.get("/v1/ceremonies", self._ceremony_list),
                web.post("/v1/ceremonies", self._ceremony_proposed),
                web.get("/v1/ceremonies/{id}", self._ceremony),
                web.post("/v1/ceremonies/{id}/join", partial(self._ceremony_deed, CeremonyDeed.JOIN)),
                web.post("/v1/ceremonies/{id}/drop", partial(self._ceremony_deed, CeremonyDeed.DROP)),
                web.get("/checkpoint", log.checkpoint),
                web.post("/add-checkpoint", self._door.add_checkpoint),
                web.get("/tile/{name:.+}", log.tile),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        return application

    def _token_elsewhere(self) -> Middleware:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            # A webhook has its monitor's HMAC in the token's place.
            if request.path not in _OPEN_PATHS and not request.path.startswith(("/tile/", "/v1/webhooks/")):
                self._guard.require(request)
            return await handler(request)

        return middleware

    async def _status(self, _request: web.Request) -> web.Response:
        return _answer("status", dict(self._ports.status()))

    async def _incidents(self, _request: web.Request) -> web.Response:
        return _answer("incidents", {"incidents": list(self._ports.incidents())})

    async def _incident(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        incident = self._ports.incident(name) if len(name) <= MAX_ID_CHARS else None
        if incident is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "no incident of this id")
        return _answer("incident", {"incident": incident})

    async def _bundle(self, request: web.Request) -> web.Response:
        try:
            decision_id = bytes.fromhex(request.match_info["id"].removeprefix("0x"))
        except ValueError:
            decision_id = b""
        if len(decision_id) != DECISION_ID_BYTES:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"expected a decision id of {DECISION_ID_BYTES} bytes in hex"
            )
        bundle = await self._ports.bundle(decision_id)
        if bundle is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, "no bundle for this decision, or not yet", Retry_After="1"
            )
        headers = {"Content-Disposition": f'attachment; filename="{decision_id.hex()[:16]}.bundle"'}
        return web.Response(body=bundle, content_type="application/octet-stream", headers=headers)

    async def _signal(self, request: web.Request) -> web.Response:
        self._guard.require(request)
        if not self._signals.take():
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many signals", Retry_After="60")
        document = object_of(await self._body(request))
        try:
            if is_report(document):
                return _told("report", await self._reports.tell(open_report(document)))
            return _told("signal", await self._ports.tell_signal(open_signal(document)))
        except SignalRefused as refusal:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(refusal)) from refusal

    async def _known_signals(self, request: web.Request) -> web.Response:
        # SECURITY: who told us, and in which words, is sealed in the log.
        self._guard.require(request)
        return _answer("signals", {"signals": list(self._ports.signals())})

    async def _remarks(self, _request: web.Request) -> web.Response:
        return _answer("remarks", dict(self._ports.remarks()))

    async def _known_logs(self, _request: web.Request) -> web.Response:
        return _answer("log", self._log.log())

    async def _open_reports(self, _request: web.Request) -> web.Response:
        return _answer("reports", {"reports": list(self._reports.overview())})

    async def _webhook(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        try:
            taken = await self._webhooks.take(request.match_info["name"], request.headers, body)
        except SignalRefused as refusal:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(refusal)) from refusal
        return _told("report", taken)

    async def _ceremony_list(self, _request: web.Request) -> web.Response:
        listed = {**self._ceremonies.overview(), "ceremonies": list(self._ceremonies.ceremonies())}
        return _answer("ceremonies", listed)

    async def _ceremony(self, request: web.Request) -> web.Response:
        name = ceremony_id(request.match_info["id"]).hex()
        for ceremony in self._ceremonies.ceremonies():
            if ceremony["id"] == name:
                return _answer("ceremony", {"ceremony": ceremony})
        raise ProblemError(HTTPStatus.NOT_FOUND, "no ceremony of this id is known here")

    async def _ceremony_proposed(self, request: web.Request) -> web.Response:
        self._may_act(request)
        proposal = open_proposal(await self._body(request))
        try:
            name = await self._ceremonies.propose(proposal)
        except CeremonyRefused as refusal:
            raise _refusal(refusal) from refusal
        return _answer("ceremony-proposal", {"id": name}, HTTPStatus.ACCEPTED)

    async def _ceremony_deed(self, deed: CeremonyDeed, request: web.Request) -> web.Response:
        self._may_act(request)
        ceremony = ceremony_id(request.match_info["id"])
        try:
            await self._ceremonies.act(ceremony, deed)
        except CeremonyRefused as refusal:
            raise _refusal(refusal) from refusal
        return _answer("ceremony-deed", {"id": ceremony.hex(), "deed": deed.value}, HTTPStatus.ACCEPTED)

    def _may_act(self, request: web.Request) -> None:
        self._guard.require(request)
        if not self._deeds.take():
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", Retry_After="60")

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self._options.body_timeout_s):
                return await request.read()
        except TimeoutError as error:
            raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "expected the body in time") from error

    async def _healthz(self, _request: web.Request) -> web.Response:
        trouble = self._ports.health()
        status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
        return _answer("health", {"healthy": not trouble, "reason": trouble}, status)

    async def _readyz(self, _request: web.Request) -> web.Response:
        facts = self._ports.readiness()
        ready = all(fact.ready for fact in facts)
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _answer("readiness", {"ready": ready, "facts": _facts(facts)}, status)

    async def _metrics(self, _request: web.Request) -> web.Response:
        text, content_type = self._ports.metrics()
        return web.Response(body=text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


class _Refused(asyncio.Protocol):
    """A connection beyond the bound: closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _refusal(refusal: CeremonyRefused) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(refusal), remedy=refusal.remedy)


def _facts(facts: Sequence[Readiness]) -> list[Json]:
    return [
        {"name": fact.name, "ready": fact.ready, "reason": fact.reason, "remedy": fact.remedy}
        for fact in facts
    ]


def _told(kind: str, name: str) -> web.Response:
    return _answer(kind, {"id": name}, HTTPStatus.ACCEPTED)


def _answer(kind: str, document: Mapping[str, Json], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    text = json.dumps({"schema": f"tocsin/{kind}/1", **document}, ensure_ascii=False)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


__all__ = ["Api"]
