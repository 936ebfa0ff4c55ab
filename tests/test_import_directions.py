"""Who may import what: the table of docs/architecture.md, held against every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# For each room, all that it may import besides the standard library and itself; a dotted name is one module alone.
MAY_IMPORT = {
    "nachlass_bp": {
        *("scorer.manifest", "scorer.publication"),
        *("jupyter_client", "nbclient", "nbformat", "packaging", "toml", "tomli"),
    },
    "nachlass_bp/inside": set(),
    "nachlass_bp/publishing": {"mistune", "nh3", "pygments"},
    "scorer": {
        *("falcon", "gunicorn", "httptools", "orjson", "prometheus_client", "uvicorn", "uvicorn_worker"),
        *("joblib", "numpy", "pandas", "pyarrow", "skops", "sklearn"),
    },
    "nachlass_cli": {"pathspec", "toml", "tomli"},
}
STANDARD_LIBRARY = sys.stdlib_module_names | {"tomllib"}  # On Python 3.10 nobody imports it.
STANDARD_LIBRARY_ONLY = ("scorer/manifest.py", "scorer/publication.py", "scorer/overlay.py", "scorer/launcher.py")


def sources(room: str) -> list[Path]:
    """Return the Python files of a room; a room within it has a row of its own."""
    inner = [ROOT / other for other in MAY_IMPORT if other.startswith(f"{room}/")]
    return [path for path in (ROOT / room).rglob("*.py") if not any(map(path.is_relative_to, inner))]


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of each module that the file imports, at its top or within a function."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            module = base if node.level else str(node.module)
            # `from scorer import manifest` imports the module scorer.manifest.
            submodules = [f"{module}.{alias.name}" for alias in node.names]
            yield from ([name for name in submodules if is_module(name)] or [module])


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def is_within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_room_imports_only_what_its_row_allows(room: str) -> None:
    files = sources(room)
    assert files
    own = room.replace("/", ".")
    inner = [other.replace("/", ".") for other in MAY_IMPORT if other.startswith(f"{room}/")]
    allowed = {own, *MAY_IMPORT[room]}
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imported(path)
        if name.partition(".")[0] not in STANDARD_LIBRARY
        and (not any(is_within(name, each) for each in allowed) or any(is_within(name, each) for each in inner))
    }
    assert wrong == set()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_row_allows_nothing_that_nobody_imports(room: str) -> None:
    used = {name for path in sources(room) for name in imported(path)}
    assert {each for each in MAY_IMPORT[room] if not any(is_within(name, each) for name in used)} == set()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_architecture_page_names_what_a_row_allows(room: str) -> None:
    lines = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line for line in lines if line.startswith("|") and f"`{room}/`" in line.split("|")[1])
    assert {name for name in MAY_IMPORT[room] if f"`{name}`" not in row.split("|")[3]} == set()


@pytest.mark.parametrize("file", STANDARD_LIBRARY_ONLY)
def test_file_needs_the_standard_library_alone(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    top = {name.partition(".")[0] for node in tree.body for name in names_of(node)}
    assert top <= STANDARD_LIBRARY


def names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom) or (node.level and f"scorer/{node.module}.py" in STANDARD_LIBRARY_ONLY):
        return []
    return [str(node.module)]


def test_launcher_can_explain_itself_to_an_old_python() -> None:
    # 3.7 is as far back as ast goes; its syntax is that of 3.6, and `from __future__ import annotations`.
    tree = ast.parse((ROOT / "scorer/launcher.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    assert "__future__" not in {name for node in tree.body for name in names_of(node)}


def test_build_starts_before_its_tools_are_there() -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import nachlass_bp.main"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
