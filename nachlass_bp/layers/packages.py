"""The `packages` layer: the repository's requirements, where no earlier buildpack installed them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from nachlass_bp import bytecode, pip, process, requirements, tree
from nachlass_bp import interpreter as interpreters
from nachlass_bp.cnb import launch
from nachlass_bp.cnb.layer import Layer, make_world_readable
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import (
    DiskFullError,
    IndexUnreachableError,
    RequirementsFailedError,
    RequirementsMissingError,
    RequirementUnmetError,
    VenvMissingError,
)
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.layers import locked, stages, tools
from nachlass_bp.output import Output
from nachlass_bp.pulse import Waiting


def ensure(context: BuildContext, base: Interpreter, output: Output, *, upgrade: bool) -> Interpreter:
    """Return the interpreter that has the repository's requirements, installing them where nobody did.

    Raises:
        RequirementUnmetError: An earlier buildpack installed requirements, but not all of them.
        RequirementsMissingError, RequirementsFailedError, IndexUnreachableError: pip has nothing to do, or can't.
        VenvMissingError, PipMissingError: There is nothing to install them with.
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
    if base.base_prefix.is_relative_to(context.layers_root):
        # A group may have such a buildpack in the wrong place, and then works all the same.
        output.step(f"No buildpack before nachlass installed {file.name}, so nachlass does; one after it is too late")
    cached = look(context, base, upgrade=upgrade)
    layer = cached.layer
    if cached.reasons is None:
        output.step("Using cached packages" + _age(layer, file))
    else:
        if cached.reasons:
            output.step("Discarding cached packages since:", cached.reasons)
        _install(context, base, layer, file, cached.key, output)
    layer.declare({"key": cached.key})
    return cached.probe(context)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """The layer as the last build left it, and what this one wants of it.

    `reasons` is None when its packages can stay, and else says why they can't; it is empty when there are none.
    """

    layer: Layer
    key: str
    reasons: Sequence[str] | None

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return _python(self.layer.path)

    def probe(self, context: BuildContext) -> Interpreter:
        """Ask the layer's interpreter what is installed.

        Raises:
            PythonFailedError: It doesn't run.
        """
        return interpreters.probe(self.python, environment(context.env, self.layer.path))


def look(context: BuildContext, base: Interpreter, *, upgrade: bool) -> Cached:
    """Decide whether the packages of the last build can stay, and change nothing."""
    file = context.app_dir / requirements.FILE_NAME
    layer = layer_of(context)
    key = f"packages-{base.platform_key}-{requirements.digest(file)[:32]}"
    different = locked.what_changed(layer.key, key, f"{file.name} or a file that it names")
    reasons = layer.reasons_to_replace(key, different=different)
    if upgrade and layer.key is not None:
        reasons = ["NACHLASS_UPGRADE asks for the newest versions"]
    return Cached(layer=layer, key=key, reasons=reasons)


def layer_of(context: BuildContext) -> Layer:
    """Return the layer, whether or not this build has one."""
    return Layer(layers_dir=context.layers_dir, name="packages", launch=True, cache=True)


