"""The page at `/`, as whoever opens it sees it."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, Route, expect
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.scorer.conftest import NewImage, Serve, built
from tests.scorer.image import Image
from tests.scorer.page.conftest import Look
from tests.support.service import Service

MARKUP = "<img src=x onerror=alert(1)>"
KINDS = ("spam", "flowers", "houses")


@pytest.fixture(scope="module")
def hostile(new_image: NewImage, serve: Serve) -> Iterator[Service]:
    """A model whose column, categories, classes, step, notebook and name are markup."""
    frame = pd.DataFrame({MARKUP: ["<b>x</b>", "y", "<b>x</b>", "y"], "size": [1.0, 2.0, 1.5, 2.5]})
    steps = make_pipeline(
        ColumnTransformer([(MARKUP, OneHotEncoder(), [MARKUP]), ("size", StandardScaler(), ["size"])]),
        LogisticRegression(),
    )
    image = built(new_image(), [steps.fit(frame, [MARKUP, "fine", MARKUP, "fine"])], frame)
    manifest = json.loads(image.manifest_file.read_text())
    image.edit_manifest(name=MARKUP, stages=[{**manifest["stages"][0], "notebook": f"{MARKUP}.ipynb"}])
    with serve(image) as service:
        yield service


@pytest.fixture(params=KINDS)
def each_kind(request: pytest.FixtureRequest) -> Service:
    service: Service = request.getfixturevalue(request.param)
    return service


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict", exact=True).click()
    page.locator(".answer").wait_for()


def snippet(page: Page, language: str) -> str:
    page.get_by_role("tab", name=language, exact=True).click()
    return page.get_by_role("region", name=f"Snippet for {language}", exact=True).inner_text()


def sent(page: Page) -> Any:
    """Return the rows that the form stands for."""
    text = page.locator("#snippets code").first.text_content() or ""
    return json.loads(text.partition("-d '")[2].rpartition("' \\")[0])


# --- A prediction ---------------------------------------------------------------------------------------------------


def test_text_is_predicted_with_the_probability_of_each_class(look: Look, spam: Service) -> None:
    page = look(spam)
    expect(page).to_have_title("a-model: classifier")
    page.get_by_label("Text").fill("tasty chips")
    predict(page)
    answer = spam.request(
        "POST", "/predict?probabilities=true", '["tasty chips"]', {"Content-Type": "application/json"}
    ).json()[0]
    assert page.locator(".prediction").inner_text() == answer["prediction"] == "spam"
    shown = page.locator("#result .bars li").all_inner_texts()
    shares = sorted(answer["probabilities"].items(), key=lambda each: -each[1])
    assert shown == [f"{label}\n{share * 100:.1f} %" for label, share in shares]
    expect(page.locator(".took")).to_contain_text("1 row in ")


def test_numbers_by_position_are_predicted(look: Look, flowers: Service) -> None:
    page = look(flowers)
    for position, value in enumerate(["6.3", "3.3", "6.0", "2.5"]):
        page.get_by_label(str(position), exact=True).fill(value)
    predict(page)
    assert page.locator(".prediction").inner_text() == "virginica"


def test_columns_are_predicted_and_a_number_is_shown_readably(look: Look, houses: Service) -> None:
    page = look(houses)
    row = {"rooms": 5, "area": 120.0, "town": "Jena", "garden": False}
    page.get_by_label("rooms").fill("5")
    page.get_by_label("area").fill("120.0")
    page.get_by_label("town").fill("Jena")
    page.get_by_label("garden").select_option("false")
    assert sent(page) == [row]
    predict(page)
    (value,) = houses.predict([row])
    assert page.locator(".prediction").inner_text() == f"{value:.7g}"


def test_what_is_left_empty_is_missing_and_unused_columns_are_folded_away(look: Look, houses: Service) -> None:
    page = look(houses)
    expect(page.get_by_label("owner")).to_be_hidden()
    page.get_by_label("area").fill("")
    page.get_by_label("town").fill("")
    page.get_by_label("garden").select_option("true")
    page.get_by_label("rooms").fill("3")
    assert sent(page) == [{"rooms": 3, "area": None, "town": None, "garden": True}]
    predict(page)
    page.get_by_text("2 columns that the model doesn't use").click()
    page.get_by_label("owner").fill("A")
    assert sent(page)[0]["owner"] == "A"
    page.get_by_role("button", name="Put the example back").click()
    assert sent(page) == [houses.get("/metadata").json()["example"]]


def test_known_categories_are_suggested(look: Look, houses: Service) -> None:
    page = look(houses)
    options = page.locator("datalist option")
    expect(options).to_have_count(2)  # The form is made after the page has come.
    assert options.evaluate_all("all => all.map(each => each.value)") == ["Jena", "Ulm"]
    assert page.get_by_label("town").get_attribute("list") == page.locator("datalist").get_attribute("id")


def test_whole_number_beyond_those_of_javascript_is_sent_as_it_is_written(look: Look, flowers: Service) -> None:
    page = look(flowers)
    page.get_by_label("0", exact=True).fill("9007199254740993")
    assert "9007199254740993" in snippet(page, "Python")


def test_wrong_value_is_explained_at_its_field(look: Look, houses: Service) -> None:
    page = look(houses)
    field = page.get_by_label("area")
    field.fill("many")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    refused = houses.post("/predict", json_body=sent(page)).json()
    assert refused["pointer"] == "/0/area"
    expect(field).to_have_accessible_description(refused["error"])
    assert page.locator(".error:visible").all_inner_texts() == [refused["error"]]
    field.fill("70.5")
    predict(page)
    expect(field).not_to_have_attribute("aria-invalid", "true")
    assert page.locator(".error:visible").count() == 0


def test_rows_of_any_spelling_are_answered_as_a_table(look: Look, spam: Service) -> None:
    page = look(spam)
    page.get_by_role("tab", name="JSON", exact=True).click()
    page.get_by_label("Rows").fill('[["tasty chips"], ["my lord"]]')
    predict(page)
    rows = page.locator("#result tbody tr")
    expect(rows).to_have_count(2)
    assert page.locator("#result thead").inner_text().split() == ["Row", "Prediction", "legitimate", "spam"]
    assert [row.split("\t")[:2] for row in rows.all_inner_texts()] == [["0", "spam"], ["1", "legitimate"]]
    expect(page.locator(".took")).to_contain_text("2 rows in ")


def test_wrong_row_of_several_is_named(look: Look, spam: Service) -> None:
    page = look(spam)
    page.get_by_role("tab", name="JSON", exact=True).click()
    page.get_by_label("Rows").fill('["tasty", 5]')
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator(".error:visible")).to_contain_text("(at /1)")
    expect(page.get_by_label("Rows")).to_be_focused()
    page.get_by_label("Rows").fill('["tasty"')
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator(".error:visible")).to_contain_text("The input is not JSON")


# --- What it is, and what was counted -------------------------------------------------------------------------------


def test_pipeline_is_drawn_with_branches_columns_and_parameters(look: Look, houses: Service) -> None:
    page = look(houses)
    diagram = page.locator("#pipeline")
    assert diagram.locator(".title strong").all_inner_texts() == [
        *("ColumnTransformer", "SimpleImputer", "Pipeline", "SimpleImputer", "OneHotEncoder", "passthrough"),
        *("drop", "LinearRegression"),
    ]
    expect(diagram.get_by_text("rooms, area")).to_be_visible()
    expect(diagram.get_by_text("'most_frequent'")).to_be_hidden()
    diagram.get_by_text("1 parameter").first.click()
    expect(diagram.get_by_text("'most_frequent'")).to_be_visible()


def test_counts_follow_while_somebody_looks(look: Look, houses: Service) -> None:
    page = look(houses, is_open=False)
    page.clock.install()
    page.goto(f"http://127.0.0.1:{houses.port}/")
    answered = page.locator("#counts dd").first
    before = int(answered.inner_text().replace(",", ""))
    row = {"rooms": 5, "area": 120.0, "town": "Jena", "garden": False}
    values = houses.predict([row, row])
    page.clock.run_for(6000)
    expect(answered).to_have_text(f"{before + 1:,}")
    assert 100 < values[0] < 300
    expect(page.locator("#counts")).to_contain_text("100 to 300")
    page.route("**/metrics", lambda route: route.fulfill(status=401, body=""))
    page.clock.run_for(6000)
    expect(page.locator("#counts-note")).to_have_text("These counts are old: the service didn't answer.")
    expect(page.locator("#token")).to_be_hidden()


# --- Snippets -------------------------------------------------------------------------------------------------------

TEXT = 'it\'s $HOME, "tasty"; `chips` \\ & more\nök 😀'


def words_of(command: str) -> list[str]:
    """Return the arguments that a shell gives to curl."""
    program = f'curl() {{ printf "%s\\0" "$@"; }}\n{command}'
    shell = subprocess.run(
        ["sh", "-c", program], capture_output=True, text=True, check=True, env={"NACHLASS_TOKEN": "t"}
    )
    return shell.stdout.split("\0")[:-1]


def test_snippets_ask_what_the_form_asks(look: Look, spam: Service) -> None:
    page = look(spam)
    page.get_by_label("Text").fill(TEXT)
    url = f"http://127.0.0.1:{spam.port}/predict?probabilities=true"
    *options, body, target = words_of(snippet(page, "curl"))
    assert (options, target) == (["-H", "Content-Type: application/json", "-d"], url)
    assert json.loads(body) == [TEXT]
    option, field, target = words_of(snippet(page, "curl, form"))
    assert (option, target) == ("--data-urlencode", url)
    assert json.loads(field.removeprefix("json_args=")) == [TEXT]
    printed: list[Any] = []
    exec(compile(snippet(page, "Python"), "snippet", "exec"), {"print": printed.append})
    assert (
        printed[0]
        == spam.request("POST", urllib.parse.urlsplit(url).path + "?probabilities=true", form_of(TEXT), FORM).json()
    )


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def form_of(text: str) -> str:
    return urllib.parse.urlencode({"json_args": json.dumps([text])})


def test_python_snippet_has_the_values_of_python(look: Look, houses: Service) -> None:
    page = look(houses)
    page.get_by_label("town").fill("true null")
    page.get_by_label("area").fill("")
    page.get_by_label("garden").select_option("true")
    assert '"area": None, "town": "true null", "garden": True' in snippet(page, "Python")


def test_snippet_is_copied(look: Look, spam: Service) -> None:
    page = look(spam, permissions=["clipboard-read", "clipboard-write"])
    shown = snippet(page, "curl, form")
    page.get_by_role("button", name="Copy the snippet for curl, form").press("Enter")
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == shown


# --- A service that asks for a token --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(spam_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(spam_image, NACHLASS_TOKEN="s3cret") as service:
        yield service


def test_token_is_asked_for_and_kept_by_the_page_alone(look: Look, guarded: Service) -> None:
    page = look(guarded)
    field = page.get_by_label("Token", exact=True)
    expect(field).to_be_focused()
    assert field.get_attribute("type") == "password"
    expect(page.locator("main")).to_be_hidden()
    for wrong, complaint in (
        ("", "Enter the token."),
        ("schlüssel", "can't be a token"),
        ("other", "doesn't know that"),
    ):
        field.fill(wrong)
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#token-error")).to_contain_text(complaint)
    field.fill("s3cret")
    field.press("Enter")
    predict(page)
    expect(page.locator("#token")).to_be_hidden()
    expect(page.locator("#counts")).to_contain_text("Predictions by class")
    for language in ("curl", "curl, form"):
        words = words_of(snippet(page, language))
        assert words[words.index("-H", 2 if language == "curl" else 0) + 1] == "Authorization: Bearer t"
    assert "os.environ['NACHLASS_TOKEN']" in snippet(page, "Python")
    assert "s3cret" not in page.content() + page.url
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    with page.expect_download() as download:
        page.get_by_role("link", name="Metadata").click()
    assert json.loads(download.value.path().read_text())["name"] == "a-model"
    page.reload()
    expect(page.get_by_label("Token", exact=True)).to_have_value("")


# --- Everybody ------------------------------------------------------------------------------------------------------


def test_keyboard_is_enough(look: Look, flowers: Service) -> None:
    page = look(flowers)
    page.locator("main").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the form")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Form", exact=True)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Rows")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Rows")).to_be_hidden()
    for value in ("4.9", "3.0", "1.4", "0.2"):
        page.keyboard.press("Tab")
        page.keyboard.press("Control+a")
        page.keyboard.type(value)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".prediction")).to_have_text("setosa")
    assert page.locator("#result").get_attribute("aria-live") == "polite"


def test_names_of_others_are_text(look: Look, hostile: Service) -> None:
    page = look(hostile)
    field = page.get_by_label(MARKUP)
    field.fill("<b>x</b>")
    predict(page)
    assert page.locator(".prediction").inner_text() == MARKUP
    page.get_by_role("tab", name="JSON", exact=True).click()
    page.get_by_label("Rows").fill(json.dumps([{MARKUP: "y", "size": 2.0}, {MARKUP: "y", "size": 1.0}]))
    predict(page)
    shown = page.locator("body").inner_text()
    assert shown.count(MARKUP) >= 5
    assert page.locator("h1").inner_text() == MARKUP
    expect(page.locator("#counts")).to_contain_text(MARKUP)
    expect(page.locator("#pipeline")).to_contain_text(f"{MARKUP}.ipynb")
    assert page.locator("img, b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_window_holds_the_page_and_all_text_can_be_read(look: Look, each_kind: Service, scheme: Any) -> None:
    page = look(each_kind, viewport={"width": 320, "height": 640}, color_scheme=scheme, reduced_motion="reduce")
    predict(page)
    page.locator("#counts .bars, #counts .hint").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert (luminance_of(page, "body") > 0.5) == (scheme == "light")
    assert page.evaluate(FAINT_TEXT) == []
    assert page.evaluate(NAMELESS) == []


def luminance_of(page: Page, selector: str) -> float:
    color = page.locator(selector).evaluate("each => getComputedStyle(each).backgroundColor")
    return float(np.mean([int(part) for part in color.strip("rgb()").split(",")]) / 255)


# Text whose contrast is less than WCAG 2.2 asks for at level AA.
FAINT_TEXT = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => value / 255).map((value) =>
      value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = parse(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility())
    .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((each) => {
      const style = getComputedStyle(each);
      const [one, other] = [luminance(parse(style.color)), luminance(behind(each))].sort((a, b) => b - a);
      const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
      return { text: each.textContent.trim().slice(0, 40), contrast: (one + 0.05) / (other + 0.05), least };
    })
    .filter(({ contrast, least }) => contrast < least);
}"""

