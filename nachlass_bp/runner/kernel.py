"""Starting the kernel: the user's interpreter, our locked ipykernel as an overlay, sockets in a private directory."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from nachlass_bp import cgroup, host
from nachlass_bp.runner import repeatable

_LONGEST_TMPDIR = 70
_BOOT = Path(__file__).resolve().parent.parent / "inside" / "kernel_boot.py"
_PROGRAMS = _BOOT.parent / "programs"
"""What comes first on the PATH of cells. It has the same path in each build, because a notebook may look at PATH."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelConfiguration:
    """What `inside/kernel_boot.py` reads; see there."""

    overlay_module: str
    site: str
    names: Sequence[str]
    distributions: Sequence[str]
    fallback_paths: Sequence[str]
    import_paths: Sequence[str]
    tree: str
    app_dir: str = ""
    trace_file: str = ""
    own_directories: Sequence[str] = ()
    sockets: str = ""
    memory_limit_bytes: int | None = None
    unavailable_status: int = 87
    seed: int | None = None


class Kernel(AsyncKernelManager):
    """One kernel of the user's interpreter, reached over ipc sockets: no TCP port, no encryption warning."""

    def __init__(self, python: Path, configuration: KernelConfiguration, directory: Path) -> None:
        # `ip` is the prefix of the socket files. A relative one (the default) would lie in the kernel's working
        # directory and not be found by the client; sun_path holds 107 bytes, so `directory` has to be short.
        super().__init__(transport="ipc", ip=str(directory / "k"), connection_file=str(directory / "c.json"))
        config_file = directory / "boot.json"
        config_file.write_text(json.dumps(asdict(configuration)), encoding="utf-8")
        (directory / "python").write_text(f"{python}\n", encoding="utf-8")  # For programs/pip.
        self._refused = directory / "refused-pip"
        self._kernel_spec = KernelSpec(
            argv=[str(python), str(_BOOT), str(config_file), "-f", "{connection_file}"],
            display_name="nachlass",
            language="python",
        )

    @property
    def process_id(self) -> int | None:
        """The kernel's process id, None when it was never started."""
        return getattr(self.provisioner, "pid", None)

    def exit_code(self) -> int | None:
        """Return the status of a kernel that ended: negative for a signal, None while it runs."""
        process: Any = getattr(self.provisioner, "process", None)
        return None if process is None else process.poll()

    @property
    def refused_pip(self) -> str | None:
        """The first command of a cell's that would have changed the packages; None if there was none."""
        try:
            return self._refused.read_text(encoding="utf-8", errors="replace").splitlines()[0]
        except (FileNotFoundError, IndexError):
            return None

    def interrupt(self) -> None:
        """Interrupt what runs in the kernel, and the programs that it runs."""
        if self.process_id is not None and self.exit_code() is None:
            host.interrupt_group(self.process_id)

    def destroy(self) -> list[int]:
        """Kill the kernel's process group and every descendant; return what of these is in other groups and alive."""
        pid = self.process_id
        if pid is not None:
            host.kill_group(pid)
            process: Any = getattr(self.provisioner, "process", None)
            if process is not None:
                process.wait()
        return host.kill_descendants(killed_group=pid)


_FIXED = (
    "HOME",
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTER_NO_CONFIG",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUTF8",
)


def visible_variables(base: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the kernel that somebody chose: a notebook's result may depend on their values."""
    kept = {name: value for name, value in base.items() if not name.startswith("CNB_")}
    # Not the numbers of threads that the machine's quota suggests: another machine would run everything again.
    return {name: value for name, value in {**repeatable.CONSTANT, **kept, **more}.items() if name not in _FIXED}


def kernel_environment(base: Mapping[str, str], more: Mapping[str, str], home: Path, scratch: Path) -> dict[str, str]:
    """Return the kernel's whole environment.

    The build's variables stay, apart from the lifecycle's; what makes runs differ for no reason is fixed; and nothing
    of Jupyter or matplotlib is read from or written to a home directory.
    """
    # PYTHONSAFEPATH would hide the modules beside the notebook.
    kept = {name: value for name, value in base.items() if not name.startswith("CNB_") and name != "PYTHONSAFEPATH"}
    fixed = {
        "PATH": f"{_PROGRAMS}{os.pathsep}{base.get('PATH', os.defpath)}",
        "HOME": str(home),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "jupyter"),
        "JUPYTER_DATA_DIR": str(scratch / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(scratch),
        "JUPYTER_NO_CONFIG": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }
    # The user's own value wins where a notebook may reasonably depend on it.
    defaults = {
        **repeatable.CONSTANT,
        **repeatable.thread_limits(cgroup.cpu_quota(), host.processors()),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": str(scratch / "matplotlib"),
        "XDG_CACHE_HOME": str(scratch / "cache"),
    }
    return {**defaults, **kept, **fixed, **more}


def ending(exit_code: int | None) -> str:
    """Say in words how a kernel's process ended."""
    if exit_code is None:
        return "stopped answering"
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with status {exit_code}"


def scratch_directory() -> tempfile.TemporaryDirectory[str]:
    """Return a new directory in TMPDIR, or in /tmp where the paths of its sockets would be too long for sun_path."""
    is_long = len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TMPDIR
    place = "/tmp" if is_long else None  # noqa: S108 - mkdtemp makes a private directory there
    return tempfile.TemporaryDirectory(prefix="nachlass-", dir=place, ignore_cleanup_errors=True)
