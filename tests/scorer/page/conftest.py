"""A browser that looks at a service's page: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.facilities import require
from tests.support.service import Service

Look = Callable[..., Page]

# Chromium tells of every answer that is no success, and of nothing else that may be.
_EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of (?:400|401|503) ")


@pytest.fixture(scope="module")  # No longer: while it is there, nobody else may run an event loop.
def browser() -> Iterator[Browser]:
    require("chromium")
    with sync_playwright() as playwright:
        # Its sandbox needs a user that isn't root.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Open the page of a service in a fresh window; at its end, nothing may have gone wrong in any of them.

    Neither an error of a script, nor anything that the policy forbade, nor a request to another origin.
    """
    contexts = []
    wrong: list[str] = []

    def new_page(service: Service, *, path: str = "/", is_open: bool = True, **options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        origin = address(service)
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: None if request.url.startswith(origin) else wrong.append(request.url))
        if is_open:
            page.goto(origin + path)
        return page

    yield new_page
    for context in contexts:
        context.close()
    assert [each for each in wrong if not _EXPECTED.match(each)] == []


def address(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"
