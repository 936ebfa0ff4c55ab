"""What all tests share: bytecode of ours, and the end-of-session note about what this machine could not test."""

from __future__ import annotations

import compileall
from collections import Counter

import pytest

from tests.support import spam
from tests.support.facilities import SKIP_PREFIX
from tests.support.order import LONGEST_FIRST
from tests.support.pythons import ROOT

_SHOWN_LINES = 60


def pytest_configure(config: pytest.Config) -> None:
    """Compile what hundreds of builds import: they leave no bytecode in the buildpack, and would each do it anew."""
    if not hasattr(config, "workerinput"):
        for package in ("nachlass_bp", "scorer"):
            compileall.compile_dir(ROOT / package, quiet=2)  # In a checkout that is read-only, it stays undone.
        config.pluginmanager.register(_FailuresAtOnce(config))
        spam.begin_run()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what the processes of the run shared."""
    if not hasattr(session.config, "workerinput"):
        spam.end_run()


class _FailuresAtOnce:
    """Tells of a failure when it happens, not after all the other tests: a run of the whole suite takes long."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and reporter is not None:
            reporter.write_line(f"\nFAILED ({report.when}) {report.nodeid}", red=True)
            reporter.write_line("\n".join(report.longreprtext.splitlines()[-_SHOWN_LINES:]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, wherever more than one process runs the tests."""
    if hasattr(config, "workerinput"):
        places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was skipped for want of a facility, and why: a skip must not look like a pass."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in reports if isinstance(report.longrepr, tuple)]
    missing = Counter(reason.removeprefix(SKIP_PREFIX) for reason in reasons if reason.startswith(SKIP_PREFIX))
    if missing:
        terminalreporter.section("not tested on this machine")
        for reason, count in sorted(missing.items()):
            terminalreporter.line(f"{reason} ({count} tests)")
