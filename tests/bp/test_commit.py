"""Which commit a build is of, as platforms, variables and `.git` tell it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from nachlass_bp import commit, commit_sources, context
from nachlass_bp.commit import Commit

A, B = "a" * 40, "b" * 40
METADATA = f'[source]\ntype = "git"\n[source.version]\ncommit = "{A}"\n[source.metadata]\nrepository = "https://x/y"\n'


def found(root: Path, files: Mapping[str, str], variables: Mapping[str, str] | None = None) -> str | None:
    """Return the commit that a build finds in `app` and in the directory of all layers, `layers`."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    environ = {"CNB_LAYERS_DIR": str(root / "layers/ours"), "CNB_PLATFORM_DIR": "/platform", **(variables or {})}
    result = commit_sources.find(None, context.from_environ(environ, [], root / "app"))
    assert result is None or result.dirty is None, "nobody compared anything"
    return result.id if result is not None else None


@pytest.mark.parametrize(
    "files",
    [
        {"app/.git/HEAD": f"{A}\n"},
        {"app/.git/HEAD": "ref: refs/heads/main\n", "app/.git/refs/heads/main": f"{A}\n"},
        {
            "app/.git/HEAD": "ref: refs/heads/my/branch\n",
            "app/.git/packed-refs": f"# pack-refs with: peeled\n{B} refs/heads/my\n{A} refs/heads/my/branch\n^{B}\n",
        },
        {
            "app/.git": "gitdir: ../repo/worktrees/app\n",
            "repo/worktrees/app/HEAD": "ref: refs/heads/main\n",
            "repo/worktrees/app/commondir": "../..\n",
            "repo/refs/heads/main": f"{A}\n",
        },
        {"layers/project-metadata.toml": METADATA, "app/.git/HEAD": B},
    ],
    ids=["detached", "branch", "packed", "work tree", "platform"],
)
def test_commit_is_found_without_git(tmp_path: Path, files: Mapping[str, str]) -> None:
    assert found(tmp_path, files) == A


def test_variable_of_heroku_is_a_commit_only_if_it_looks_like_one(tmp_path: Path) -> None:
    assert found(tmp_path, {}, {"SOURCE_VERSION": A}) == A
    assert found(tmp_path, {}, {"SOURCE_VERSION": "v12, by hand"}) is None


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"app/.git/HEAD": "ref: refs/heads/unborn\n"},
        {"app/.git/HEAD": "ref: refs/heads/.invalid\n", "app/.git/reftable/tables.list": "x"},
        {"layers/project-metadata.toml": "[source\n"},
        {"layers/project-metadata.toml": '[source]\ntype = "image"\n[source.version]\ncommit = 3\n'},
    ],
)
def test_what_says_nothing_of_a_commit_is_none(tmp_path: Path, files: Mapping[str, str]) -> None:
    assert found(tmp_path, files) is None


def test_setting_says_whether_the_files_differ() -> None:
    assert commit.parse(f" {A}\n") == Commit(id=A, dirty=False)
    assert commit.parse(f"{A}-dirty") == Commit(id=A, dirty=True)
    with pytest.raises(ValueError, match="main"):
        commit.parse("main")
