"""From a chunk's rows to their answers, with each row that the model can't take apart from the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from ..decode import Decoder
from ..errors import RequestError, one_line
from ..predictor.answers import Answerer, RefusalError
from .chunks import Row

_Fault = tuple[str, str]
"""What is wrong with a row, and its code."""

_MOST_TRACEBACK_CHARACTERS = 20_000


class Scorer:
    """Asks a model about rows, many at a time."""

    def __init__(
        self, decoder: Decoder, answerer: Answerer, methods: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        self._decoder = decoder
        self._answerer = answerer
        self._methods = methods
        self._tell = tell
        self._has_told = False

    def score(self, rows: Sequence[Row]) -> tuple[list[tuple[Row, Any]], list[tuple[Row, _Fault]]]:
        """Return rows with their answers, and rows with what is wrong with them, both in the rows' order."""
        faults: dict[int, _Fault] = {}
        answers: dict[int, Any] = {}
        checked = self._decode(rows, faults)
        if checked:
            self._answer(checked, answers, faults)
        return (
            [(row, answers[i]) for i, row in enumerate(rows) if i in answers],
            [(row, faults[i]) for i, row in enumerate(rows) if i in faults],
        )

    def _decode(self, rows: Sequence[Row], faults: dict[int, _Fault]) -> list[tuple[int, Any]]:
        """Return checked rows with their places; what is wrong with others goes to `faults`."""
        if not rows:
            return []
        try:
            return list(enumerate(self._decoder.rows([row.value for row in rows])))
        except RequestError:
            pass  # Which rows are meant, each says for itself: checking one costs little.
        checked = []
        for i, row in enumerate(rows):
            try:
                checked.append((i, self._decoder.rows([row.value])[0]))
            except RequestError as error:
                faults[i] = (error.message, error.code)
        return checked

    def _answer(self, checked: list[tuple[int, Any]], answers: dict[int, Any], faults: dict[int, _Fault]) -> None:
        """Predict together what can be, else in smaller parts, down to the row that is at fault."""
        parts: Sequence[list[tuple[int, Any]]]
        try:
            values = self._answerer.answer([cells for _, cells in checked], self._methods)
        except RefusalError as refusal:
            fault = (refusal.message, "refused-by-model")
            parts = _by_missing(checked) if refusal.is_about_missing else ()
        # Whatever the model's code raises, sys.exit() too, is about these rows.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
            fault = (f"The model failed: {type(error).__name__}: {one_line(error)}", "internal-error")
            parts = ()
            if len(checked) == 1:
                self._tell_once()
        else:
            answers.update(zip((i for i, _ in checked), values, strict=True))
            return
        if len(checked) == 1:
            faults[checked[0][0]] = fault
            return
        middle = len(checked) // 2
        for part in parts or (checked[:middle], checked[middle:]):
            self._answer(part, answers, faults)

    def _tell_once(self) -> None:
        if not self._has_told:
            self._has_told = True
            self._tell(traceback.format_exc()[-_MOST_TRACEBACK_CHARACTERS:].rstrip())


def _by_missing(checked: Sequence[tuple[int, Any]]) -> Sequence[list[tuple[int, Any]]]:
    """Return the rows without and those with missing values, if there are both."""
    having = [each for each in checked if isinstance(each[1], list) and None in each[1]]
    if not 0 < len(having) < len(checked):
        return ()
    places = {i for i, _ in having}
    return [each for each in checked if each[0] not in places], having
