"""Going back: after a build that failed or was killed, everything is as before it.

While a build runs, `previous/` holds the application and layers of the last successful one. Its existence is the whole
protocol: whoever finds it without a running build puts it back. Each step is one rename, so that being killed between
any two of them is as good as not having started.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from nachlass_cli.workspace import Workspace

_KEPT = ("app", "layers")
_TRASH = "trash-"


def begin(workspace: Workspace) -> None:
    """Keep the layers as they are, and make room for a new application directory."""
    roll_back(workspace)
    prepared = _trash_name(workspace)  # Until the rename below, it is rubbish.
    prepared.mkdir()
    _link_tree(workspace.layers, prepared / "layers")
    if workspace.record.exists():
        shutil.copy2(workspace.record, prepared)
    prepared.rename(workspace.snapshot)
    workspace.app.rename(workspace.snapshot / "app")
    workspace.app.mkdir()


def commit(workspace: Workspace) -> None:
    """Make the finished build the one that counts."""
    _discard(workspace, workspace.snapshot)
    _empty_trash(workspace)


def roll_back(workspace: Workspace) -> None:
    """Put back what an unfinished build has touched; nothing to do after a finished one."""
    if workspace.snapshot.is_dir():
        _roll_back_record(workspace)
    for name in _KEPT:
        current, kept = workspace.root / name, workspace.snapshot / name
        if kept.is_dir():
            _discard(workspace, current)
            kept.rename(current)
    _discard(workspace, workspace.snapshot)
    _empty_trash(workspace)


def _roll_back_record(workspace: Workspace) -> None:
    kept = workspace.snapshot / workspace.record.name
    if kept.exists():
        copy = _trash_name(workspace)
        shutil.copy2(kept, copy)
        copy.replace(workspace.record)
    else:
        workspace.record.unlink(missing_ok=True)


def restore_layer(workspace: Workspace, name: str) -> bool:
    """Bring back a layer's contents from before the build; False if there were none."""
    kept = workspace.snapshot / "layers" / name
    if not kept.is_dir():
        return False
    _link_tree(kept, workspace.layers / name)
    return True


def remove_tree(path: Path) -> None:
    """Delete a file or directory, also one whose directories a notebook made read-only."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        for directory, _, _ in os.walk(path):
            os.chmod(directory, 0o700)  # noqa: PTH101 - os.walk speaks in strings
        shutil.rmtree(path)


def _link_tree(source: str | Path, target: str | Path) -> None:
    """Copy a tree with hard links for its files: a large layer costs its number of files, not their size.

    That is enough because layers are not edited in place: pip and nachlass_bp write new files and rename them.
    """
    # Twenty thousand files: strings and scandir take a quarter of the time of shutil.copytree.
    os.mkdir(target)  # noqa: PTH102
    with os.scandir(source) as entries:
        for entry in entries:
            copy = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                _link_tree(entry.path, copy)
            else:
                _link(entry.path, copy)
    os.chmod(target, os.stat(source).st_mode)  # noqa: PTH101, PTH116


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # File systems without hard links, or more links than one allows.
        shutil.copy2(source, target, follow_symlinks=False)


def _discard(workspace: Workspace, path: Path) -> None:
    if os.path.lexists(path):
        path.rename(_trash_name(workspace))


def _trash_name(workspace: Workspace) -> Path:
    return workspace.root / f"{_TRASH}{uuid.uuid4().hex}"


def _empty_trash(workspace: Workspace) -> None:
    for path in workspace.root.glob(f"{_TRASH}*"):
        remove_tree(path)
