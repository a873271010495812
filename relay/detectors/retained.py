"""The newest headers of the chain as the node was told it: what a re-organisation is found by. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from relay.core.types import BlockRef, Header

MIN_RETAINED = 512


class Retained:
    """Consecutive headers, newest last, at most `most` of them."""

    def __init__(self, headers: Iterable[Header], most: int = MIN_RETAINED) -> None:
        self._headers: deque[Header] = deque(maxlen=most)
        for header in headers:
            self.append(header)

    def __len__(self) -> int:
        return len(self._headers)

    @property
    def last(self) -> Header | None:
        return self._headers[-1] if self._headers else None

    @property
    def oldest(self) -> Header | None:
        return self._headers[0] if self._headers else None

    def append(self, header: Header) -> None:
        """Add the block that stands on the last one."""
        last = self.last
        assert last is None or self.is_next(header), "a gap in the retained headers"
        self._headers.append(header)

    def is_next(self, header: Header) -> bool:
        """Whether `header` stands on the last retained one."""
        last = self.last
        return (
            last is not None
            and header.parent == last.block.hash
            and header.block.number == last.block.number + 1
        )

    def at(self, number: int) -> Header | None:
        """The header of this number, where it is retained."""
        if not self._headers:
            return None
        place = number - self._headers[0].block.number
        return self._headers[place] if 0 <= place < len(self._headers) else None

    def cut(self, ancestor: BlockRef) -> None:
        """Forget everything above `ancestor`."""
        while self._headers and self._headers[-1].block.number > ancestor.number:
            self._headers.pop()


__all__ = ["MIN_RETAINED", "Retained"]
