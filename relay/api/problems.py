"""Refusals as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

PROBLEM = "application/problem+json"


class ProblemError(Exception):
    """A request is refused; becomes the response. `remedy` is what the asker can do about it."""

    def __init__(self, status: HTTPStatus, detail: str, *, remedy: str = "", **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.remedy = remedy
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def problem_response(
    status: int, detail: str, headers: dict[str, str] | None = None, *, remedy: str = ""
) -> web.Response:
    """Give the response that says what was wrong."""
    document = {"status": status, "title": HTTPStatus(status).phrase.lower(), "detail": detail}
    if remedy:
        document["remedy"] = remedy
    return web.Response(
        status=status, text=json.dumps(document, ensure_ascii=False), content_type=PROBLEM, headers=headers
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals, ours and aiohttp's, into problem documents; an error of ours shows nothing of itself."""
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem_response(problem.status, problem.detail, problem.headers, remedy=problem.remedy)
    except web.HTTPRequestEntityTooLarge:
        return problem_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "expected a smaller body")
    except web.HTTPMethodNotAllowed as refusal:
        allowed = ", ".join(sorted(refusal.allowed_methods))
        return problem_response(
            refusal.status, f"expected {allowed}, got {refusal.method}", {"Allow": allowed}
        )
    except web.HTTPException as refusal:
        if refusal.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem_response(refusal.status, f"nothing at {request.path}")


__all__ = ["PROBLEM", "ProblemError", "problem_response", "problems"]
