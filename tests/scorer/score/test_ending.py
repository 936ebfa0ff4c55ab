"""How `score` ends: its status, what it leaves, and how much memory it has taken."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scorer.image import Image
from tests.scorer.score.scoring import command, score


@pytest.mark.parametrize(
    ("variables", "program"),
    [({}, "score"), ({"NACHLASS_REPOSITORY": "my 100% reviews"}, "nachlass score 'my 100% reviews'")],
    ids=["image", "command"],
)
def test_usage_names_what_was_called(line_image: Image, variables: dict[str, str], program: str) -> None:
    scored = score(line_image, "--foo", env=variables)
    assert scored.status == 2
    assert scored.err.startswith(f"usage: {program} [")
    assert scored.err.splitlines()[-1] == f"{program}: error: unrecognized arguments: --foo"


def test_one_cell_is_one_cell(line_image: Image) -> None:
    assert "line 2: Expected 1 cell, got 2." in score(line_image, rows="1\n1,2\n").err


@pytest.mark.parametrize(
    ("words", "rows", "status", "message"),
    [
        (["--nope"], "", 2, "unrecognized arguments: --nope"),
        (["--output", "x", "--errors", "x"], "", 2, "--output and --errors name the same file"),
        (["nothing.csv"], "", 66, "nothing.csv can't be read: No such file or directory"),
        ([], "", 66, "The standard input is empty."),
        ([], b"\x1f\x8b\x08\x00", 66, "The standard input is compressed by gzip: pipe it through zcat."),
        ([], "rooms,area\n1,2\n", 66, "The input has no columns 'town', 'garden'. It has: rooms, area."),
        ([], "1,2\n", 66, "Expected a header, or 4 cells a line (rooms, area, town, garden); the first has 2."),
        (["--column", "a"], "1,2\n", 2, "The model's columns have names"),
        (
            ["--output", "no/where.csv"],
            "3,70.5,Ulm,true\n",
            74,
            "where.csv can't be written: No such file or directory",
        ),
        (["--output", "/dev/full"], "3,70.5,Ulm,true\n", 74, "/dev/full can't be written: No space left on device"),
    ],
    ids=["words", "same", "no-file", "empty", "gzip", "columns", "width", "named", "no-directory", "full"],
)
def test_what_goes_wrong_has_a_status_and_one_message(
    house_image: Image, tmp_path: Path, words: list[str], rows: bytes | str, status: int, message: str
) -> None:
    scored = score(house_image, *words, rows=rows, cwd=tmp_path)
    assert (scored.status, scored.out) == (status, b"")
    assert message in scored.err
    assert "Traceback" not in scored.err
    assert list(tmp_path.iterdir()) == []


def test_stage_that_is_not_what_was_built_is_not_loaded(spam_image: Image, tmp_path: Path) -> None:
    shutil.copytree(spam_image.stages, tmp_path / "stages")
    (tmp_path / "stages/stages/02.pickle").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    broken = Image(scorer=spam_image.scorer, stages=tmp_path / "stages", app=spam_image.app)
    scored = score(broken, rows="tasty\n")
    assert (scored.status, scored.out) == (69, b"")
    assert "Stage 2 (02-stage.ipynb): " in scored.err
    broken.manifest_file.write_text("{}")
    assert score(broken, rows="tasty\n").status == 78


def test_words_of_docker_run_reach_it_through_the_default_process(spam_image: Image) -> None:
    process = [sys.executable, str(spam_image.scorer.launcher), "web", "score", "--quiet"]
    done = subprocess.run(process, env=spam_image.env(), input=b"tasty\n", capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"tasty,spam\n", b"")


def test_reader_that_has_seen_enough_ends_it_quietly(line_image: Image, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("1\n" * 100_000)  # More than a pipe holds.
    words = command(line_image, tmp_path / "in.csv", "--errors", tmp_path / "bad.jsonl")
    process = subprocess.Popen(words, env=line_image.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"1,")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"])
def test_interrupted_run_leaves_no_half_of_a_file(
    line_image: Image, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    (tmp_path / "out.csv").write_text("as it was")
    words = command(line_image, "--output", "out.csv", "--errors", "bad.jsonl")
    # Who runs the tests in the background may have them ignore SIGINT, and their children with them.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            words, env=line_image.env(), cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
    finally:
        signal.signal(number, before)
    assert process.stdin is not None
    process.stdin.write(b"1\n" * 3000)
    process.stdin.flush()
    while not any(path.stat().st_size for path in tmp_path.glob(".out.csv.*.part")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate()
    assert (process.returncode, err) == (status, b"")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out.csv", "as it was")]


def test_output_takes_the_place_and_the_permissions_of_the_file_before(odd_image: Image, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x\n1\n")
    (tmp_path / "rows.csv").chmod(0o640)
    (tmp_path / "link.csv").symlink_to("rows.csv")
    scored = score(odd_image, "rows.csv", "--output", "link.csv", cwd=tmp_path)
    assert scored.status == 0, scored.err
    assert (tmp_path / "rows.csv").read_text() == "x,prediction\n1,2.0\n"
    assert (tmp_path / "rows.csv").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.csv").is_symlink()


def peak_bytes(image: Image, directory: Path, *words: str) -> int:
    """Score files, and return the most memory that the process had (Linux counts KiB)."""
    process = subprocess.Popen(command(image, *words, "--quiet"), env=image.env(), cwd=directory)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_input(line_image: Image, tmp_path: Path, form: str) -> None:
    words = [f"in.{form}", "--output", f"out.{form}"]
    note = "n" * 2000
    row = f"1,{note}\n" if form == "csv" else f'{{"x":1,"note":"{note}"}}\n'
    words += ["--column", "x"]
    peaks = []
    for rows in (1, 25_000):  # 50 MB
        with (tmp_path / f"in.{form}").open("w") as file:
            file.write("x,note\n" if form == "csv" else "")
            file.writelines(row for _ in range(rows))
        peaks.append(peak_bytes(line_image, tmp_path, *words))
    assert (tmp_path / f"out.{form}").stat().st_size > 50_000_000
    assert peaks[1] - peaks[0] < 30_000_000


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)


def test_progress_is_shown_on_a_terminal(line_image: Image, tmp_path: Path, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    (tmp_path / "in.csv").write_text("x\n" + "1\n" * 5000)
    words = command(line_image, "in.csv", "--output", "out.csv")
    process = subprocess.Popen(words, env=line_image.env(), cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    assert process.wait() == 0
    seen = os.read(ours, 65536).decode()
    bar, _, rest = seen.partition("\r\n")
    assert "% " in bar
    assert "rows/s" in bar
    assert bar.rpartition("\r")[2].startswith("5,000 rows, 0 bad, ")
    assert rest == ""
