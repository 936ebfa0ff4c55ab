"""What differs between Linux and macOS; an absent facility is named, never needed.

Not tested on macOS: written from its documentation.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import signal
import sys
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def absent_facilities() -> list[str]:
    """Name what this operating system lacks, for the log."""
    absent: list[str] = []
    if sys.platform != "linux":
        absent.append(
            "adoption of orphaned processes: a notebook's detached children may outlive a build that is stopped"
        )
    return absent


def system_path() -> str:
    """Return the PATH of a bare system: nothing of the person's shell."""
    directories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    if sys.platform == "darwin":
        directories.insert(0, "/opt/homebrew/bin")
    return os.pathsep.join(directories)


def locale_variables() -> dict[str, str]:
    """Return a UTF-8 locale that every system of this kind has."""
    return {"LANG": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"}


def terminal_variables() -> dict[str, str]:
    """Return what a program whose output goes to our terminal needs to know of it: nothing if there is none."""
    kind = os.environ.get("TERM", "")
    return {"TERM": kind} if kind and sys.stdout.isatty() else {}


def target_variables() -> dict[str, str]:
    """Return the CNB_TARGET_* variables that describe this machine."""
    machine = platform.machine().lower()
    variables = {
        "CNB_TARGET_OS": platform.system().lower(),
        "CNB_TARGET_ARCH": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
    }
    with contextlib.suppress(OSError):  # macOS and some minimal Linux systems have no os-release.
        release = platform.freedesktop_os_release()
        variables["CNB_TARGET_DISTRO_NAME"] = release.get("ID", "")
        variables["CNB_TARGET_DISTRO_VERSION"] = release.get("VERSION_ID", "")
    return variables


def user_cache() -> Path:
    """Return the directory below which programs keep what can be made again."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    return Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache"  # noqa: PTH117 - "" is not a Path


def pip_cache() -> Path:
    """Return where pip keeps its downloads by default."""
    return Path.home() / "Library/Caches/pip" if sys.platform == "darwin" else user_cache() / "pip"


def pip_user_configurations() -> list[Path]:
    """Return where pip looks for a person's settings, the strongest first."""
    chosen = os.environ.get("XDG_CONFIG_HOME", "")
    config = Path(chosen) if os.path.isabs(chosen) else Path.home() / ".config"  # noqa: PTH117 - "" is not a Path
    candidates = [config / "pip/pip.conf", Path.home() / ".pip/pip.conf"]
    if sys.platform == "darwin":
        candidates.insert(0, Path.home() / "Library/Application Support/pip/pip.conf")
    return candidates


def copy_file(source: Path, target: Path) -> None:
    """Copy contents, mode and times; let the file system share the blocks where it can."""
    if not _copy_in_kernel(source, target):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)


def _copy_in_kernel(source: Path, target: Path) -> bool:
    if sys.platform != "linux":
        return False
    with open(source, "rb") as reader, open(target, "wb") as writer:
        try:
            # btrfs and xfs clone the blocks; others copy without a detour through this process.
            while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
                pass
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
                raise
            return False  # Old kernels and some file systems cannot.
    return True


def become_subreaper() -> None:
    """Adopt orphaned descendants, so that `kill_descendants` finds them (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_group(pid: int, signum: int) -> None:
    """Send a signal to what is left of the process group that `pid` leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def kill_descendants() -> None:
    """Kill every process below this one, as far as the system tells which they are."""
    while children := _running_children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            # The killed child's own children become ours, which the next turn of the loop sees.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _running_children() -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found
