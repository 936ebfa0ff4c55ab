"""What becomes of bad rows: kept in a file, or told, the first of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..encode import dump
from .chunks import BadRow
from .stopping import Status, StopError, writing
from .target import Target

_MOST_TOLD = 10


class BadRows:
    """Counts bad rows and passes them on."""

    def __init__(self, target: Target | None, *, limit: int | None, tell: Callable[[str], None]) -> None:
        """Pass bad rows on.

        Args:
            target: Where they are written, None to tell of them.
            limit: How many there may be; None for any number.
            tell: Says a line to the person.
        """
        self._target = target
        self._limit = limit
        self._tell = tell
        self.count = 0

    def add(self, rows: Sequence[BadRow]) -> None:
        """Take the bad rows of one chunk, in their order.

        Raises:
            StopError: There are too many now, or they can't be written.
        """
        for row in rows:
            if self._limit is not None and self.count >= self._limit:
                raise StopError(Status.TOO_MANY_BAD, f"There are more than {self._limit} bad rows.")
            self.count += 1
            if self._target is not None:
                line = dump({"line": row.line, "error": row.error, "code": row.code, "row": row.row})
                with writing(self._target.name):
                    self._target.stream.write(line + b"\n")
            elif self.count <= _MOST_TOLD:
                self._tell(f"line {row.line}: {row.error}")

    def finish(self) -> None:
        """Say how many were not told of."""
        if self._target is None and self.count > _MOST_TOLD:
            self._tell(f"and {self.count - _MOST_TOLD:,} more bad rows; --errors FILE keeps them all")
