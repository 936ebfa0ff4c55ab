"""Pages of notebooks, by the real renderer in its own process: what they show, and that nothing of them is active."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest

from nachlass_bp import context
from nachlass_bp.config import PublishMode
from nachlass_bp.errors import PublishFailedError
from nachlass_bp.layers import notebooks
from nachlass_bp.layers.publish import Renderer
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output
from scorer import publication
from scorer.manifest import ManifestError
from tests.support import pythons
from tests.support.pages import Page
from tests.support.pythons import ROOT, this_python

v4: Any = nbformat.v4  # Untyped.

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"a picture").decode()
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(2)</script></svg>"
ACTIVE = (
    "<script>alert(1)</script>",
    "<ScRiPt src=https://evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<img src=https://evil.example/pixel.png>",
    "<img src='//evil.example/pixel.png' srcset='https://evil.example/2x.png 2x'>",
    "<img src='data:text/html;base64,PHNjcmlwdD4='>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript&colon;alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='/predict' ping='https://evil.example'>x</a>",
    "<a href='//evil.example'>x</a>",
    "<svg onload=alert(1)><use href='data:x'></use></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data='x.swf'></object><embed src='x.swf'>",
    "<form action='https://evil.example'><input name=a autofocus onfocus=alert(1)><button>go</button></form>",
    "<meta http-equiv='refresh' content='0;url=https://evil.example'>",
    "<base href='https://evil.example/'><link rel=stylesheet href='https://evil.example/x.css'>",
    "<style>@import 'https://evil.example/x.css'; body { background: url(https://evil.example/x) }</style>",
    "<p style='background: url(https://evil.example/x); position: fixed'>x</p>",
    "<div background='https://evil.example/x' onclick='alert(1)'>x</div>",
    "<video poster='https://evil.example/x' src='https://evil.example/y'></video><audio src=z></audio>",
    "</div></div></main></body><body onload=alert(1)><main>",
    "</pre></code><script>alert(1)</script>",
    "<!-- <img src=x onerror=alert(1)> --><![CDATA[<script>alert(1)</script>]]>",
    "<template><script>alert(1)</script></template><textarea></textarea><script>alert(1)</script>",
    "<x-element is='x' onmouseover=alert(1)>x</x-element>",
    "<plaintext><script>alert(1)</script>",
)
MARKDOWN = (
    "[x](javascript:alert(1)) [y](data:text/html,x) [z](/predict) <javascript:alert(1)>",
    "![x](https://evil.example/pixel.png) ![y](javascript:alert(1)) ![z](data:text/html;base64,PHNjcmlwdD4=)",
    '![x](x.png"onerror="alert(1)) ![y][r]\n\n[r]: https://evil.example/r.png "t\' onerror=alert(1)"',
    "# <script>alert(1)</script> \" onclick='alert(1)'\n\n`</code><script>alert(1)</script>`",
    "```</pre><script>alert(1)</script>\n</pre><script>alert(1)</script>\n```",
    "$</span><script>alert(1)</script>$ and $$</div><script>alert(1)</script>$$",
    '|<script>alert(1)</script>|b|\n|:-:|-|\n|<img src=x onerror=alert(1)>|"|',
    "![p](attachment:p.png) ![q](attachment:q.svg)",
)


@pytest.fixture(scope="module")
def site() -> Path:
    """Return the renderer's packages, installed from the lock as the `publish` layer is."""
    python, lock = this_python(), ROOT / "locks" / "publish.txt"

    def install(directory: Path) -> None:
        options = ["--quiet", "--target", str(directory), "--require-hashes", "--no-deps"]
        pythons._pip(python, "install", *options, "-r", str(lock))

    return pythons.made_once("publish", (python.abi, str(python.executable), lock.read_text()), install)


