"""Run our ipykernel in the user's interpreter: `<user's python> kernel_boot.py CONFIG.json -f CONNECTION_FILE`.

Nothing of Jupyter is installed beside the user's packages: it comes from an overlay, for this process alone.
CONFIG.json is `nachlass_bp.runner.kernel.KernelConfiguration`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_INSIDE = "_nachlass_inside"


def main() -> None:
    """Prepare the process, then run the kernel until it is told to stop."""
    configuration = json.loads(Path(sys.argv.pop(1)).read_text(encoding="utf-8"))
    _die_with_parent()
    here = Path(__file__).resolve().parent
    # Our directory comes first because Python was told to run a file of it; the notebook must not import from it.
    if sys.path and Path(sys.path[0]).resolve() == here:
        del sys.path[0]
    overlay = _load("_nachlass_overlay", Path(configuration["overlay_module"]))
    overlay.install(configuration["site"], configuration["names"], configuration["distributions"])
    _load(_INSIDE, here / "__init__.py")
    if configuration["trace_file"]:
        importlib.import_module(f"{_INSIDE}.tracer").trace(
            configuration["trace_file"], configuration["tree"], configuration["own_directories"]
        )
    # IPython adds '', the notebook's directory, before the first site-packages: where every Jupyter has it.
    sys.path += [*configuration["fallback_paths"], *configuration["import_paths"]]
    if configuration["app_dir"]:
        overlay.redirect(configuration["app_dir"], configuration["tree"])
    importlib.import_module(f"{_INSIDE}.pointers").refuse_pointers(configuration["tree"])
    importlib.import_module(f"{_INSIDE}.observe").observe_fits()
    _limit_sockets(configuration["sockets"], configuration["unavailable_status"])
    _run_kernel(configuration)


def _limit_sockets(wanted: str, unavailable_status: int) -> None:
    """Refuse Internet sockets, or tell the driver that listens at `wanted` of them; "" for neither."""
    sockets: Any = importlib.import_module(f"{_INSIDE}.sockets")
    if wanted == "refuse":
        try:
            sockets.refuse()
        except OSError as error:
            sys.stderr.write(f"The network can't be refused: {error}\n")
            sys.exit(unavailable_status)
    elif wanted:
        with contextlib.suppress(OSError):  # The driver sees that nobody has come.
            sockets.watch(wanted)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the build's driver is gone, however that one ended (prctl(2)).

    Elsewhere, and in a Python without ctypes, ipykernel's own watch on its parent does it a second later.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ImportError):
            import ctypes  # noqa: PLC0415 - optional in a Python built by hand.

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            # The parent may have died before the request.
            if os.getppid() != int(os.environ.get("JPY_PARENT_PID", os.getppid())):
                os.kill(os.getpid(), signal.SIGKILL)


def _load(name: str, file: Path) -> Any:
    """Import `file` under a name that no notebook uses; a package if it is an `__init__.py`."""
    locations = [str(file.parent)] if file.name == "__init__.py" else None
    spec = spec_from_file_location(name, file, submodule_search_locations=locations)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _run_kernel(configuration: dict[str, Any]) -> None:
    # What a notebook finds there under any Jupyter.
    sys.argv[0] = str(Path(configuration["site"]) / "ipykernel_launcher.py")
    app: Any = importlib.import_module("ipykernel.kernelapp").IPKernelApp.instance()
    # A build on this machine and one on another are the same: no configuration, no startup files, no history.
    app.load_config_file = lambda *_, **__: None
    app._run_startup_files = lambda: None  # noqa: SLF001 - the only switch there is.
    app.initialize([*sys.argv[1:], "--HistoryManager.hist_file=:memory:"])
    _lose_no_output(app)
    importlib.import_module(f"{_INSIDE}.plots").draw_inline_here_alone()
    importlib.import_module(f"{_INSIDE}.filters").drop_filters_of(configuration["names"])
    failure = importlib.import_module(f"{_INSIDE}.failure")
    app.shell.events.register("pre_run_cell", failure.remember_cell)
    app.shell.events.register("pre_run_cell", importlib.import_module(f"{_INSIDE}.tracer").cell_begins)
    app.shell.events.register("post_run_cell", failure.remember_result)
    importlib.import_module(f"{_INSIDE}.pip_refusal").refuse_pip(app.shell)
    repeatable: Any = importlib.import_module(f"{_INSIDE}.repeatable")
    repeatable.name_cells(app.shell)
    if configuration["seed"] is not None:
        repeatable.seed_at_first_cell(app.shell, configuration["seed"])
    _limit_memory(configuration["memory_limit_bytes"])  # The last step: what doesn't fit is an error of a cell.
    app.start()


def _limit_memory(wanted_bytes: int | None) -> None:
    """Limit the address space of this process and its children; whoever started the build may allow less."""
    if wanted_bytes is not None:
        allowed = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = wanted_bytes if allowed == resource.RLIM_INFINITY else min(wanted_bytes, allowed)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _lose_no_output(app: Any) -> None:
    """Let a cell that writes faster than the driver reads wait, where ZeroMQ would drop messages beyond a thousand."""
    zmq: Any = importlib.import_module("zmq")
    # The socket belongs to its thread.
    app.iopub_thread.schedule(lambda: app.iopub_thread.socket.setsockopt(zmq.XPUB_NODROP, 1))


if __name__ == "__main__":
    main()
