"""A kernel of the build inside an environment of the user's, driven without a notebook."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nachlass_bp.overlays import Overlay, choose_overlay
from nachlass_bp.runner.kernel import Kernel, KernelConfiguration, kernel_environment
from tests.support import pythons
from tests.support.pythons import ROOT, Python

PROBE = ROOT / "nachlass_bp" / "inside" / "probe.py"


def kernel_site(python: Python) -> Path:
    """Return the overlay's directory, installed from the lock for `python` as the `kernel` layer is."""
    lock = ROOT / "locks" / "kernel.txt"

    def install(directory: Path) -> None:
        pythons._pip(
            python, "install", "--quiet", "--target", str(directory), "--require-hashes", "--no-deps", "-r", str(lock)
        )

    return pythons.made_once("kernel", (python.abi, str(python.executable), lock.read_text()), install)


def user_environment(python: Python, requirements: Sequence[str]) -> Path:
    """Return the interpreter of a virtual environment that holds `requirements` and nothing else."""

    def make(directory: Path) -> None:
        subprocess.run([python.executable, "-m", "venv", "--without-pip", directory], check=True)
        if requirements:
            inside = Python(
                executable=directory / "bin" / "python",
                name=python.name,
                abi=python.abi,
                stdlib=python.stdlib,
                shared_library=None,
            )
            pythons._pip(inside, "install", "--quiet", *requirements)

    key = (python.abi, str(python.executable), *requirements)
    return pythons.made_once("environment", key, make) / "bin" / "python"


def probe(interpreter: Path) -> dict[str, Any]:
    done = subprocess.run([interpreter, PROBE], capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def overlay_for(interpreter: Path) -> Overlay:
    installed = {name: details["version"] for name, details in probe(interpreter)["distributions"].items()}
    return choose_overlay(ROOT / "locks" / "kernel.json", installed)


@dataclass(kw_only=True)
class Outcome:
    """What a cell printed, displayed and raised."""

    printed: str = ""
    displayed: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""


class UserKernel:
    """A running kernel; cells run one by one."""

    def __init__(self, manager: Kernel, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.manager = manager
        self._client = client
        self._loop = loop

    def run(self, code: str) -> Outcome:
        """Run a cell to its end, whatever the end is."""
        outcome = Outcome()

        def note(message: dict[str, Any]) -> None:
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    outcome.printed += content["text"]
                case "display_data" | "execute_result":
                    outcome.displayed.append(content["data"])
                case "error":
                    outcome.error = f"{content['ename']}: {content['evalue']}"
                case _:
                    pass  # The kernel's state and the echo of the cell.

        self._wait(self._client.execute_interactive(code, output_hook=note, allow_stdin=False, timeout=120))
        return outcome

    def value(self, expression: str) -> Any:
        """Evaluate an expression of the notebook's, whose value is plain data."""
        outcome = self.run(f"print(repr(({expression})))")
        assert not outcome.error, outcome.error
        return ast.literal_eval(outcome.printed)

    def ask(self, call: str) -> Any:
        """Call a function of `nachlass_bp.inside` in the kernel, as the driver does, and decode its answer."""
        expression = f"__import__('sys').modules['_nachlass_inside'].{call}"
        reply = self._wait(
            self._client.execute_interactive(
                "", silent=True, store_history=False, user_expressions={"answer": expression}, timeout=60
            )
        )
        answer = reply["content"]["user_expressions"]["answer"]
        assert answer["status"] == "ok", answer
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def _wait(self, awaitable: Any) -> Any:
        return self._loop.run_until_complete(awaitable)


@contextmanager
def user_kernel(
    interpreter: Path,
    tree: Path,
    *,
    python: Python | None = None,
    fallback_paths: Sequence[str] = (),
    env: dict[str, str] | None = None,
) -> Iterator[UserKernel]:
    """Start the kernel as a build does, in the directory `tree`, and stop it at the end."""
    overlay = overlay_for(interpreter)
    configuration = KernelConfiguration(
        overlay_module=str(ROOT / "scorer" / "overlay.py"),
        site=str(kernel_site(python or pythons.this_python())),
        names=overlay.names,
        distributions=overlay.distributions,
        fallback_paths=fallback_paths,
        import_paths=[str(tree)],
        tree=str(tree),
    )
    loop = asyncio.new_event_loop()
    # Short: socket paths have to fit into 107 bytes, which pytest's own directories do not.
    with tempfile.TemporaryDirectory(prefix="nk-") as scratch:
        manager = Kernel(interpreter, configuration, Path(scratch))
        home = Path(scratch) / "home"
        home.mkdir()
        environment = kernel_environment({"PATH": os.environ["PATH"]}, env or {}, home, Path(scratch))
        try:
            loop.run_until_complete(manager.start_kernel(cwd=str(tree), env=environment))
            client = manager.client()
            client.start_channels()
            try:
                loop.run_until_complete(client.wait_for_ready(timeout=60))
                yield UserKernel(manager, client, loop)
            finally:
                client.stop_channels()
        finally:
            loop.run_until_complete(manager.shutdown_kernel(now=True))
            loop.close()


def running(process_id: int) -> bool:
    """Whether the process exists and is no zombie, as Linux tells it."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
