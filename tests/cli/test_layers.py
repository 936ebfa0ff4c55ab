"""What is kept between builds, and what a build that fails or is killed leaves behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.harness import Nachlass, files_below, wait_for, write

LAUNCH_FILES = {"service/service.py", "stages/stage", "stages.toml", "service.toml", "launch.toml"}


def contents(nachlass: Nachlass) -> dict[str, bytes]:
    """Everything in the output directory that outlives a build."""
    found: dict[str, bytes] = {}
    for part in ("app", "layers"):
        root = nachlass.output / part
        found |= {f"{part}/{name}": (root / name).read_bytes() for name in files_below(root)}
    record = nachlass.output / "build.json"
    return found | {"build.json": record.read_bytes() if record.exists() else b""}


def leftovers(nachlass: Nachlass) -> set[str]:
    known = {"app", "layers", "platform", "report", "home", "plan", "lock", "build.json"}
    return {path.name for path in nachlass.output.iterdir()} - known


def test_cached_layers_come_back_and_launch_layers_only_as_metadata(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"build.sh": 'cat "$CNB_LAYERS_DIR"/tools.toml >"$NACHLASS_REPORT_DIR/types"'})
    nachlass("build", repository)
    made = (nachlass.output / "layers/tools/made").read_text()
    write(repository, {"build.sh": "true"})
    nachlass("build", repository)
    before = (nachlass.output / "report/layers-before").read_text().split()
    assert before == ["service", "service.toml", "stages.toml", "tools", "tools.toml"]
    assert (nachlass.output / "layers/tools/made").read_text() == made


def test_types_are_gone_before_a_build_and_metadata_is_not(nachlass: Nachlass, repository: Path) -> None:
    look = 'cat "$CNB_PLATFORM_DIR"/../layers/*.toml >"$CNB_PLATFORM_DIR"/../found 2>/dev/null || true'
    write(repository, {"detect.sh": look})
    nachlass("build", repository)
    nachlass("build", repository)
    found = (nachlass.output / "found").read_text()
    assert 'key = "1"' in found
    assert "[types]" not in found


def test_a_launch_layer_is_reused_by_declaring_it_without_a_directory(nachlass: Nachlass, repository: Path) -> None:
    assert "trained stage 1" in nachlass("build", repository).out
    assert "trained" not in nachlass("build", repository).out
    assert (nachlass.output / "layers/stages/stage").read_text() == "1\n"
    write(repository, {"stage.txt": "2"})
    assert "trained stage 2" in nachlass("build", repository).out
    assert (nachlass.output / "layers/stages/stage").read_text() == "2\n"


def test_a_layer_that_is_not_declared_again_is_dropped(nachlass: Nachlass, repository: Path) -> None:
    extra = 'mkdir "$CNB_LAYERS_DIR/extra"; printf "[types]\\n{} = true\\n" >"$CNB_LAYERS_DIR/extra.toml"'
    write(repository, {"build.sh": extra.format("launch")})
    nachlass("build", repository)
    assert (nachlass.output / "layers/extra").is_dir()
    write(repository, {"build.sh": "true"})
    nachlass("build", repository)
    assert not (nachlass.output / "layers/extra").exists()


def test_a_layer_for_the_build_alone_is_not_kept(nachlass: Nachlass, repository: Path) -> None:
    write(
        repository,
        {"build.sh": 'mkdir "$CNB_LAYERS_DIR/extra"; printf "[types]\\nbuild = true\\n" >"$CNB_LAYERS_DIR/extra.toml"'},
    )
    assert nachlass("build", repository).status == 0
    assert nachlass("build", repository).status == 0
    assert "extra" not in (nachlass.output / "report/layers-before").read_text()


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("launch = true", "has 'launch' at the top level instead of in [types]"),
        ("[types]\\nlaunch = true", "The layer 'odd' is declared but has no contents"),
        ("[types", "isn't TOML"),
    ],
)
def test_layers_that_a_platform_would_refuse_are_an_error(
    nachlass: Nachlass, repository: Path, toml: str, problem: str
) -> None:
    nachlass("build", repository)
    before = contents(nachlass)
    write(repository, {"build.sh": f'printf "{toml}\\n" >"$CNB_LAYERS_DIR/odd.toml"'})
    finished = nachlass("build", repository)
    assert finished.status == 1
    assert "[Error: The build's layers can't be used]" in finished.err
    assert problem in finished.err
    assert contents(nachlass) == before


def test_after_a_failed_build_everything_is_as_before(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    before = contents(nachlass)
    half = 'mkdir "$CNB_LAYERS_DIR/half"; echo changed >"$CNB_LAYERS_DIR/new" && mv "$CNB_LAYERS_DIR/new" '
    half += '"$CNB_LAYERS_DIR/service/service.py"; rm -r "$CNB_LAYERS_DIR/tools" "$CNB_LAYERS_DIR/tools.toml"; exit 7'
    write(repository, {"stage.txt": "2", "build.sh": half})
    finished = nachlass("build", repository)
    assert finished.status == 1
    assert contents(nachlass) == before
    assert leftovers(nachlass) == set()


def test_a_failed_first_build_leaves_nothing_to_serve(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"build.sh": "exit 1"})
    assert nachlass("build", repository).status == 1
    served = nachlass("serve", repository)
    assert served.status == 1
    assert "[Error: Nothing has been built for" in served.err
    assert not (nachlass.output / "app/train.ipynb").exists()


def test_cached_layers_that_a_failed_first_build_finished_are_kept(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"build.sh": 'mkdir "$CNB_LAYERS_DIR/half"; exit 1'})
    nachlass("build", repository)
    made = (nachlass.output / "layers/tools/made").read_text()
    assert not (nachlass.output / "layers/half").exists()
    write(repository, {"build.sh": "true"})
    nachlass("build", repository)
    assert (nachlass.output / "layers/tools/made").read_text() == made
    assert (nachlass.output / "report/layers-before").read_text().split() == [
        "service",
        "service.toml",
        "tools",
        "tools.toml",
    ]


def test_a_failed_build_does_not_change_the_layers_that_the_last_service_runs_on(
    nachlass: Nachlass, repository: Path
) -> None:
    nachlass("build", repository)
    before = contents(nachlass)
    replaced = 'rm -r "$CNB_LAYERS_DIR/service"; mkdir "$CNB_LAYERS_DIR/service"; exit 1'
    write(repository, {"build.sh": replaced})
    nachlass("build", repository)
    assert contents(nachlass) == before


@pytest.mark.parametrize("built_before", [True, False])
def test_a_build_that_was_killed_is_undone_by_the_next(
    nachlass: Nachlass, repository: Path, tmp_path: Path, *, built_before: bool
) -> None:
    begun, release = tmp_path / "begun", tmp_path / "release"
    if built_before:
        nachlass("build", repository)
    waiting = f"echo half >half.txt; touch '{begun}'; until [ -e '{release}' ]; do sleep 0.05; done"
    write(repository, {"stage.txt": "2", "build.sh": f'mkdir "$CNB_LAYERS_DIR/half"; {waiting}'})
    process = nachlass.start("build", repository)
    wait_for(begun.exists)
    process.kill()
    process.wait()
    # The phase lives on, and as long as it does nobody else may touch its directories.
    assert "still running" in nachlass("build", repository).err
    release.touch()
    write(repository, {"stage.txt": "1", "build.sh": "true"})
    wait_for(lambda: nachlass("build", repository).status == 0)
    assert (nachlass.output / "layers/stages/stage").read_text() == "1\n"
    assert not (nachlass.output / "layers/half").exists()
    assert not (nachlass.output / "app/half.txt").exists()
    assert leftovers(nachlass) == set()
    assert process.stdout is not None
    before = (nachlass.output / "report/layers-before").read_text().split()
    assert before == (["service", "service.toml", "stages.toml", "tools", "tools.toml"] if built_before else [])


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_the_build_and_all_that_it_started(
    nachlass: Nachlass, repository: Path, tmp_path: Path, signum: signal.Signals, status: int
) -> None:
    nachlass("build", repository)
    before = contents(nachlass)
    pids, told = tmp_path / "pids", tmp_path / "told"
    # One child in the phase's process group, one that has left it, and a phase that cleans up when told.
    script = f"""
