"""A store in which anything stands: it costs runs, and never a failed build or a file outside of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nachlass_bp.cache.lock import StoreLock
from nachlass_bp.cache.reading import DamagedError
from nachlass_bp.cache.session import restore_outputs
from nachlass_bp.cache.store import BlobError, Proof, Store
from nachlass_bp.cache.trace import Dependencies, Key, Record, Trace, digest_of, from_json
from nachlass_bp.cache.view import Output
from nachlass_bp.commit import Commit
from nachlass_bp.query.command import main

A, B = "a" * 64, "b" * 64
PACKAGES = {"numpy": "2.0"}
TRACE = Trace(
    key=Key(
        notebook="dir/03-features.ipynb",
        cwd="dir",
        code=A,
        parameters=B,
        stage_file="",
        seed="0",
        python="3.12.1 cpython cpython-312-x86_64-linux-gnu x86_64",
        packages=digest_of(PACKAGES),
        kernel="1-abc",
        deps="",
        offline=False,
    ),
    mode="trace",
    mode_reason=None,
    not_reusable=None,
    network="it used the network (example.org)",
    dependencies=Dependencies(
        files={"data/a.csv": f"f:{A}", "gone": None, "empty/": "d"},
        shapes={"": "d", "data/b.csv": "f:3"},
        lists={"": A},
        modules={"": {"util": ["util.py"], "numpy": []}},
        distributions={"": []},
        patterns={"data/*": A},
        names=A,
        tree=None,
        env={"HOME": None, "TZ": B},
        env_names=A,
        external={"/etc/hosts": f"f:{B}"},
    ),
    outputs={
        "data/x.npy": Output(entry=f"f:{A}", size_bytes=3),
        "out": Output(entry="d"),
        "out/link": Output(entry="l:../data"),
        "old": Output(entry=None),
    },
    stage=A,
    samples=None,
    executed=B,
    record=Record(
        at="2026-11-20T10:15:30+00:00",
        seconds=1.5,
        peak_bytes=1000,
        network=True,
        programs=False,
        cells=3,
        commit=Commit(id="0123456789", dirty=None),
    ),
)
WRONG: tuple[object, ...] = (
    *(None, True, -1, 5, 10**30, 1.5, "", "x", "\0", "\ud800", "/etc/passwd", "../../x", "a//b", "f:../../x"),
    *([], [1], {}, {"": 1}, {"../../pwned": None}, {"/etc/x": "f:" + A}, {"a": {"entry": 5, "size_bytes": 1}}),
    *({"a\0b": None}, {"a": [1]}, {"a": {"b": [1]}}, "yesterday", "0001-01-01T00:00:00+14:00", "2026-11-20T10:15:30"),
)


def sealed(body: object) -> str:
    """Return what reads as a trace of ours at first sight."""
    text = body if isinstance(body, str) else json.dumps(body)
    return f"{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}\n{text}\n"


def body_of(trace: Trace) -> Any:
    return json.loads(trace.to_json().partition("\n")[2])


def with_each_value_replaced(data: Any, wrong: object) -> Iterator[Any]:
    """Yield the data once for each value in it, with `wrong` in its place; and once with it as another member."""
    yield wrong
    if isinstance(data, dict):
        for key, value in data.items():
            for inner in with_each_value_replaced(value, wrong):
                yield {**data, key: inner}
            yield {other: value for other, value in data.items() if other != key}
        yield {**data, "more": wrong}
    elif isinstance(data, list):
        for index, value in enumerate(data):
            for inner in with_each_value_replaced(value, wrong):
                yield [*data[:index], inner, *data[index + 1 :]]


def test_trace_comes_back_as_it_was_written() -> None:
    assert from_json(TRACE.to_json()) == TRACE


@pytest.mark.parametrize("wrong", WRONG, ids=[f"{number:02d}" for number, _ in enumerate(WRONG)])
def test_reading_gives_a_trace_or_says_that_it_is_damaged(wrong: object) -> None:
    told = 0
    for data in with_each_value_replaced(body_of(TRACE), wrong):
        try:
            trace = from_json(sealed(data))
        except DamagedError as error:
            told += str(error).startswith("it is ")
        else:
            # What it names may be asked for: nothing of it leads anywhere else.
            assert all(len(blob) == 64 for blob in trace.blobs)
            assert not any(path.startswith("/") or ".." in path.split("/") for path in trace.outputs)
            assert from_json(trace.to_json()) == trace
    assert told > 50


def test_trace_that_is_cut_short_is_damaged() -> None:
    text = TRACE.to_json()
    body = text.partition("\n")[2].rstrip()
    for end in range(0, len(text) - 1, 7):
        with pytest.raises(DamagedError):
            from_json(text[:end])
    for end in range(0, len(body), 7):
        with pytest.raises(DamagedError):
            from_json(sealed(body[:end]))


@pytest.mark.parametrize(
    "body", ["[1]", "[" * 100_000, '{"format": NaN}', "9" * 5000, "\ud800", "null"], ids=lambda body: body[:15]
)
def test_text_that_is_no_trace_is_damaged(body: str) -> None:
    with pytest.raises(DamagedError):
        from_json(sealed(body))


@pytest.mark.parametrize(
    "outputs",
    [
        {"link": Output(entry="l:/etc"), "link/x": Output(entry=f"f:{A}")},
        {"file": Output(entry=f"f:{A}"), "file/x": Output(entry=f"f:{A}")},
        {"../../../../pwned": Output(entry=f"f:{A}")},
        {"a/../../pwned": Output(entry="d")},
        {"/etc/pwned": Output(entry=None)},
        {"": Output(entry=None)},
        {"a": Output(entry="f:xx/tmp/victim")},
        {"a" * 256: Output(entry="d")},
    ],
    ids=[
        "behind a link",
        "behind a file",
        "above",
        "above, by a detour",
        "absolute",
        "the tree itself",
        "no digest",
        "too long",
    ],
)
def test_outputs_that_lie_outside_the_tree_are_damage(outputs: dict[str, Output]) -> None:
    with pytest.raises(DamagedError):
        from_json(replace(TRACE, outputs=outputs).to_json())


def test_nothing_is_put_back_behind_a_link(tmp_path: Path) -> None:
    store, outside, tree = Store(tmp_path / "store"), tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    tree.mkdir()
    (outside / "victim").write_text("here\n")
    (tree / "link").symlink_to(outside)
    for entry in ("d", "l:x", None):
        with pytest.raises(BlobError, match="link is a link"):
            restore_outputs(store, {"link/victim": Output(entry=entry)}, tree)
    (tree / "file").write_text("x")
    with pytest.raises(BlobError, match="a file stands above file/x"):
        restore_outputs(store, {"file/x": Output(entry="d")}, tree)
    restore_outputs(store, {"file/x": Output(entry=None)}, tree)
    assert [path.name for path in outside.iterdir()] == ["victim"]


@pytest.mark.parametrize("digest", ["xx/tmp/victim", "../../victim", "A" * 64, "a" * 63, ""])
def test_no_blob_is_looked_for_outside_the_store(tmp_path: Path, digest: str) -> None:
    store = Store(tmp_path / "store")
    for use in (store.path_of, store.verify, lambda name: store.restore(name, tmp_path / "x")):
        with pytest.raises(BlobError):
            use(digest)


# --- Whatever stands in a store -------------------------------------------------------------------------------------


def filled(root: Path) -> Store:
    store = Store(root)
    store.add_packages(TRACE.key.packages, PACKAGES)
    trace = store.save(TRACE)
    store.note_used([trace], complete=True)
    nothing = digest_of([[], []])
    store.write_proof(A, Proof(labels={}, lines=[], sbom="", files=[], directories=[], looked_at=nothing, sample=None))
    return store


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def instead(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir():
        path.rename(path.with_name(f"{path.name}.aside"))
    elif path.exists():
        path.unlink()
    make(path)


TRACES = "traces/dir%2F03-features.ipynb"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "used.json with an absolute path": lambda root: written(root / "used.json", '["/etc/passwd"]'),
    "used.json that leads out": lambda root: written(
        root / "used.json", '{"last": ["../../victim"], "order": ["/etc/passwd"]}'
    ),
    "used.json nested": lambda root: written(root / "used.json", "[" * 100_000),
    "used.json, a directory": lambda root: instead(root / "used.json", Path.mkdir),
    "a directory as a trace": lambda root: (root / TRACES / "00000002-x.json").mkdir(),
    "a pipe as a trace": lambda root: os.mkfifo(root / TRACES / "00000003-x.json"),
    "a link as a trace": lambda root: (root / TRACES / "00000004-x.json").symlink_to("/etc/passwd"),
    "a trace with an odd number": lambda root: written(root / TRACES / "²²²²²²²²-x.json", "x"),
    "a file in place of traces": lambda root: instead(root / "traces", lambda path: path.write_text("x")),
    "a file in place of a notebook's traces": lambda root: instead(root / TRACES, lambda path: path.write_text("x")),
    "a file in place of blobs": lambda root: instead(root / "blobs", lambda path: path.write_text("x")),
    "a file among the blobs": lambda root: written(root / "blobs/ab", "x"),
    "a directory in place of a blob": lambda root: (root / "blobs" / A[:2] / A[2:]).mkdir(parents=True),
    "a directory in place of the secret": lambda root: instead(root / "secret", Path.mkdir),
    "a directory in place of the format": lambda root: instead(root / "format", Path.mkdir),
    "a sample that is no digest": lambda root: written(root / f"proofs/{A}.json", '{"sample": []}'),
    "a directory as a proof": lambda root: instead(root / f"proofs/{A}.json", Path.mkdir),
    "a version that is no text": lambda root: written(root / f"packages/{TRACE.key.packages}.json", '{"numpy": 1}'),
    "a directory as a list of packages": lambda root: instead(root / f"packages/{TRACE.key.packages}.json", Path.mkdir),
}


@pytest.mark.parametrize("shared", [False, True], ids=["layer", "shared"])
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_costs_runs_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, *, shared: bool
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("here\n")
    root = tmp_path / "layers/stage-store"
    root.parent.mkdir()
    filled(root).close()
    DAMAGES[name](root)

    monkeypatch.setenv("CNB_LAYERS_DIR", str(root.parent))
    monkeypatch.setenv("CNB_PLATFORM_DIR", str(tmp_path))
    assert (main(["ls"]), main(["ls", "--json"])) == (0, 0), capsys.readouterr()
    store = Store(root, StoreLock(tmp_path / "lock") if shared else None)
    (tmp_path / "bytes").write_bytes(b"a stage")
    blob = store.add(tmp_path / "bytes")
    store.traces(TRACE.key.notebook)
    store.packages(TRACE.key.packages)
    store.proof(A)
    with pytest.raises(BlobError):
        store.verify(A)
    store.add_packages(TRACE.key.packages, PACKAGES)
    trace = replace(TRACE, stage=blob, executed=None, outputs={})
    file = store.save(trace)
    store.note_used([file], complete=False)
    store.write_proof(A, Proof(labels={}, lines=[], sbom="", files=[], directories=[], looked_at="", sample=blob))
    store.evict([file], 10**9)

    assert store.traces(TRACE.key.notebook)[0][0].trace == trace
    assert (store.used(), store.packages(TRACE.key.packages)) == ({file}, PACKAGES)
    proof = store.proof(A)
    assert proof is not None
    assert proof.sample == blob
    store.verify(blob)
    store.close()
    assert main(["prune"]) == 0, capsys.readouterr()
    assert victim.read_text() == "here\n"


@pytest.mark.parametrize("place", ["", "blobs", "traces", "packages", "proofs", "blobs/ab", TRACES, "secret"])
def test_store_with_a_link_is_not_opened_where_others_may_write(tmp_path: Path, place: str) -> None:
    root = tmp_path / "layers/stage-store"
    filled(root)
    elsewhere = tmp_path / "elsewhere"
    instead(root / place, lambda path: path.symlink_to(elsewhere))
    elsewhere.mkdir()
    written(elsewhere / "victim", "here\n")
    with pytest.raises(OSError, match="it is a link, and here none is followed"):
        Store(root, StoreLock(tmp_path / "lock"))
    # A layer is nobody else's: there it is damage, and removed.
    Store(root).evict((), None)
    assert not (root / place).is_symlink()
    assert [path.name for path in elsewhere.iterdir()] == ["victim"]


def test_lock_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="it is a link"):
        StoreLock(tmp_path / "lock")
    assert not (tmp_path / "made").exists()


def test_record_in_the_directory_of_another_notebook_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    written(store.root / "traces/x.ipynb/00000001-x.json", TRACE.to_json())
    assert store.traces("x.ipynb") == ([], ["it is of another notebook"])


# --- What is kept ---------------------------------------------------------------------------------------------------


def test_older_runs_are_kept_by_their_last_use(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")

    def build(name: str) -> None:
        """Reuse the run with these parameters if it is there, else make it."""
        wanted = digest_of(name)
        there = [each.file for each in store.traces("n.ipynb")[0] if each.trace.key.parameters == wanted]
        key = replace(TRACE.key, notebook="n.ipynb", parameters=wanted)
        file = there[0] if there else store.save(replace(TRACE, key=key))
        store.note_used([file], complete=False)
        store.evict([file], None)
        assert store.traces("n.ipynb")[0][0].file == file

    for name in "ABCADE":
        build(name)
    left = [each.trace.key.parameters for each in store.traces("n.ipynb")[0]]
    assert left == [digest_of(name) for name in "EDAC"]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in store.root.rglob("*") if path.is_file()}
    build("E")
    assert before == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in store.root.rglob("*") if path.is_file()
    }
    store.evict([], 0)
    assert store.traces("n.ipynb")[0] == []


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    files = [store.save(replace(TRACE, key=replace(TRACE.key, notebook=f"{name}.ipynb"))) for name in "ab"]
    store.note_used(files[:1], complete=False)
    store.note_used(files[1:], complete=False)
    store.note_used(files[:1], complete=True)
    limit = store.evict([], None) - 500
    store.evict([], limit)
    assert [file.exists() for file in files] == [True, False]