class Press:
    """Publishes notebooks as a build does."""

    def __init__(self, root: Path, site: Path) -> None:
        self.root = root
        self.app = root / "app"
        self.app.mkdir()
        variables = {
            "CNB_LAYERS_DIR": str(root / "layers"),
            "CNB_PLATFORM_DIR": "/platform",
            "PATH": os.environ["PATH"],
        }
        self.context = context.from_environ(variables, [], self.app)
        self.context.layers_dir.mkdir()
        self.renderer = Renderer(context=self.context, site=site, key="this one")
        self.output = Output(io.StringIO())

    def page(
        self, *cells: Any, mode: PublishMode = "outputs", name: str = "x.ipynb", metadata: dict[str, Any] | None = None
    ) -> Page:
        return Page(self.html(*cells, mode=mode, name=name, metadata=metadata))

    def html(
        self, *cells: Any, mode: PublishMode = "outputs", name: str = "x.ipynb", metadata: dict[str, Any] | None = None
    ) -> str:
        content = v4.new_notebook(cells=list(cells), metadata=metadata or {})
        executed = self.root / "executed.ipynb"
        nbformat.write(content, executed)  # type: ignore[no-untyped-call]
        notebook = Notebook(name=name, cwd="", content=content)
        notebooks.publish(self.renderer, mode, [notebook], {name: executed}, self.root, self.output)
        (page,) = publication.read(self.layer).pages
        return (self.layer / page.file).read_text()

    @property
    def layer(self) -> Path:
        return self.context.layers_dir / "notebooks"


@pytest.fixture
def press(tmp_path: Path, site: Path) -> Press:
    return Press(tmp_path, site)


def displayed(**data: str) -> Any:
    """Return a cell that displays something; `text_html="<b>"` stands for `text/html`."""
    named = {{"image_svg": "image/svg+xml"}.get(name, name.replace("_", "/", 1)): value for name, value in data.items()}
    return v4.new_code_cell("show()", outputs=[v4.new_output("display_data", named)])


def printed(*texts: str, name: str = "stdout") -> Any:
    return v4.new_code_cell("run()", outputs=[v4.new_output("stream", name=name, text=text) for text in texts])


# --- Nothing is active ----------------------------------------------------------------------------------------------


def test_nothing_of_a_hostile_notebook_is_active(press: Press) -> None:
    active = [*ACTIVE, "".join(ACTIVE)]
    attached = {"p.png": {"image/png": PNG + "'><script>"}, "q.svg": {"image/svg+xml": SVG}}
    failed = v4.new_output("error", ename="<b>", evalue="<script>", traceback=[f"\x1b[31m{text}" for text in active])
    cells = [
        *(v4.new_markdown_cell(text, attachments=attached) for text in (*active, *MARKDOWN)),
        *(v4.new_raw_cell(text) for text in active),
        *(v4.new_code_cell(text, outputs=[failed]) for text in (*active, "%%html\n" + active[0])),
        *(printed(text, name="stderr") for text in active),
        *(displayed(text_html=text) for text in active),
        *(displayed(text_markdown=text) for text in (*active, *MARKDOWN)),
        *(displayed(text_latex=text, application_javascript=text) for text in active),
        *(displayed(text_plain=text, image_png=text) for text in active),
        displayed(image_svg=SVG),
        displayed(image_png="'><script>alert(1)</script>"),
    ]
    hostile = "<script>\"'.ipynb"

    page = press.page(*cells, name=hostile, metadata={"title": ACTIVE[0], "language_info": {"name": ACTIVE[0]}})

    assert page.wrong == []
    assert len(page.elements) > 500
    index = Page((press.layer / "index.html").read_text())
    assert index.wrong == []
    assert hostile in index.text


def test_what_a_cell_forgets_to_close_ends_with_it(press: Press) -> None:
    html = press.html(displayed(text_html="<details><table><tr><td><b>open"), v4.new_markdown_cell("# after"))
    assert html.index("</details>") < html.index('id="after"')
    assert html.count("<div") == html.count("</div>")


def test_policy_of_a_page_lets_nothing_in_but_pictures_within_it(press: Press) -> None:
    parts = press.page(v4.new_markdown_cell("x")).policy.split("; ")
    assert [part for part in parts if not part.startswith("style-src")] == [
        *("default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'")
    ]


# --- What is shown --------------------------------------------------------------------------------------------------