trap 'echo told >"{told}"; exit 1' INT TERM HUP
sleep 1000 & echo $! >>"{pids}"
python3 -c 'import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(1000)' >>"{pids}" &
while :; do sleep 0.05; done
"""
    write(repository, {"build.sh": script, "stage.txt": "2"})
    process = nachlass.start("build", repository)
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.send_signal(signum)
    out, _ = process.communicate()
    assert process.returncode == status
    assert f"Stopped by {signum.name}" in out
    assert told.read_text() == "told\n"
    for pid in map(int, pids.read_text().split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert contents(nachlass) == before
    assert leftovers(nachlass) == set()


def test_a_second_signal_ends_a_phase_that_does_not_listen(
    nachlass: Nachlass, repository: Path, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    script = f"trap 'touch \"{tmp_path / 'heard'}\"' INT; touch '{begun}'; while :; do sleep 0.05 || true; done"
    write(repository, {"build.sh": script})
    process = nachlass.start("build", repository)
    wait_for(begun.exists)
    process.send_signal(signal.SIGINT)
    wait_for((tmp_path / "heard").exists)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


def test_executed_notebooks_stay_until_a_build_has_others(nachlass: Nachlass, repository: Path) -> None:
    report = 'mkdir "$NACHLASS_REPORT_DIR/notebooks"; touch "$NACHLASS_REPORT_DIR/notebooks/x.ipynb"'
    write(repository, {"build.sh": f'{report}; touch "$NACHLASS_REPORT_DIR/sample.json"'})
    nachlass("build", repository)
    write(repository, {"build.sh": "exit 1"})
    assert nachlass("build", repository).status == 1
    assert (nachlass.output / "report/notebooks/x.ipynb").exists()
    assert not (nachlass.output / "report/sample.json").exists()


def test_what_earlier_builds_left_does_not_reach_the_next(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"build.sh": 'touch "$HOME/left" made.txt "$NACHLASS_REPORT_DIR/failure.json"'})
    nachlass("build", repository)
    write(repository, {"build.sh": "true"})
    nachlass("build", repository)
    assert not (nachlass.output / "home/left").exists()
    assert not (nachlass.output / "app/made.txt").exists()
    assert not (nachlass.output / "report/failure.json").exists()
