"""The `packages` layer: the repository's requirements, where no earlier buildpack installed them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from nachlass_bp import interpreter as interpreters
from nachlass_bp import pip, process, requirements
from nachlass_bp.cnb.layer import Layer, make_world_readable
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import (
    DiskFullError,
    IndexUnreachableError,
    InstallFailedError,
    RequirementsFailedError,
    RequirementsMissingError,
    RequirementUnmetError,
)
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.layers import locked
from nachlass_bp.output import Output

_DAY_S = 86_400


def ensure(context: BuildContext, base: Interpreter, output: Output, *, upgrade: bool) -> Interpreter:
    """Return the interpreter that has the repository's requirements, installing them where nobody did.

    Raises:
        RequirementUnmetError: An earlier buildpack installed requirements, but not all of them.
        RequirementsMissingError, RequirementsFailedError, IndexUnreachableError: pip has nothing to do, or can't.
    """
    output.heading("Python packages")
    file = context.app_dir / requirements.FILE_NAME
    provided = interpreters.requirements_directory(base, context)
    if provided is not None:
        output.step(f"Using the packages that an earlier buildpack installed for Python {base.version}")
        if unmet := requirements.first_unmet(file, base):
            raise RequirementUnmetError(requirement=unmet[0], installed=unmet[1], directory=str(provided))
        return base
    if not file.is_file():
        raise RequirementsMissingError
    layer = Layer(layers_dir=context.layers_dir, name="packages", launch=True, cache=True)
    key = f"packages-{base.platform_key}-{requirements.digest(file, context.app_dir)[:32]}"
    reasons = _stale_reasons(layer, key, upgrade=upgrade)
    if reasons is None:
        output.step("Using cached packages" + _age(layer, file))
    else:
        if reasons:
            output.step("Discarding cached packages since:", reasons)
        _install(context, base, layer, file, key, output)
    layer.declare({"key": key})
    return interpreters.probe(_python(layer.path), environment(context.env, layer.path))


def _stale_reasons(layer: Layer, key: str, *, upgrade: bool) -> list[str] | None:
    """Return why the layer's contents can't be used, an empty list when there are none, None when they can."""
    if layer.key is None:
        return []
    if upgrade:
        return ["NACHLASS_UPGRADE asks for the newest versions"]
    if layer.key == key:
        return None
    same_python = layer.key.rpartition("-")[0] == key.rpartition("-")[0]
    return [f"{requirements.FILE_NAME} or a file that it names has changed" if same_python else "Python has changed"]


def _age(layer: Layer, file: Path) -> str:
    if requirements.has_pins(file):
        return ""
    made = _installed_at(layer.path)
    if made is None:
        return ""
    days = int((time.time() - made.timestamp()) // _DAY_S)
    return f" (resolved {made:%Y-%m-%d}, {days} days ago; NACHLASS_UPGRADE=1 resolves unpinned ones anew)"


def _installed_at(directory: Path) -> datetime | None:
    # Not the file's time: restoring a cache doesn't keep it.
    try:
        return datetime.fromisoformat((directory / ".nachlass-installed").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _install(context: BuildContext, base: Interpreter, layer: Layer, file: Path, key: str, output: Output) -> None:
    """Build the environment whole, in a directory of its own, and put it in place when it is complete."""
    output.step(f"Installing {file.name} with Python {base.version}")
    layer.discard()
    new = Layer(layers_dir=context.layers_dir, name="packages.new")
    root = new.empty()
    try:
        _make_environment(context, root)
        with pip.find(Path(sys.executable), context.env, context.buildpack_dir / "wheels") as installer:
            _run_pip(installer, context, root, file, output)
        _move_scripts(root, layer.path)
        locked.compile_bytecode(_python(root), root / "lib", env=environment(context.env, root))
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        (root / ".nachlass-installed").write_text(now, encoding="utf-8")
        make_world_readable(root)
        new.seal(key)
        root.rename(layer.path)
    finally:
        new.discard()


def _make_environment(context: BuildContext, root: Path) -> None:
    made = process.run(
        [sys.executable, "-I", "-m", "venv", "--without-pip", "--symlinks", root], env=context.env, cwd=root.parent
    )
    if not made.ok:
        raise InstallFailedError(what="a virtual environment for your packages (python3-venv)", output=made.output)


def _run_pip(installer: pip.Pip, context: BuildContext, root: Path, file: Path, output: Output) -> None:
    finished = installer.run(
        [
            *("--python", _python(root), "install", "--progress-bar", "off", "--no-compile"),
            *("--requirement", file.name),
        ],
        cwd=context.app_dir,
        on_line=lambda line: output.detail(line) if _is_worth_showing(line) else None,
    )
    if finished.ok:
        return
    details = output.redact(finished.output)
    if pip.disk_was_full(finished):
        raise DiskFullError(path=str(root))
    with tempfile.TemporaryDirectory(prefix="nachlass-pip-") as scratch:
        unreachable = pip.is_unreachable(installer, finished, Path(scratch))
    if unreachable:
        raise IndexUnreachableError(file=file.name, output=_tail(details))
    raise RequirementsFailedError(file=file.name, output=_tail(details))


def _is_worth_showing(line: str) -> bool:
    return line.startswith(("Successfully installed", "WARNING:", "DEPRECATION:", "  Building", "Building"))


def _tail(text: str, lines: int = 40) -> str:
    kept = [
        line
        for line in text.splitlines()
        if not line.lstrip().startswith(("Collecting", "Downloading", "Using cached"))
    ]
    return "\n".join(kept[-lines:])


def _python(root: Path) -> Path:
    return root / "bin" / "python"


def environment(env: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return `env` for the environment's interpreter: a provider's PYTHONPATH would come before its packages."""
    kept = {name: value for name, value in env.items() if name not in {"PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE"}}
    return {**kept, "VIRTUAL_ENV": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{env.get('PATH', '')}"}


def _move_scripts(root: Path, final: Path) -> None:
    """Rewrite the paths that pip and venv baked into scripts, from where they were made to where they will be."""
    for script in [*(root / "bin").iterdir(), root / "pyvenv.cfg"]:
        if script.is_symlink() or not script.is_file():
            continue
        data = script.read_bytes()
        changed = data.replace(os.fsencode(root), os.fsencode(final))
        if changed != data:
            mode = script.stat().st_mode
            script.write_bytes(changed)
            script.chmod(mode)
    shutil.rmtree(root / "include", ignore_errors=True)
