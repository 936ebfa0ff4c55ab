"""By which names a client may call the one model that there is."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import RequestError, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The model's name, others that it also answers to, and its version."""

    name: str
    aliases: frozenset[str]
    version: str

    def require(self, model: str | None, version: str | None = None) -> None:
        """Make sure that a path means this model.

        Raises:
            RequestError: It has the name or the version of another one (404).
        """
        if model is not None and model != self.name and model not in self.aliases:
            raise RequestError(
                f"There is no model {shown(model)}; this is {self.name!r}.", code="not-found", status=404
            )
        if version is not None and version != self.version:
            text = f"There is no version {shown(version)} of the model; this is {self.version!r}."
            raise RequestError(text, code="not-found", status=404)
