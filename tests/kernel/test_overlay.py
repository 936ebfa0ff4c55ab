"""The overlay's finder answers for its names alone, in any interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.pythons import ROOT


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    """Return an overlay and an environment that hold modules of the same names."""
    for place in ("ours", "theirs"):
        for package in ("packed", "other"):
            (tmp_path / place / package).mkdir(parents=True)
            (tmp_path / place / package / "__init__.py").write_text(f"PLACE = {place!r}\n")
            (tmp_path / place / package / "part.py").write_text(f"PLACE = {place!r}\n")
        (tmp_path / place / "shared_space").mkdir()
        (tmp_path / place / "shared_space" / f"from_{place}.py").write_text(f"PLACE = {place!r}\n")
        for name, version in (("Packed.Name", "1.0"), ("other", "2.0")):
            metadata = tmp_path / place / f"{name.replace('.', '_')}-{version}.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}+{place}\n")
    (tmp_path / "theirs" / "only_theirs.py").write_text("PLACE = 'theirs'\n")
    return tmp_path / "ours", tmp_path / "theirs"


def evaluate(directories: tuple[Path, Path], code: str) -> Any:
    """Run `code` with the overlay installed for `packed`, `shared_space` and two absent names; return `answer`."""
    ours, theirs = directories
    program = f"""
import sys
sys.path.append({str(ROOT / "scorer")!r})
import overlay
del sys.path[-1]
sys.path.insert(0, {str(theirs)!r})
overlay.install({str(ours)!r}, ["packed", "shared_space", "only_theirs", "nowhere"], ["packed-name"])
{code}
import json
print(json.dumps(answer))
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_listed_name_and_its_submodules_come_from_the_overlay(directories: tuple[Path, Path]) -> None:
    assert evaluate(directories, "import packed.part; answer = [packed.PLACE, packed.part.PLACE]") == ["ours", "ours"]


def test_other_names_come_from_the_environment(directories: tuple[Path, Path]) -> None:
    assert evaluate(directories, "import other.part; answer = [other.PLACE, other.part.PLACE]") == ["theirs", "theirs"]


def test_listed_name_that_the_overlay_lacks_comes_from_the_environment(directories: tuple[Path, Path]) -> None:
    assert evaluate(directories, "import only_theirs; answer = only_theirs.PLACE") == "theirs"


def test_name_that_nobody_has_is_not_found(directories: tuple[Path, Path]) -> None:
    code = "from importlib.util import find_spec\nanswer = find_spec('nowhere') is None"
    assert evaluate(directories, code) is True


def test_namespace_package_has_the_portions_of_both(directories: tuple[Path, Path]) -> None:
    code = """
import shared_space.from_ours
sys.path.append("/nowhere")
import shared_space.from_theirs
answer = [shared_space.from_ours.PLACE, shared_space.from_theirs.PLACE]
"""
    assert evaluate(directories, code) == ["ours", "theirs"]


@pytest.mark.parametrize("spelling", ["packed-name", "Packed.Name", "packed_name"])
def test_listed_distribution_is_described_by_the_overlay(directories: tuple[Path, Path], spelling: str) -> None:
    code = f"from importlib.metadata import version\nanswer = version({spelling!r})"
    assert evaluate(directories, code) == "1.0+ours"


def test_other_distribution_is_described_by_the_environment(directories: tuple[Path, Path]) -> None:
    assert evaluate(directories, "from importlib.metadata import version\nanswer = version('other')") == "2.0+theirs"


def test_list_of_distributions_has_ours_first_and_no_unlisted_one(directories: tuple[Path, Path]) -> None:
    code = "from importlib.metadata import distributions\nanswer = [d.version for d in distributions()]"
    versions = evaluate(directories, code)
    assert versions[0] == "1.0+ours"
    assert "2.0+theirs" in versions
    assert "2.0+ours" not in versions


def test_distributions_of_a_directory_are_that_directorys(directories: tuple[Path, Path]) -> None:
    place = str(directories[1])
    code = f"from importlib.metadata import distributions as of\nanswer = [d.version for d in of(path=[{place!r}])]"
    assert sorted(evaluate(directories, code)) == ["1.0+theirs", "2.0+theirs"]
