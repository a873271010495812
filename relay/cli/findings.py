"""One check of `tocsin doctor`, as people and scripts read it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "file_found"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check; `held` is None where it could not be told."""

    name: str
    held: bool | None
    detail: str = ""
    remedy: str = ""

    def row(self) -> tuple[bool | None, str, str, str]:
        """As a line for people."""
        return self.held, self.name, self.detail, self.remedy

    def document(self) -> dict[str, object]:
        """As JSON holds it."""
        return {"name": self.name, "held": self.held, "detail": self.detail, "remedy": self.remedy}


def file_found(name: str, detail: str) -> Finding:
    """Give the finding that something is in order."""
    return Finding(name, True, detail)
