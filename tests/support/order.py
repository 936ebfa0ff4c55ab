"""In which order processes that share a test run begin its files."""

from __future__ import annotations

LONGEST_FIRST = (
    "e2e/test_rebuilds.py",
    # The first of those above makes the builder; while others would wait for it, these two need none.
    "cache/test_overlayfs.py",
    "phases/test_requirements.py",
    "e2e/test_examples.py",
    "e2e/test_phases.py",
    "e2e/test_matrix.py",
    "e2e/test_providers.py",
    "e2e/test_secrets.py",
    "e2e/test_ci_templates.py",
    "e2e/test_failures.py",
    "e2e/test_image.py",
    "phases/test_bad.py",
    "e2e/test_buildpackage.py",
    "kernel/test_behaviour.py",
    "cache/test_scenarios.py",
    "cache/test_ways.py",
    "phases/test_tools.py",
    "e2e/test_s2i.py",
    "lifecycle/test_lifecycle.py",
    "cache/test_previous_image.py",
    "cache/test_reads.py",
    "phases/test_hostile.py",
    "kernel/test_old_environments.py",
    "cache/test_terms.py",
    "phases/test_unusual.py",
    "cache/test_shared.py",
    "cli/test_cache.py",
    "scorer/test_check.py",
)
"""Files below `tests` that take minutes. One process runs all of a file, and a run waits for those that begin last."""
