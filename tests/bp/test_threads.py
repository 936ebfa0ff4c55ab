"""Numerical libraries in a container get as many threads as it may use, told by its cgroups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from nachlass_bp.cgroup import cpu_quota
from nachlass_bp.runner.repeatable import thread_limits


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/pod/build\n", {"pod/cpu.max": "200000 100000\n", "pod/build/cpu.max": "max 100000\n"}, 2.0),
        ("0::/pod/build\n", {"pod/cpu.max": "200000 100000\n", "pod/build/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/seen/from/outside\n", {"cpu.max": "300000 100000\n"}, 3.0),
        (
            "5:memory:/x\n4:cpu,cpuacct:/docker/1\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            4.0,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/\n", {"cpu.max": "what?\n"}, None),
    ],
    ids=["2", "2: none", "no files", "2: above", "2: strictest", "2: container", "1", "1: none", "unreadable"],
)
def test_quota_is_read_as_the_kernel_tells_it(
    tmp_path: Path, own: str, files: Mapping[str, str], quota: float | None
) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        (tmp_path / "mount" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mount" / name).write_text(text)
    assert cpu_quota(tmp_path / "own", tmp_path / "mount") == quota


def test_system_without_cgroups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "absent", tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "processors", "threads"),
    [(None, 8, None), (8.0, 8, None), (16.0, 8, None), (1.5, 8, "2"), (0.1, 8, "1"), (2.0, 8, "2"), (0.5, 1, None)],
)
def test_threads_follow_a_quota_below_the_number_of_processors(
    quota: float | None, processors: int, threads: str | None
) -> None:
    limits = thread_limits(quota, processors)
    assert set(limits.values()) == ({threads} if threads else set())
    assert not limits or {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT"} < set(limits)
