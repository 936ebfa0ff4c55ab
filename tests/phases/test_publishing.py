"""Notebooks in the image: only when asked for, without secrets, left alone by a build that changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

from tests.phases.conftest import Workshop
from tests.support.layers import unreadable_files
from tests.support.pages import Page
from tests.support.phases import Built
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository
from tests.support.service import Service

SECRET = "kingfisher&4711"
FEATURES = (
    "import os\nprint('the token is', os.environ['TOKEN'])",
    "from IPython.display import HTML\nHTML('<b>' + os.environ['TOKEN'] + '</b><script>alert(1)</script>')",
)
PAGES = ["01-01-features.html", "02-train.html"]


def published(workshop: Workshop, repository: Path, **env: str) -> Built:
    binding = {"type": "nachlass", "TOKEN": SECRET}
    # Most platforms want no report: the executed notebooks are the build's own then.
    settings = {"NACHLASS_NOTEBOOKS": "notebooks/01-features.ipynb,train.ipynb", "NACHLASS_REPORT_DIR": "", **env}
    built = workshop.build(repository, settings, {"warehouse": binding})
    assert built.exit_code == 0, built.output
    return built


def files_of(workshop: Workshop) -> dict[str, bytes]:
    layer = workshop.phases.layers / "notebooks"
    return {path.relative_to(layer).as_posix(): path.read_bytes() for path in layer.rglob("*") if path.is_file()}


def assert_answers(service: Service) -> None:
    listed = Page(service.get("/notebooks/").text)
    assert [attributes["href"] for tag, attributes in listed.elements if tag == "a"] == PAGES
    assert "/notebooks/" in service.get("/").json()["routes"]
    for file in ("", *PAGES):
        answer = service.get(f"/notebooks/{file}")
        page = Page(answer.text)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.headers["content-security-policy"] == f"{page.policy}; frame-ancestors 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert page.wrong == []
        head = service.request("HEAD", f"/notebooks/{file}")
        assert (head.status, head.headers["etag"], head.text) == (200, answer.headers["etag"], "")
        again = service.request("GET", f"/notebooks/{file}", None, {"If-None-Match": answer.headers["etag"]})
        assert (again.status, again.text) == (304, "")
    for nothing in ("03-x.html", "index.html", "index.json", "..%2Findex.json", ".nachlass-key", "%2Fetc%2Fpasswd"):
        answer = service.get(f"/notebooks/{nothing}")
        assert (answer.status, answer.json()["code"]) == (404, "not-found")
    moved = service.get("/notebooks")
    assert (moved.status, moved.headers["location"]) == (308, "notebooks/")


def test_notebooks_are_published_as_long_as_somebody_asks_for_it(workshop: Workshop, tmp_path: Path) -> None:
    notebooks = {"notebooks/01-features.ipynb": FEATURES, "train.ipynb": (*LOGISTIC_REGRESSION, "model.classes_")}
    repository = write_repository(tmp_path / "r", notebooks)

    first = published(workshop, repository, NACHLASS_PUBLISH_NOTEBOOKS="outputs")
    assert (first.layers["notebooks"].launch, first.layers["notebooks"].cache) == (True, False)
    assert (first.layers["publish"].launch, first.layers["publish"].cache) == (False, True)
    assert unreadable_files(workshop.phases.layers / "notebooks") == []
    made = files_of(workshop)
    text = {name: Page(content.decode()).text for name, content in made.items() if name in PAGES}
    assert "the token is ****" in text[PAGES[0]]
    assert "array(['high', 'low']" in text[PAGES[1]]
    for secret in ("kingfisher", "4711"):
        assert not any(secret.encode() in content for content in made.values())
        assert secret not in str(first.layers)
    with workshop.phases.serve() as service:
        assert_answers(service)

    second = published(workshop, repository, NACHLASS_PUBLISH_NOTEBOOKS="outputs")
    assert "train.ipynb: reused" in second.output
    assert {"notebooks", "stages"} <= second.reused
    assert second.layers["notebooks"] == first.layers["notebooks"]
    assert files_of(workshop) == made

    code = published(workshop, repository, NACHLASS_PUBLISH_NOTEBOOKS="code")
    assert "notebooks" not in code.reused
    text = {name: Page(content.decode()).text for name, content in files_of(workshop).items() if name in PAGES}
    assert "LogisticRegression" in text[PAGES[1]]
    assert "array(['high', 'low']" not in text[PAGES[1]]
    assert "the token is ****" not in text[PAGES[0]]

    off = published(workshop, repository)
    assert not {"notebooks", "publish"} & off.layers.keys()
    with workshop.phases.serve() as service:
        assert service.get("/notebooks/").status == 404
        assert "/notebooks/" not in service.get("/").json()["routes"]


def test_what_is_no_code_is_as_its_author_has_it_now(workshop: Workshop, tmp_path: Path) -> None:
    notebooks = {"notebooks/01-features.ipynb": ("'the same output'",), "train.ipynb": LOGISTIC_REGRESSION}
    repository = write_repository(tmp_path / "repository", notebooks)
    file = repository / "notebooks/01-features.ipynb"

    def say(text: str) -> None:
        notebook: Any = nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        notebook.cells = [nbformat.v4.new_markdown_cell(text), *code]  # type: ignore[no-untyped-call]
        nbformat.write(notebook, file)  # type: ignore[no-untyped-call]

    say("# Patients of ward 7")
    published(workshop, repository, NACHLASS_PUBLISH_NOTEBOOKS="outputs")
    assert b"Patients of ward 7" in files_of(workshop)[PAGES[0]]

    say("# Patients")
    built = published(workshop, repository, NACHLASS_PUBLISH_NOTEBOOKS="outputs")
    assert "01-features.ipynb: reused" in built.output
    assert b"ward 7" not in b"".join(files_of(workshop).values())
    assert b"the same output" in files_of(workshop)[PAGES[0]]
