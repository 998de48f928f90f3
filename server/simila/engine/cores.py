"""How many cores this process may keep busy: what the scheduler, the container and the silicon leave it."""

import math
import os
from pathlib import Path, PurePosixPath

SYSTEM = Path("/")
CGROUP_FIELDS = 3  # hierarchy:controllers:path


def usable_cores() -> int:
    """Physical cores that this process may run on, no more than its cgroup's quota of time pays for; at least 1.

    Two threads of one core share its arithmetic, so for matrices they count once.
    """
    cpus = _schedulable_cpus()
    quota = cpu_quota(SYSTEM)
    return max(1, min(physical_cores(SYSTEM, cpus), math.ceil(quota) if quota else len(cpus)))


def physical_cores(root: Path, cpus: frozenset[int]) -> int:
    """Cores among the logical `cpus`, by sysfs below `root`; a cpu without an entry counts as a core of its own."""
    return len({_siblings(root, cpu) for cpu in cpus})


def cpu_quota(root: Path) -> float | None:
    """Cores' worth of time that the control groups grant, version 2 or 1, the tightest of all levels; None: no limit.

    Kernel documentation: admin-guide/cgroup-v2, `cpu.max`, and scheduler/sched-bwc, `cpu.cfs_quota_us`.
    """
    quotas = [
        quota
        for controllers, group in _groups(root)
        for level in (group, *group.parents)
        if (quota := _quota(root / "sys/fs/cgroup", controllers, level)) is not None
    ]
    return min(quotas, default=None)


def _schedulable_cpus() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _siblings(root: Path, cpu: int) -> str:
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return _text(topology / "core_cpus_list") or _text(topology / "thread_siblings_list") or str(cpu)


def _groups(root: Path) -> list[tuple[str, PurePosixPath]]:
    """Controllers and path, relative to where they are mounted, of each hierarchy that may limit this process."""
    lines = (line.split(":", 2) for line in _text(root / "proc/self/cgroup").splitlines())
    named = ((fields[1], PurePosixPath(fields[2].lstrip("/"))) for fields in lines if len(fields) == CGROUP_FIELDS)
    return [(controllers, group) for controllers, group in named if not controllers or "cpu" in controllers.split(",")]


def _quota(mount: Path, controllers: str, group: PurePosixPath) -> float | None:
    if controllers:
        folder = mount / controllers / group
        fields = [_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")]
    else:
        fields = _text(mount / group / "cpu.max").split()
    try:
        quota_microseconds, period_microseconds = map(int, fields)
    except ValueError:  # no such file, or "max"
        return None
    return quota_microseconds / period_microseconds if quota_microseconds > 0 and period_microseconds > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
