"""Memory that the system, the cgroups and the limits of the process still allow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

__all__ = ["cgroup_room", "machine_room", "process_room"]

#: Number of bytes that stands for no limit.
UNLIMITED = 1 << 62
_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


class _Files(NamedTuple):
    """Names of the files of a cgroup, and of the statistic of reclaimable memory."""

    limit: str
    usage: str
    reclaimable: str


_VERSION_1 = _Files(
    "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)
_VERSION_2 = _Files("memory.max", "memory.current", "inactive_file")


def machine_room(proc: Path = _PROC) -> int:
    """Return the bytes that the machine can allocate without swapping."""
    with suppress(OSError, ValueError):
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return UNLIMITED


def cgroup_room(proc: Path = _PROC, mounted: Path = _CGROUPS) -> int:
    """Return the bytes that the cgroups of this process still allow.

    Both versions of cgroups are supported. Cached pages of files, which the system can
    drop, do not count as used.
    """
    with suppress(OSError):
        rooms = [
            _room(directory, names)
            for root, path, names in _memberships(proc, mounted)
            for directory in _upwards(root, path)
        ]
        return min(rooms, default=UNLIMITED)
    return UNLIMITED


def process_room(proc: Path = _PROC) -> int:
    """Return the bytes that the address-space limit RLIMIT_AS still allows."""
    if resource is None or not hasattr(resource, "RLIMIT_AS"):
        return UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return UNLIMITED
    used = 0
    with suppress(OSError, ValueError):
        pages = int((proc / "self" / "statm").read_text().split()[0])
        used = pages * resource.getpagesize()
    return max(0, soft - used)


def _memberships(proc: Path, mounted: Path) -> Iterator[tuple[Path, str, _Files]]:
    """Yield mount point, path and file names of the cgroups that limit this process."""
    for line in (proc / "self" / "cgroup").read_text().splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield mounted, path, _VERSION_2
        elif "memory" in controllers.split(","):
            yield mounted / "memory", path, _VERSION_1


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """Yield the directories from that of a cgroup up to the root.

    In a container, the path may be that of the host, so that only the root exists.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for n in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:n])


def _room(directory: Path, names: _Files) -> int:
    try:
        limit = int((directory / names.limit).read_text())
        usage = int((directory / names.usage).read_text())
        stat = (directory / "memory.stat").read_text()
    except (OSError, ValueError):  # no such file, or "max"
        return UNLIMITED
    numbers = dict(line.split(maxsplit=1) for line in stat.splitlines())
    return max(0, limit - usage + int(numbers.get(names.reclaimable, 0)))
