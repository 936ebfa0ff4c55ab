"""The build's log."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

from nachlass_bp.output import Output

ROOT = Path(__file__).resolve().parents[2]


def test_build_whose_log_nobody_reads_any_more_ends_without_a_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", ROOT / "nachlass_bp"],
            env={},
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.returncode == 1
    assert done.stderr == b""


def test_name_with_control_characters_stays_in_its_line() -> None:
    log = StringIO()
    output = Output(log)
    output.hide(["first line\nsecond line"])
    name = "a\nb\r\x1b[2J\x85\u2028\u202ec\udcff"
    output.heading(name)
    output.step(f"{name} ä\t", [f"{name} changed"])
    output.entry(name)
    output.step("first line\nsecond line")
    shown = r"a\nb\r\x1b[2J\x85\u2028\u202ec\udcff"
    assert log.getvalue() == f"\n[{shown}]\n{shown} ä\\t\n - {shown} changed\n    {shown}\n****\n"
