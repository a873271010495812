"""The audit log as static files: checkpoint and tiles (C2SP tlog-tiles)."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from relay.api.problems import ProblemError

# SECURITY: only paths of this form are looked up, so that nothing outside the directory can be named.
_TILE = re.compile(
    r"(?P<level>[0-9]|[1-5][0-9]|6[0-3]|entries)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?P<partial>\.p/[1-9][0-9]{0,2})?"
)
_MAX_PARTIAL = 255
FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=5"
NOT_AT_ALL = "no-cache"


class LogFiles:
    """Serves what the node has released into `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def checkpoint(self, request: web.Request) -> web.StreamResponse:
        """Serve `checkpoint`, a signed note."""
        return self._file(request, "checkpoint", NOT_AT_ALL, "text/plain; charset=utf-8")

    async def tile(self, request: web.Request) -> web.StreamResponse:
        """Serve one tile; a full one never changes, a partial one may be gone soon."""
        name = request.match_info["name"]
        match = _TILE.fullmatch(name)
        if match is None or int((match["partial"] or ".p/1")[3:]) > _MAX_PARTIAL:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, "no such tile: expected tile/<level>/<index>[.p/<width>]"
            )
        caching = BRIEFLY if match["partial"] else FOR_EVER
        return self._file(request, f"tile/{name}", caching, "application/octet-stream")

    def _file(self, request: web.Request, name: str, caching: str, content_type: str) -> web.StreamResponse:
        path = self._directory / name
        # SECURITY: a symbolic link in the directory must not lead out of it either.
        if not path.is_file() or not path.resolve().is_relative_to(self._directory.resolve()):
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"{request.path} is not in this log, or not released yet"
            )
        headers = {
            "Cache-Control": caching,
            "Content-Type": content_type,
            "Access-Control-Allow-Origin": "*",
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(path, headers=headers)


__all__ = ["BRIEFLY", "FOR_EVER", "NOT_AT_ALL", "LogFiles"]
