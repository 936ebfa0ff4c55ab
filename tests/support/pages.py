"""What may be in a published page, as a reader that trusts nobody sees it: elements, attributes, addresses, style."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

FRAME = {"html", "head", "meta", "title", "style", "body", "header", "main", "footer"}
CONTENT = {
    *(
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "div",
    ),
    *("dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd"),
    *("li", "mark", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strong", "sub", "summary", "sup"),
    *("table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var"),
}
ATTRIBUTES = {"alt", "charset", "class", "colspan", "content", "height", "href", "http-equiv", "id", "lang", "name"} | {
    *("rel", "rowspan", "src", "start", "title", "width")
}
METAS = {"Content-Security-Policy", "viewport", None}
INLINE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/]+=*")
LINK = re.compile(r"(\./|\d\d-[A-Za-z0-9-]+\.html|(https?://|mailto:|#).*)", re.DOTALL)


class Page(HTMLParser):
    """A page, taken apart. `wrong` lists what must not be in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.policy = ""
        self._inside = ""
        self.feed(text)
        self.close()
        names = "|".join(sorted(FRAME | CONTENT))
        # Whatever a browser makes of broken markup, it begins with one of these.
        stray = re.findall(rf"<(?!/?(?:{names})[ >])(?!!DOCTYPE html>).{{0,40}}", text, re.DOTALL)
        self.wrong += [f"stray {each!r}" for each in stray]
        digest = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        if [tag for tag, _ in self.elements].count("style") != 1 or f"style-src 'sha256-{digest}'" not in self.policy:
            self.wrong.append("a style that the policy does not know")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in FRAME | CONTENT:
            self.wrong.append(f"<{tag}>")
        self.wrong += [f"{tag} {name}" for name in attributes if name not in ATTRIBUTES]
        if "src" in attributes and not (tag == "img" and INLINE.fullmatch(attributes["src"] or "")):
            self.wrong.append(f"{tag} src={attributes['src']}")
        if "href" in attributes and not (tag == "a" and LINK.fullmatch(attributes["href"] or "")):
            self.wrong.append(f"{tag} href={attributes['href']}")
        if tag == "meta" and (attributes.get("http-equiv") or attributes.get("name")) not in METAS:
            self.wrong.append(f"meta {attributes}")
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"] or ""

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"comment {data!r}")

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data
        else:
            self.text += data

    def sources(self) -> list[str]:
        """Return the addresses of the pictures."""
        return [str(attributes["src"]) for _, attributes in self.elements if "src" in attributes]

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}
