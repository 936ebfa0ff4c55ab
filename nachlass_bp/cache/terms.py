"""On which terms a build takes a run of an earlier one, whatever the repository holds."""

from __future__ import annotations

from dataclasses import dataclass

from nachlass_bp.cache.trace import Trace


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What the present settings and the notebook's metadata say, not those of the run.

    `whole` names who asks that the whole repository counts, None if nobody does.
    """

    is_network_stable: bool
    whole: str | None

    def objection(self, trace: Trace) -> str | None:
        """Return what speaks against a run though nothing that it used has changed, None if nothing does."""
        if trace.network is not None and not self.is_network_stable:
            return trace.network
        if trace.not_reusable is not None:
            return trace.not_reusable
        if self.whole is not None and trace.dependencies.tree is None:
            return f"{self.whole} asks for the whole repository, and its last run tells of a part"
        return None
