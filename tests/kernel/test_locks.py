"""The locks, their companions, and the choice between ours and the user's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nachlass_bp.overlays import Replaced, choose_overlay
from tests.kernel.user_kernel import kernel_site, probe, user_environment
from tests.support.pythons import ROOT, this_python

LOCKS = ROOT / "locks"


def test_companions_agree_with_their_locks() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "lock.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_module_of_the_kernels_overlay_has_its_name_listed() -> None:
    companion = json.loads((LOCKS / "kernel.json").read_text())
    listed = {name for part in companion.values() for entry in part.values() for name in entry["names"]}
    site = kernel_site(this_python())
    modules = {path.name for path in site.iterdir() if (path / "__init__.py").exists()}
    modules |= {path.name.partition(".")[0] for path in site.iterdir() if path.suffix in {".py", ".so"}}
    assert modules
    assert modules - listed == set()


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.stem)
def test_lock_pins_every_distribution_with_hashes_and_names_no_place(lock: Path) -> None:
    for entry in lock.read_text().replace("\\\n", " ").splitlines():
        name, equals, _ = entry.partition("==")
        assert equals, entry
        assert " --hash=sha256:" in entry, name
        assert "://" not in entry, name
        assert " @ " not in entry, name


@pytest.mark.parametrize("source", sorted(LOCKS.glob("*.in")), ids=lambda path: path.stem)
def test_every_direct_dependency_is_defended(source: Path) -> None:
    for line in source.read_text().splitlines():
        assert line.startswith(("#", "-r ")) or len(line.partition("  # ")[2]) > 5, line


@pytest.fixture
def companion(tmp_path: Path) -> Path:
    path = tmp_path / "some.json"
    described = {
        "ours": {"kernel": {"version": "7", "names": ["kernel", "launcher"]}},
        "shared": {"Helper.Kit": {"version": "26.3", "names": ["helper"], "requires": ">=22"}},
    }
    path.write_text(json.dumps(described))
    return path


def test_absent_helper_comes_from_the_overlay(companion: Path) -> None:
    overlay = choose_overlay(companion, {})
    assert overlay.names == ("helper", "kernel", "launcher")
    assert overlay.distributions == ("Helper.Kit", "kernel")
    assert overlay.replaced == ()


@pytest.mark.parametrize("version", ["22", "23.1", "24.0rc1", "22.0.post1+local"])
def test_helper_that_satisfies_is_the_users(companion: Path, version: str) -> None:
    overlay = choose_overlay(companion, {"helper_kit": version, "kernel": "1"})
    assert overlay.names == ("kernel", "launcher")
    assert overlay.replaced == ()


@pytest.mark.parametrize("version", ["21.3", "1!21-dev-of-long-ago"])
def test_helper_that_does_not_satisfy_is_replaced_and_reported(companion: Path, version: str) -> None:
    overlay = choose_overlay(companion, {"helper-kit": version})
    assert "helper" in overlay.names
    assert overlay.replaced == (Replaced(name="Helper.Kit", installed=version, required=">=22", version="26.3"),)
    assert str(overlay.replaced[0]) == f"Helper.Kit 26.3 (yours is {version}, needed is >=22)"


def test_probe_tells_interpreter_and_environment_apart() -> None:
    interpreter = user_environment(this_python(), ["six==1.15.0"])
    facts = probe(interpreter)
    assert facts["version"].split(".")[:2] == this_python().name.removeprefix("python").split(".")
    assert facts["abi"] == this_python().abi
    assert Path(facts["prefix"]) == interpreter.parent.parent
    assert facts["prefix"] != facts["base_prefix"]
    assert facts["distributions"]["six"]["version"] == "1.15.0"
    assert Path(facts["distributions"]["six"]["directory"]).is_relative_to(facts["prefix"])
    assert not any("nachlass_bp" in entry for entry in facts["path"])
    assert (facts["has_pip"], facts["has_ensurepip"], facts["has_venv"]) == (False, True, True)
