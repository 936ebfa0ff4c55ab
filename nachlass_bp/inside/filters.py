"""Keep what Jupyter's modules say about warnings to this process: scikit-learn sends `warnings.filters` to its workers.

A filter names its category by a class, and a class of the overlay can't be unpickled where the overlay isn't: worker
processes of `n_jobs=2` would break before they begin.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


def drop_filters_of(names: Collection[str]) -> None:
    """Remove the filters whose category is a class of a top-level module in `names`.

    In place, because Python's own code may hold the list. No module needs to be told of the change: what they remember
    are warnings that they have shown, and none has shown one of these.
    """
    filters: list[Any] = warnings.filters  # type: ignore[assignment]  # typeshed has a Sequence; it is a list.
    filters[:] = [entry for entry in filters if entry[2].__module__.partition(".")[0] not in names]