# What can be used and has no name to be called by.
NAMELESS = """() => [...document.querySelectorAll("input, select, textarea, button, a")]
  .filter((each) => each.checkVisibility())
  .filter((each) => ![...(each.labels ?? [])].some((label) => label.textContent.trim()))
  .filter((each) => !each.getAttribute("aria-label") && !each.textContent.trim())
  .map((each) => each.outerHTML)"""


def test_page_works_below_a_prefix(look: Look, spam: Service) -> None:
    page = look(spam, is_open=False)
    prefix = f"http://127.0.0.1:{spam.port}/models/spam"

    def forward(route: Route) -> None:
        answer = route.fetch(url=route.request.url.replace(prefix, f"http://127.0.0.1:{spam.port}"))
        route.fulfill(response=answer)

    page.route(f"{prefix}/**", forward)
    page.goto(f"{prefix}/")
    predict(page)
    expect(page.locator("#counts")).to_contain_text("Predictions by class")
    assert f"{prefix}/predict" in snippet(page, "curl")


def test_service_that_is_gone_is_told(look: Look, spam: Service) -> None:
    page = look(spam)
    page.locator("main").wait_for()
    page.route("**/predict*", lambda route: route.fulfill(status=503, json={"error": "Too many wait.", "code": "busy"}))
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#result .notice")).to_contain_text("Too many wait.")
