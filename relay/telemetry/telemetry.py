"""The one object through which a node speaks to its operator."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from relay.core.effects import PageKind
from relay.core.types import Millis
from relay.telemetry.log import Level, Log
from relay.telemetry.metrics import Metrics

MAX_KEPT_PAGES = 256


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it went out."""

    kind: PageKind
    text: str
    at_ms: Millis


def _nobody(page: Page) -> None:
    """The default receiver: the log line and the counter are all there is."""
    del page


class Telemetry:
    """Log, metrics, pages, notices. `on_page` carries a page further (it must not block)."""

    def __init__(
        self, log: Log, metrics: Metrics | None = None, *, on_page: Callable[[Page], None] = _nobody
    ) -> None:
        self.log = log
        self.metrics = Metrics() if metrics is None else metrics
        self._on_page = on_page
        self._pages: deque[Page] = deque(maxlen=MAX_KEPT_PAGES)

    @property
    def pages(self) -> tuple[Page, ...]:
        """The newest pages, oldest first."""
        return tuple(self._pages)

    def dropped(self, reason: str, **fields: object) -> None:
        """Say that an input was dropped; `reason` is a constant phrase and the counter's label."""
        self.metrics.count("dropped", reason=reason)
        self.log.info("dropped", reason=reason, **fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log a warning and count it."""
        self.metrics.count("log_lines", level="warning")
        self.log.warning(event, **fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Log an error and count it."""
        self.metrics.count("log_lines", level="error")
        self.log.error(event, **fields)

    def notice(self, text: str, /, **fields: object) -> None:
        """Write a ticket: somebody should look at it in office hours; `text` is a constant phrase."""
        self.metrics.count("notices", notice=text)
        self.log.write(Level.NOTICE, text, fields)

    def page(self, kind: PageKind, text: str, **fields: object) -> None:
        """Wake somebody."""
        self.metrics.count("pages", kind=kind.value)
        self.log.write(Level.PAGE, kind.value, {"text": text, **fields})
        page = Page(kind, text, self.log.clock())
        self._pages.append(page)
        self._on_page(page)


__all__ = ["MAX_KEPT_PAGES", "Page", "PageKind", "Telemetry"]
