"""What a person can say to `score`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

Format = Literal["csv", "jsonl", "parquet"]
Header = Literal["present", "absent"]

_DESCRIPTION = """\
Predict for every row of a file or of the standard input: CSV, JSON lines or Parquet in, the same out with the column
'prediction' after the others.
"""
_EPILOG = """\
exit status: 0 all rows are predicted; 1 some rows are bad, the others are predicted; 2 wrong words; 65 more bad rows
than --max-errors; 66 the input can't be read; 69 or 78 the model can't be loaded; 74 the output can't be written.
"""
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """One run; files as they were typed, None for the standard streams."""

    input: Path | None
    output: Path | None
    source_format: Format | None
    target_format: Format | None
    with_probabilities: bool
    prefix: str
    columns: tuple[str, ...]
    header: Header | None
    errors: Path | None
    max_errors: int | None
    is_quiet: bool


def parse(words: list[str], repository: str | None = None) -> Options:
    """Return the run that `words` spell; on wrong ones, print the usage and exit with status 2.

    `repository` is what a person gave to `nachlass score` before them, if that is what was called.
    """
    parser = _parser("score" if repository is None else f"nachlass score {shlex.quote(repository)}")
    values = parser.parse_args(words)
    errors: Path | None = values.errors
    output: Path | None = None if values.output == Path("-") else values.output
    if errors is not None and errors == output:
        parser.error("--output and --errors name the same file")
    return Options(
        input=None if values.input == Path("-") else values.input,
        output=output,
        source_format=values.source_format,
        target_format=values.target_format,
        with_probabilities=values.probabilities,
        prefix=values.prefix,
        columns=tuple(values.column),
        header=cast(Header | None, values.header),
        errors=errors,
        max_errors=values.max_errors,
        is_quiet=values.quiet,
    )


def format_of(path: Path | None) -> Format | None:
    """Return the format that a file's name tells, if it does."""
    return None if path is None else _SUFFIXES.get(path.suffix.lower())


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("input", metavar="INPUT", nargs="?", type=Path, default=Path("-"), help="the file (default, or -: stdin)")
    add("--output", metavar="FILE", type=Path, help="where the rows go (default: stdout); there is no half of it")
    add(
        "--from",
        dest="source_format",
        choices=get_args(Format),
        help="the input's format (default: what its name or its first bytes tell)",
    )
    add(
        "--to",
        dest="target_format",
        choices=get_args(Format),
        help="the output's format (default: what its name tells, else the input's)",
    )
    add("--probabilities", action="store_true", help="add the probability of each class, as probability_<class>")
    add("--prefix", metavar="TEXT", default="", help="begin the names of what is added with TEXT")
    add(
        "--column",
        metavar="NAME",
        action="append",
        default=[],
        help="for a model whose input has no names: take it from this column; once for each value, in their order",
    )
    add(
        "--header",
        choices=get_args(Header),
        help="whether the first line of CSV has names (default: what it looks like)",
    )
    add("--errors", metavar="FILE", type=Path, help="write bad rows there, as JSON lines; without it they are told")
    add("--max-errors", metavar="N", type=_count, help="stop, and leave no output file, at more than N bad rows")
    add("--quiet", action="store_true", help="say nothing but what stops the run")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows")
    return int(text)
