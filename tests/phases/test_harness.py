"""The stand-in for the lifecycle does as the lifecycle does: a small buildpack shows what it gets and keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.phases import Phases, Provider

BUILD = """#!/bin/sh
set -eu
cd "$CNB_LAYERS_DIR"
for layer in cached both shipped; do
    contents=no; metadata=no
    [ ! -d $layer ] || contents=yes
    [ ! -f $layer.toml ] || metadata=yes
    echo "$layer: contents $contents, metadata $metadata"
done
declare_layer() { # NAME TYPES
    printf '[types]\\n%b\\n[metadata]\\nkey = "1"\\n' "$2" >$1.toml
}
declare_layer cached 'cache = true'
declare_layer both 'cache = true\\nlaunch = true'
declare_layer shipped 'launch = true'
mkdir -p cached both
[ -n "${REUSE:-}" ] || mkdir shipped
eval "${RUN:-}"
[ -z "${FAIL:-}" ] || exit 3
printf '[[processes]]\\ntype = "web"\\ncommand = ["/usr/bin/env"]\\n' >launch.toml
"""


@pytest.fixture
def buildpack(tmp_path: Path) -> Path:
    directory = tmp_path / "buildpack"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/build").write_text(BUILD)
    (directory / "bin/detect").write_text('#!/bin/sh\nenv >env.txt\necho "$PWD"\nexit 100\n')
    for program in ("build", "detect"):
        (directory / "bin" / program).chmod(0o755)
    return directory


@pytest.fixture
def phases(tmp_path: Path, buildpack: Path) -> Phases:
    (tmp_path / "repository").mkdir()
    return Phases(tmp_path / "platform", tmp_path / "repository", buildpack=buildpack)


def test_second_build_finds_contents_of_cache_layers_and_metadata_of_launch_layers(phases: Phases) -> None:
    first = phases.build()
    second = phases.build()

    assert first.output.splitlines() == [
        "cached: contents no, metadata no",
        "both: contents no, metadata no",
        "shipped: contents no, metadata no",
    ]
    assert second.output.splitlines() == [
        "cached: contents yes, metadata yes",
        "both: contents yes, metadata yes",
        "shipped: contents no, metadata yes",
    ]


def test_launch_layer_without_contents_is_reused_from_the_previous_image(phases: Phases) -> None:
    phases.build()
    phases.set_env({"REUSE": "1"})
    again = phases.build()

    assert again.reused == {"shipped"}
    assert (phases.layers / "shipped").is_dir()


def test_reuse_without_a_previous_image_is_refused(phases: Phases) -> None:
    phases.set_env({"REUSE": "1"})

    with pytest.raises(AssertionError, match="cannot reuse 'shipped'"):
        phases.build()


def test_failed_build_leaves_the_cache_as_it_was(phases: Phases) -> None:
    phases.set_env({"FAIL": "1"})
    assert phases.build().exit_code == 3
    assert "contents yes" not in phases.build().output


@pytest.mark.parametrize(
    "damage",
    [
        ":",
        "rm cached/value; echo 2 >cached/value",
        "rm cached/value",
        "rm -r cached",
        "mv cached/value cached/.nachlass-key",
        "rm -r *",
    ],
    ids=["none", "rewritten", "removed", "no-layer", "moved", "nothing-left"],
)
def test_failed_build_leaves_a_sealed_layer_as_it_was(phases: Phases, damage: str) -> None:
    phases.set_env({"RUN": "echo 1 >cached/value; touch cached/.nachlass-key"})
    assert phases.build().exit_code == 0
    phases.set_env({"RUN": damage, "FAIL": "1"})
    for _ in range(2):
        assert phases.build().exit_code == 3
        assert (phases.store.kept / "cached/value").read_text() == "1\n"

    phases.set_env({"RUN": "cat cached/value; echo 3 >cached/value", "FAIL": ""})
    assert phases.build().output.splitlines()[-1] == "1"
    assert phases.build().output.splitlines()[-1] == "3"
    assert sorted(path.name for path in phases.layers.iterdir() if path.is_dir()) == ["both", "shipped"]


def test_image_holds_launch_layers_only(phases: Phases) -> None:
    phases.build()

    assert sorted(path.name for path in phases.layers.iterdir() if path.is_dir()) == ["both", "shipped"]
    assert phases.kept_layer("cached").is_dir()


def test_detect_runs_in_the_application_with_nothing_of_the_runners_environment(
    phases: Phases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    phases.set_env({"NACHLASS_NOTEBOOKS": "a.ipynb"})
    detected = phases.detect()

    seen = dict(line.split("=", 1) for line in (phases.app / "env.txt").read_text().splitlines())
    assert detected.exit_code == 100
    assert detected.output.strip() == str(phases.app)
    assert seen["NACHLASS_NOTEBOOKS"] == "a.ipynb"
    assert "PYTHONPATH" not in seen


def test_layers_of_earlier_buildpacks_shape_the_environment(tmp_path: Path, buildpack: Path) -> None:
    def install(layers: Path) -> None:
        tools = layers / "provider" / "tools"
        for directory in ("bin", "env", "env.build", "env.launch", "env.launch/web"):
            (tools / directory).mkdir(parents=True)
        (layers / "provider" / "tools.toml").write_text("[types]\nbuild = true\nlaunch = true\n")
        (tools / "env" / "LIST.append").write_text("last")
        (tools / "env" / "LIST.delim").write_text(":")
        (tools / "env.build" / "LIST.prepend").write_text("first")
        (tools / "env.build" / "KEPT.default").write_text("from the layer")
        (tools / "env.launch" / "WHERE").write_text("launch")
        (tools / "env.launch/web" / "WHERE").write_text("web")

    (tmp_path / "repository").mkdir()
    provider = Provider(buildpacks=("provider",), install=install, path="/bin")
    phases = Phases(
        tmp_path / "platform",
        tmp_path / "repository",
        provider=provider,
        buildpack=buildpack,
        env={"KEPT": "from the user", "PATH": "/user"},
    )
    phases.build()
    build, launch = phases.build_env(), phases.launch_env("web")

    layer = phases.layers_root / "provider" / "tools"
    assert build["LIST"] == "firstlast", "a delimiter counts in its own directory only"
    assert build["KEPT"] == "from the user"
    assert build["PATH"] == f"/user:{layer}/bin:/bin"
    assert launch["PATH"] == f"{layer}/bin:/bin"
    assert (launch["LIST"], launch["WHERE"]) == ("last", "web")
    assert "KEPT" not in launch
