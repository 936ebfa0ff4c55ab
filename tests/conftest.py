"""What all tests share: the end-of-session note about what this machine could not test."""

from __future__ import annotations

import pytest

from tests.support import facilities


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was skipped for want of a facility, and why: a skip must not look like a pass."""
    if facilities.missing:
        terminalreporter.section("not tested on this machine")
        for name, reason in sorted(facilities.missing.items()):
            terminalreporter.line(f"{name}: {reason}")