def test_page_shows_a_notebook_as_its_author_knows_it(press: Press) -> None:
    picture = press.app / "plots/a b.png"
    picture.parent.mkdir()
    picture.write_bytes(base64.b64decode(PNG))
    (press.root / "outside.png").write_bytes(b"\x89PNG\r\n\x1a\nnot the repository's")
    markdown = (
        "# My *model*\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n[link](https://example.org) $x_1 < y_1$\n\n"
        "![plot](../plots/a%20b.png) ![gone](https://example.org/x.png)\n"
        "![out](../../outside.png) ![it](attachment:it.png)\n\n"
        "<img src='../plots/a b.png' width=30>\n\n```python\nfor x in y: pass\n```"
    )
    table = "<table border=1 class=dataframe><tr><th>0</th><td>seven</td></tr></table>"
    frame = f"<div><style scoped>td {{color: red}}</style>{table}</div>"
    html = press.html(
        v4.new_markdown_cell(markdown, attachments={"it.png": {"image/png": PNG}}),
        v4.new_code_cell("%matplotlib inline\nprint(1 < 2)", execution_count=4),
        displayed(text_html=frame, text_plain="plain frame"),
        displayed(text_html="<style>x</style><input type=checkbox>forms", text_plain="LogisticRegression()"),
        displayed(text_html="<div id=plot></div><script>plot()</script>", image_png=PNG),
        displayed(text_html="<script>plot()</script>"),
        displayed(image_svg=SVG, text_plain="<Figure>"),
        printed("\x1b[1;31mred\x1b[0m & plain\n", "10%\r 50%\r100%\n"),
        printed("x" * 100_050),
        name="notebooks/x.ipynb",
    )
    page = Page(html)
    assert page.wrong == []
    assert '<h1 id="My-model">My <em>model</em></h1>' in html
    assert "<title>My model</title>" in html
    assert '<th class="right">b</th>' in html
    assert '<a href="https://example.org" rel="noopener noreferrer nofollow">link</a>' in html
    assert '<span class="math">$x_1 &lt; y_1$</span>' in html
    assert '<span class="k">for</span>' in html
    assert '<span class="count">[4]</span>' in html
    assert "seven" in page.text
    assert "plain frame" not in page.text
    assert "LogisticRegression()" in page.text
    assert "forms" not in page.text
    assert "can only be seen in Jupyter" in page.text
    assert '<span class="ansi-red ansi-bold">red</span> &amp; plain\n' in html
    assert "100%" in page.text
    assert "50%" not in page.text
    assert "… and 50 more characters" in page.text
    of_repository, svg = f"data:image/png;base64,{PNG}", base64.b64encode(SVG.encode()).decode()
    assert page.sources() == [*[of_repository] * 4, f"data:image/svg+xml;base64,{svg}"]
    assert '<a href="https://example.org/x.png" rel="noopener noreferrer nofollow">gone</a>' in html
    assert "[out]" in page.text


def test_code_mode_shows_nothing_that_a_cell_put_out(press: Press) -> None:
    cell = v4.new_code_cell("train()", execution_count=7, outputs=[v4.new_output("stream", text="a row of data")])
    html = press.html(v4.new_markdown_cell("# Title"), cell, mode="code")
    assert "train" in html
    assert "a row of data" not in html
    assert "[7]" not in html


def test_code_mode_shows_the_parameters_that_a_notebook_ran_with(press: Press) -> None:
    content = v4.new_notebook(cells=[v4.new_code_cell("depth = 2", metadata={"tags": ["parameters"]})])
    notebook = Notebook(name="x.ipynb", cwd="", content=content, parameters={"depth": 11})
    notebooks.publish(press.renderer, "code", [notebook], {}, press.root, press.output)
    text = Page((press.layer / "01-x.html").read_text()).text
    assert "depth = 2" in text
    assert "depth = 11" in text


def test_tags_of_a_cell_withhold_it_or_a_part_of_it(press: Press) -> None:
    parts = {"remove-cell": "none of this", "remove_input": "the source", "remove-output": "the output"}
    cells = [
        v4.new_code_cell(
            f"source of {tag.replace('_', '-')}",
            metadata={"tags": [tag]},
            outputs=[v4.new_output("stream", text=f"output of {tag.replace('_', '-')}")],
        )
        for tag in parts
    ]
    text = press.page(*cells, v4.new_markdown_cell("secret plan", metadata={"tags": ["remove-cell"]})).text
    assert "remove-cell" not in text
    assert "secret plan" not in text
    assert "output of remove-input" in text
    assert "source of remove-input" not in text
    assert "output of remove-output" not in text


