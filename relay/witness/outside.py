"""Asking a witness outside of the committee over HTTP (C2SP tlog-witness; SPEC 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import aiohttp

from proofs.note import VerifierKey
from relay.witness.pushing import WitnessSilent

__all__ = ["OutsideWitness"]

_TIMEOUT_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class OutsideWitness:
    """A witness at `url`, the prefix of its `add-checkpoint`; it counts for no quorum of ours."""

    key: VerifierKey
    url: str

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        """Post a request.

        Raises:
            WitnessSilent: no answer, too late or too large.
        """
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        where = f"{self.url.rstrip('/')}/add-checkpoint"
        try:
            # A connection each time: checkpoints are rare, and an idle one would only be found broken.
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(where, data=raw, allow_redirects=False) as response,
            ):
                body = b""
                async for part in response.content.iter_chunked(_MAX_ANSWER_BYTES):
                    body += part
                    if len(body) > _MAX_ANSWER_BYTES:
                        break
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise WitnessSilent(f"no answer: {type(error).__name__}") from error
        if len(body) > _MAX_ANSWER_BYTES:
            raise WitnessSilent("its answer is too large")
        return response.status, body