def _age(layer: Layer, file: Path) -> str:
    if requirements.has_pins(file):
        return ""
    made = _installed_at(layer)
    if made is None:
        return ""
    days = (datetime.now(timezone.utc).date() - made.date()).days
    ago = {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")
    return f" (resolved {made:%Y-%m-%d}, {ago}; NACHLASS_UPGRADE=1 resolves unpinned ones anew)"


def _installed_file(layer: Layer) -> Path:
    """Return where the time of the installation stands: not in the layer, of which each build is to give the same."""
    return layer.layers_dir / tools.NAME / "packages-installed"


def _note_installation(layer: Layer) -> None:
    """Write down that it was now: as a new file, for a platform may have linked the old one into a safe place."""
    file = _installed_file(layer)
    file.unlink(missing_ok=True)
    file.write_text(datetime.now(timezone.utc).isoformat(timespec="seconds"), encoding="utf-8")


def _installed_at(layer: Layer) -> datetime | None:
    # Not a file's time: restoring a cache doesn't keep it.
    try:
        return datetime.fromisoformat(_installed_file(layer).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _install(context: BuildContext, base: Interpreter, layer: Layer, file: Path, key: str, output: Output) -> None:
    """Fill the layer in place, for scripts and editable installations remember where it is; sealed when complete."""
    output.step(f"Installing {file.name} with Python {base.version}")
    root = layer.empty()
    made = process.run(
        [sys.executable, "-I", "-B", "-m", "venv", "--without-pip", "--symlinks", root], env=context.env, cwd=root
    )
    if not made.ok:
        raise VenvMissingError(python=sys.executable, output=made.output)
    shutil.rmtree(root / "include", ignore_errors=True)  # The lifecycle would put it on CPATH.
    installer = pip.find(Path(sys.executable), context.env, context.buildpack_dir / "wheels")
    if requirements.has_local_projects(file):
        with _working_copy(context, output) as directory:
            _run_pip(installer, root, directory, output)
    else:
        _run_pip(installer, root, context.app_dir, output)
    output.step("Compiling them, so that the service starts sooner")
    bytecode.compile_beside(_python(root), root / "lib", env=environment(context.env, root))
    _note_installation(layer)
    # A provider's settings at launch would put its own packages, or another standard library, before these.
    launch.write_env(root, {"PYTHONHOME": "", "PYTHONPATH": "", "VIRTUAL_ENV": str(root)})
    make_world_readable(root)
    layer.seal(key)


@contextmanager
def _working_copy(context: BuildContext, output: Output) -> Iterator[Path]:
    """Yield a copy of the application directory at the path of the working tree.

    pip builds a project in its own directory and leaves `build` and `*.egg-info` there, which must not ship. An
    editable one is imported from this path afterwards, where the notebooks run and the service works.
    """
    layer = stages.layer(context)
    copy = tree.create(context.app_dir, layer.empty() / stages.TREE)
    try:
        yield copy.root
        for name in copy.outputs():
            if name.endswith(tuple(EXTENSION_SUFFIXES)) and "build" not in Path(name).parts:
                output.warning(f"{name} was compiled into a copy, which isn't kept. Install this project without -e.")
    finally:
        layer.discard()


def _run_pip(installer: pip.Pip, root: Path, directory: Path, output: Output) -> None:
    """Install `directory`'s requirements file into the environment at `root`."""
    file_name = requirements.FILE_NAME
    with Waiting(output, f"installing {file_name}"):
        finished = installer.run(
            [
                *("--python", _python(root), "install", "--progress-bar", "off", "--no-compile"),
                *("--requirement", file_name),
            ],
            cwd=directory,
            on_line=lambda line: output.detail(line) if _is_worth_showing(line) else None,
        )
    if finished.ok:
        return
    details = output.redact(finished.output)
    if pip.disk_was_full(finished):
        raise DiskFullError(path=str(root))
    with tempfile.TemporaryDirectory(prefix="nachlass-pip-") as scratch:
        # A file with --no-index has no index to be out of reach.
        asks_an_index = not requirements.has_no_index(directory / file_name)
        unreachable = asks_an_index and pip.is_unreachable(installer, finished, Path(scratch))
    if unreachable:
        raise IndexUnreachableError(file=file_name, output=_tail(details))
    raise RequirementsFailedError(file=file_name, output=_tail(details))


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


def user_environment(env: Mapping[str, str], user: Interpreter) -> dict[str, str]:
    """Return the environment of the user's interpreter: the build's, our virtual environment first if there is one."""
    if user.prefix == user.base_prefix or env.get("VIRTUAL_ENV") == str(user.prefix):
        return dict(env)
    return environment(env, user.prefix)
