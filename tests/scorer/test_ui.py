"""The page's files as HTTP has them: who gets the page at `/`, and with which headers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from scorer import ui
from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.service import Service

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ASSETS = sorted(ui.load().assets)


@pytest.fixture(scope="module")
def without_page(spam_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(spam_image, NACHLASS_UI="off") as service:
        yield service


def test_browser_gets_the_page_and_others_the_list(spam: Service) -> None:
    page = spam.request("GET", "/", headers=BROWSER)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"] == ui.POLICY
    for accept in ("*/*", "application/json"):
        listed = spam.request("GET", "/", headers={"Accept": accept})
        assert listed.headers["content-type"] == "application/json"
        assert "/predict" in listed.json()["routes"]
        assert not [route for route in listed.json()["routes"] if route.startswith("/ui")]
        assert listed.headers["vary"] == page.headers["vary"] == "Accept"
    assert spam.get("/").json() == spam.request("GET", "/", headers={"Accept": "*/*"}).json()


@pytest.mark.parametrize("file", ["", *(f"ui/{name}" for name in ASSETS)])
def test_file_of_the_page_is_kept_and_asked_for_again(spam: Service, file: str) -> None:
    headers = {} if file else BROWSER
    answer = spam.request("GET", f"/{file}", headers=headers)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    head = spam.request("HEAD", f"/{file}", headers=headers)
    assert (head.status, head.text, head.headers["etag"]) == (200, "", answer.headers["etag"])
    again = spam.request("GET", f"/{file}", headers={**headers, "If-None-Match": answer.headers["etag"]})
    assert (again.status, again.text) == (304, "")


def test_page_loads_nothing_but_its_own_files_and_has_no_script_or_style_in_it(spam: Service) -> None:
    page = spam.request("GET", "/", headers=BROWSER).text
    loaded = re.findall(r'(?:src|href)="(?!#|metadata")([^"]*)"', page)
    loaded += [f"ui/{name}" for asset in ASSETS for name in imports_of(spam, asset)]
    assert set(loaded) == {f"ui/{name}" for name in ASSETS}
    assert not re.search(r"<style|<script(?! type=\"module\" src=)|\son\w+=|\sstyle=|//", page)


def imports_of(service: Service, asset: str) -> list[str]:
    return re.findall(r'^import .* from "\./(.+)";$', service.get(f"/ui/{asset}").text, re.MULTILINE)


def test_page_tells_those_without_scripts_what_to_do(spam: Service) -> None:
    page = spam.request("GET", "/", headers=BROWSER).text
    assert 'href="metadata"' in page.partition("<noscript>")[2].partition("</noscript>")[0]


@pytest.mark.parametrize("file", ["index.html", "none.js", "..%2fui.py", "..%2f..%2fmanifest.json"])
def test_nothing_else_is_served(spam: Service, file: str) -> None:
    assert spam.get(f"/ui/{file}").status == 404


def test_page_can_be_switched_off(without_page: Service) -> None:
    answer = without_page.request("GET", "/", headers=BROWSER)
    assert answer.headers["content-type"] == "application/json"
    assert without_page.get("/ui/page.js").status == 404


def test_metadata_says_what_may_be_asked_for(spam: Service, houses: Service) -> None:
    of_texts, of_numbers = spam.get("/metadata").json(), houses.get("/metadata").json()
    assert of_texts["methods"] == ["predict", "predict_proba", "decision_function"]
    assert of_numbers["methods"] == ["predict"]
    assert of_texts["outputs"] is None
    assert of_texts["version"] == spam.get("/openapi.json").json()["info"]["version"]
    assert [step["class"] for step in of_texts["pipeline"]["children"]] == ["TfidfVectorizer", "LogisticRegression"]
