"""How many cores there are to use, on machines made of files."""

import os

import pytest

from simila.engine import cores
from simila.engine.cores import cpu_quota, physical_cores, usable_cores


@pytest.fixture
def machine(tmp_path):
    """Write files of a machine and return its root."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


def two_threads_a_core(physical, *, file="core_cpus_list"):
    """Logical cpus 0 to 2n-1, of which n apart share a core."""
    return {
        f"sys/devices/system/cpu/cpu{cpu}/topology/{file}": f"{cpu % physical},{cpu % physical + physical}\n"
        for cpu in range(2 * physical)
    }


@pytest.mark.parametrize("file", ["core_cpus_list", "thread_siblings_list"])
def test_threads_of_one_core_count_once(machine, file):
    root = machine(two_threads_a_core(4, file=file))
    assert physical_cores(root, frozenset(range(8))) == 4
    assert physical_cores(root, frozenset({0, 4, 1})) == 2


def test_a_cpu_that_sysfs_does_not_know_is_a_core(tmp_path):
    assert physical_cores(tmp_path, frozenset({0, 1, 5})) == 3


def test_version_2_takes_the_tightest_level(machine):
    root = machine(
        {
            "proc/self/cgroup": "0::/kubepods/pod\n",
            "sys/fs/cgroup/kubepods/pod/cpu.max": "max 100000\n",
            "sys/fs/cgroup/kubepods/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/cpu.max": "800000 100000\n",
        }
    )
    assert cpu_quota(root) == 2.5


def test_version_1_reads_its_own_mount_even_where_the_path_is_the_hosts(machine):
    root = machine(
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/cpu.cfs_quota_us": "1\n",
            "sys/fs/cgroup/memory/cpu.cfs_period_us": "100000\n",
        }
    )
    assert cpu_quota(root) == 1.5


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "damaged\n"},
        {
            "proc/self/cgroup": "1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    ],
    ids=["no-files", "v2-unlimited", "v2-damaged", "v1-unlimited"],
)
def test_no_quota(machine, files):
    assert cpu_quota(machine(files)) is None


@pytest.mark.parametrize(
    ("quota", "expected"), [("100000", 1), ("150000", 2), ("5000", 1), ("400000", 4), ("1600000", 4), ("max", 4)]
)
def test_the_quota_and_the_silicon_both_limit(machine, monkeypatch, quota, expected):
    files = two_threads_a_core(4) | {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cpu.max": f"{quota} 100000\n",
    }
    monkeypatch.setattr(cores, "SYSTEM", machine(files))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores() == expected


def test_affinity_limits(machine, monkeypatch):
    monkeypatch.setattr(cores, "SYSTEM", machine(two_threads_a_core(4)))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5}, raising=False)
    assert usable_cores() == 1


def test_a_system_without_affinity_counts_all(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "SYSTEM", tmp_path)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6