def test_secrets_are_blotted_out_of_everything_that_is_text(press: Press) -> None:
    secret, lines = "pa<ss>&word's", "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----"
    press.output.hide([secret, lines])
    split = v4.new_output("stream", text="")
    split["text"] = ["pa<ss", ">&word's\n", "MIIEvQ", "IBADAN\n"]
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><text>MIIEvQIBADAN</text></svg>"
    html = press.html(
        v4.new_markdown_cell(f"# {secret}\n\nmysql://me:hunter2@db/x"),
        v4.new_raw_cell(secret),
        v4.new_code_cell(f"password = {secret!r}", outputs=[split]),
        displayed(text_html="<b>pa&lt;ss&gt;&amp;word&#x27;s</b> pa&lt;ss&gt;&amp;word's", text_plain=secret),
        displayed(text_latex=secret),
        displayed(image_svg=svg),
        v4.new_code_cell("x", outputs=[v4.new_output("error", ename="E", evalue=secret, traceback=[f"E: {secret}"])]),
    )
    page = Page(html)
    everything = page.text + base64.b64decode(page.sources()[0].partition(",")[2]).decode()
    for part in ("word's", "MIIEvQ", "IBADAN", "hunter2"):
        assert part not in everything
        assert part not in html
    assert everything.count("****") >= 8


def test_equal_notebooks_are_equal_pages_and_the_layer_is_left_to_the_image(press: Press) -> None:
    def notebook(start: str) -> Sequence[Any]:
        cell = v4.new_code_cell("run()", execution_count=1, metadata={"execution": {"iopub.execute_input": start}})
        return [v4.new_markdown_cell("# Title", id=f"a{start}"), cell]

    first = press.html(*notebook("10"))
    made = press.layer.with_suffix(".toml").read_text()
    before = {file.name: file.read_bytes() for file in press.layer.iterdir() if file.is_file()}
    press.layer.rename(press.root / "image")
    with pytest.raises(FileNotFoundError):
        press.html(*notebook("11"))
    assert press.layer.with_suffix(".toml").read_text() == made

    press.layer.with_suffix(".toml").unlink()
    assert press.html(*notebook("12")) == first
    assert {file.name: file.read_bytes() for file in press.layer.iterdir() if file.is_file()} == before


def test_renderer_that_fails_ends_the_publishing_and_names_the_notebook(press: Press) -> None:
    job = {"style": "", "style_sha256": "", "index": "index.html", "pages": [{"file": "01-x.html", "name": "x.ipynb"}]}
    with pytest.raises(PublishFailedError) as failure:
        press.renderer.render(job, press.root, press.root)
    assert (failure.value.details or "").startswith("x.ipynb\n")
    assert "KeyError: 'cells'" in (failure.value.details or "")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"schema_version": 2}, "/schema_version"),
        ({"style_sha256": "x'; script-src *"}, "/style_sha256"),
        ({"pages": [{"file": "../manifest.json", "name": "", "title": ""}]}, "/pages/0/file"),
        ({"pages": [{"file": "x.html", "name": ""}]}, "/pages/0/title"),
        ({"pages": "all"}, "/pages"),
    ],
)
def test_contract_that_is_damaged_is_refused_with_the_place(
    tmp_path: Path, change: dict[str, Any], pointer: str
) -> None:
    page = publication.Page(file="01-x.html", name="x.ipynb", title="X")
    publication.Publication(schema_version=1, style_sha256="A" * 43 + "=", pages=(page,)).write(tmp_path)
    assert publication.read(tmp_path).pages == (page,)
    contract = tmp_path / publication.CONTRACT
    contract.write_text(json.dumps({**json.loads(contract.read_text()), **change}))
    with pytest.raises(ManifestError) as refused:
        publication.read(tmp_path)
    assert refused.value.path == pointer
