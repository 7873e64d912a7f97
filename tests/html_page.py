"""A page as a browser reads it, and what may be in one."""

from __future__ import annotations

import re
from html.parser import HTMLParser

TAGS = set("div p strong em br pre code details summary table tr th td span".split())
STYLES = re.compile(
    r"((?:margin|padding):[-0-9px ]+|opacity:\.72|line-height:1\.5|text-align:left|vertical-align:top)(;(?=\w)|;?$)"
)
LOADER = 'boot("__CODE__", "__MORE__", "__DATA__", "__RAW__")'


class Page(HTMLParser):
    """What a browser would make of it: the tags with their attributes, and the text a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    @property
    def text(self) -> str:
        return squeezed("".join(self.words))


def squeezed(source: str) -> str:
    """Without white space, which HTML and the layout of JSON change."""
    return "".join(source.split())


def assert_harmless(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag in TAGS
        assert set(attributes) <= {"style", "class", "open", "scope"}
        assert attributes.get("class") in (None, "lnb-out", "lnb-bare")
        for style in (attributes.get("style") or "").split(";"):
            assert not style or STYLES.fullmatch(style), style
