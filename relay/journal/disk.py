"""Room on the disk: a node that cannot journal stops, so it says early that it will not be able to."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from relay.core.errors import ConfigError

__all__ = ["DiskLimits", "DiskState", "check_disk", "disk_state", "keep_ballast"]

_GIBIBYTE = 1 << 30
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLimits:
    """When to refuse and when to warn. `ballast_bytes` are held in a file that may be deleted in need."""

    min_free_bytes: int = _GIBIBYTE
    warn_free_percent: int = 10
    ballast_bytes: int = 64 * _MEBIBYTE


@dataclass(frozen=True, slots=True)
class DiskState:
    """How full the file system is. `is_low` asks for a warning, `has_ballast` says the reserve is there."""

    free_bytes: int
    total_bytes: int
    is_low: bool
    has_ballast: bool


def disk_state(directory: Path, limits: DiskLimits) -> DiskState:
    """Look at the file system of `directory`."""
    usage = shutil.disk_usage(directory)
    return DiskState(
        free_bytes=usage.free,
        total_bytes=usage.total,
        is_low=usage.free * 100 < usage.total * limits.warn_free_percent,
        has_ballast=_ballast(directory).exists() or limits.ballast_bytes == 0,
    )


def check_disk(directory: Path, limits: DiskLimits) -> None:
    """Refuse to start where the next hour may not fit.

    Raises:
        ConfigError: less than `min_free_bytes` are free.
    """
    free = shutil.disk_usage(directory).free
    if free < limits.min_free_bytes:
        remedy = "free some space"
        if _ballast(directory).exists():
            remedy += f", in need by deleting {_ballast(directory)}"
        raise ConfigError(
            str(directory), f"expected at least {limits.min_free_bytes} free bytes, got {free}", remedy=remedy
        )


def keep_ballast(directory: Path, limits: DiskLimits) -> None:
    """Reserve the ballast if it is not there and fits above the minimum."""
    path = _ballast(directory)
    free = shutil.disk_usage(directory).free
    if path.exists() or limits.ballast_bytes == 0 or free < limits.min_free_bytes + limits.ballast_bytes:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, limits.ballast_bytes)
    finally:
        os.close(descriptor)


def _ballast(directory: Path) -> Path:
    return directory / "ballast"
