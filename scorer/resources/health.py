from __future__ import annotations

from typing import Any

from ..encode import dump
from ..life import Life
from .respond import send


class Health:
    """A probe: whoever answers lives."""

    def __init__(self, facts: dict[str, object]) -> None:
        self._body = dump(facts)

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer 200."""
        send(resp, self._body)

    on_head = on_get


class Ready:
    """A probe: a worker that answers has its model loaded, since it is forked from a master that has."""

    def __init__(self, life: Life, *, key: str = "status") -> None:
        """Tell by `{key: …}`: a word as `status`, else true or false."""
        self._life = life
        words = ("ready", "ending") if key == "status" else (True, False)
        self._ready, self._ending = (dump({key: word}) for word in words)

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer 200; 503 from the signal to end on, so that nobody is sent here any more."""
        if self._life.is_ending:
            send(resp, self._ending, status=503)
        else:
            send(resp, self._ready)

    on_head = on_get
