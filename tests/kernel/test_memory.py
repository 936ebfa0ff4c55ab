"""A build that runs out of memory says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nachlass_bp import cgroup
from tests.kernel.notebook_run import job_for, notebook_of, run
from tests.kernel.user_kernel import user_environment
from tests.support.facilities import lack
from tests.support.pythons import this_python

LIMIT_BYTES = 400 << 20


@pytest.fixture
def small_group() -> Iterator[Path]:
    """Yield a control group with little memory, where this machine lets us make one."""
    group = _make_group(cgroup.MOUNT, "memory.max") or _make_group(cgroup.MOUNT / "memory", "memory.limit_in_bytes")
    if group is None:
        lack("cgroup", "no control group can be made here (it takes root and a writable /sys/fs/cgroup)")
    yield group
    group.rmdir()


def _make_group(mount: Path, limit: str) -> Path | None:
    if not (mount / "cgroup.procs").exists():
        return None  # Not a hierarchy: below a plain directory, everything can be written and nothing happens.
    group = mount / f"nachlass-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(LIMIT_BYTES))
    except OSError:
        if group.exists():
            group.rmdir()
        return None
    return group


def test_kernel_that_the_system_ends_for_want_of_memory(small_group: Path, tmp_path: Path) -> None:
    job = job_for(user_environment(this_python(), []), tmp_path, notebook_of(["1", "x = b'1' * (2 << 30)"]))
    enter = ["/bin/sh", "-c", f'echo $$ >{small_group}/cgroup.procs && exec "$@"', "sh"]
    outcome = run(job, prefix=enter)
    assert outcome.failure.heading.startswith("The kernel died in code cell 2 of 2")
    assert outcome.failure.body == ("The system ended it because the build ran out of memory (the limit is 400.0 MiB).")
    assert outcome.errors(2) == ["KernelDied"]


@pytest.mark.parametrize(
    ("membership", "files", "kills", "limit"),
    [
        ("0::/\n", {"memory.events": "low 0\noom 1\noom_kill 2\n", "memory.max": "1000\n"}, 2, 1000),
        (
            "0::/user.slice/x\n",
            {
                "user.slice/x/memory.events": "oom_kill 3\n",
                "user.slice/x/memory.max": "max\n",
                "user.slice/memory.max": "500\n",
            },
            3,
            500,
        ),
        (
            "4:cpu,memory:/docker/ab\n0::/\n",
            {"memory/memory.oom_control": "under_oom 0\noom_kill 4\n", "memory/memory.limit_in_bytes": "700\n"},
            4,
            700,
        ),
        (
            "4:memory:/a/b\n",
            {
                "memory/a/b/memory.oom_control": "oom_kill 5\n",
                "memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/a/memory.limit_in_bytes": "800\n",
                "memory/memory.oom_control": "oom_kill 99\n",
            },
            5,
            800,
        ),
        ("0::/\n", {"cgroup.procs": "1\n"}, None, None),
    ],
    ids=["container", "version 2", "container of version 1", "version 1", "without the controller"],
)
def test_limit_and_kills_are_those_of_our_own_group(
    tmp_path: Path, membership: str, files: dict[str, str], kills: int | None, limit: int | None
) -> None:
    (tmp_path / "cgroup").write_text(membership)
    mount = tmp_path / "mount"
    for name, text in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(text)
    assert cgroup.oom_kills(mount, tmp_path / "cgroup") == kills
    assert cgroup.memory_limit_bytes(mount, tmp_path / "cgroup") == limit
