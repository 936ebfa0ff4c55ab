"""`launcher.py score`: open what is read and written, load the model, and pass rows from one to the other."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import manifest as manifests
from ..decode import Decoder
from ..errors import StageError
from ..manifest import ManifestError, Model
from .added import Added, added_columns
from .arguments import Options, format_of, parse
from .chunks import BadRow, Reader
from .csvfile import CsvReader
from .faults import BadRows
from .formats import Writer, open_reader, open_writer, require_parquet
from .progress import Progress
from .source import Source
from .stopping import Interrupted, Status, StopError, interruptible, writing
from .streams import Streams, require_open, take_streams
from .target import Target

if TYPE_CHECKING:
    from ..predictor.answers import Answerer
    from .predicting import Scorer


_REPOSITORY = "NACHLASS_REPOSITORY"


def main(words: list[str], directory: str) -> int:
    """Score as the words say and return the exit status; files are relative to `directory`."""
    # Taken out, since it is no business of the model's code.
    options = _resolved(parse(words, os.environ.pop(_REPOSITORY, None)), Path(directory))
    progress = Progress(sys.stderr, is_quiet=options.is_quiet)
    with interruptible():
        try:
            return _run(options, progress)
        except StopError as stop:
            progress.stop()
            if stop.message:
                sys.stderr.write(f"nachlass: {stop.message}\n")
            return stop.status
        except Interrupted as interrupted:
            progress.stop()
            return 128 + interrupted.number
        except Exception:  # noqa: BLE001 - left to Python, it would end with the status of bad rows
            progress.stop()
            sys.stderr.write(f"{traceback.format_exc()}nachlass: This is a fault of the model or of nachlass.\n")
            return Status.FAULT


def _resolved(options: Options, directory: Path) -> Options:
    """Make the files' paths independent of the working directory, which is the model's."""

    def below(path: Path | None) -> Path | None:
        return None if path is None else directory / path

    return replace(options, input=below(options.input), output=below(options.output), errors=below(options.errors))


def _run(options: Options, progress: Progress) -> int:
    streams = take_streams()
    source = _open(options, streams, progress)
    source_format = options.source_format or format_of(options.input) or source.guess()
    target_format = options.target_format or format_of(options.output) or source_format
    if target_format == "parquet" and options.output is None and streams.output and os.isatty(streams.output):
        raise StopError(Status.USAGE, "Parquet is not for a terminal: say --output FILE.")
    if "parquet" in (source_format, target_format):
        require_parquet()  # Before the stages, from which on the notebooks' directories come first on sys.path.
    model = _described()
    spec, decoder, answerer = model.input, Decoder(model.input), functools.cache(_load)
    added = _added(options, model, decoder, answerer)
    # What is wrong with the input need not wait for the model, which takes seconds.
    reader = open_reader(source, source_format, spec, options, added, is_same=source_format == target_format)
    if isinstance(reader, CsvReader) and reader.note:
        progress.tell(reader.note)
    from .predicting import Scorer  # noqa: PLC0415 - needs scikit-learn, which takes seconds

    scorer = Scorer(decoder, answerer(), added.methods, progress.tell)
    with _targets(options, streams) as (target, errors):
        bad = BadRows(errors, limit=options.max_errors, tell=progress.tell)
        with writing(target.name):
            writer = open_writer(target, target_format, reader, spec, added)
        try:
            rows = _pass(reader, scorer, bad, added, writer, target, progress)
            with writing(target.name):
                writer.finish()
        finally:
            writer.abandon()
        bad.finish()
    progress.finish(rows, bad.count)
    return Status.SOME_BAD if bad.count else Status.DONE


def _open(options: Options, streams: Streams, progress: Progress) -> Source:
    if options.input is not None:
        return Source(options.input, -1)
    standard_input = require_open(streams.input, Status.NO_INPUT, "The standard input")
    if os.isatty(standard_input):
        progress.tell("Reading rows from the terminal; Ctrl-D ends them.")
    return Source(None, standard_input)


def _described() -> Model:
    """Return what the manifest says of the model, without loading it."""
    try:
        return manifests.finished(manifests.read(_manifest()))
    except (ManifestError, OSError) as error:
        raise StopError(Status.NO_CONFIGURATION, f"The manifest can't be read: {error}") from error


def _manifest() -> Path:
    return Path(os.environ["NACHLASS_MANIFEST"])  # The launcher has read it.


def _load() -> Answerer:
    from .. import service  # noqa: PLC0415 - scikit-learn takes seconds
    from ..predictor.answers import Answerer  # noqa: PLC0415 - as above

    try:
        loaded = service.load(_manifest())
    except (ManifestError, OSError) as error:
        raise StopError(Status.NO_CONFIGURATION, f"The manifest can't be read: {error}") from error
    except StageError as error:
        raise StopError(Status.NO_MODEL, service.describe(error, _manifest())) from error
    return Answerer(loaded.pipeline, loaded.model.input)


def _added(options: Options, model: Model, decoder: Decoder, answerer: Callable[[], Answerer]) -> Added:
    """Return what is added.

    Raises:
        StopError: Probabilities are asked for, and the model has none.
    """
    probabilities: Sequence[Any] | None = None
    if options.with_probabilities:
        if "predict_proba" not in model.methods:
            raise StopError(Status.USAGE, "The model has no probabilities.")
        probabilities = model.classes
        if model.outputs is not None or not probabilities:  # Of several outputs, an answer tells how many each has.
            (probabilities,) = answerer().answer(decoder.rows([model.example]), ("predict_proba",))
    return added_columns(model, probabilities=probabilities, prefix=options.prefix)


@contextmanager
def _targets(options: Options, streams: Streams) -> Iterator[tuple[Target, Target | None]]:
    """Yield where rows and bad rows go. Both are there when the block is left, and nothing of them if it fails.

    Of too many bad rows, those that were found are kept: they say why.
    """
    standard_output = -1
    if options.output is None:
        standard_output = require_open(streams.output, Status.NO_OUTPUT, "The standard output")
    opened = [Target(options.output, standard_output)]
    try:
        if options.errors is not None:
            opened.append(Target(options.errors, -1))
        yield opened[0], opened[1] if len(opened) == 2 else None
        for target in opened:
            target.finish()
    except StopError as stop:
        if stop.status == Status.TOO_MANY_BAD and len(opened) == 2:
            opened[1].finish()
        raise
    finally:
        for target in opened:
            target.abandon()


def _pass(  # noqa: PLR0913 - everything meets here
    reader: Reader,
    scorer: Scorer,
    bad: BadRows,
    added: Added,
    writer: Writer,
    target: Target,
    progress: Progress,
) -> int:
    """Pass all rows from the reader through the model to the writer; return how many there were."""
    rows = 0
    progress.begin()
    for chunk in reader.chunks():
        answered, faulty = scorer.score(chunk.rows)
        found = [
            BadRow(line=row.line, error=error, code=code, row=reader.shown(chunk, row)) for row, (error, code) in faulty
        ]
        bad.add(sorted([*chunk.bad, *found], key=lambda each: each.line))
        with writing(target.name):
            writer.write(chunk, [(row, added.cells(answer)) for row, answer in answered])
        target.flush()
        rows += len(chunk.rows) + len(chunk.bad)
        progress.update(rows, chunk.fraction)
    return rows
