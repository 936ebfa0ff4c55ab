"""Questions about the stage cache, for a platform that has it at hand: `nachlass_bp cache ls|explain|prune`.

A sub-command beside the build phase (docs/architecture.md, "Questions about the cache"). `ls` and `explain` change
nothing.
"""
