"""The saved output: every text of the run in bare HTML, nothing of the data as a tag, and the run itself beside it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from recordings import EXPECTED, FIXTURES, Expected
from test_phases import RUNS, load
from test_run import streams

from letta_nb import bare, feed, record, static_html, text, words
from letta_nb.entries import ToolCallEntry
from letta_nb.log import Received
from letta_nb.run import Run

TAGS = set("div p strong em br pre code details summary table tr th td span".split())
STYLES = re.compile(
    r"(margin:[-0-9px ]+|opacity:\.72|line-height:1\.5|text-align:left|vertical-align:top)(;(?=\w)|;?$)"
)
LOADER = 'boot("__CODE__", "__DATA__")'


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


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in for the built bundle, so that what is tested here does not hang on the page's build."""
    (tmp_path / "loader.js").write_text(LOADER + "\n")
    (tmp_path / "frozen.js").write_text("the code </script>")
    monkeypatch.setattr(static_html, "_STATIC", tmp_path)
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]


def unpacked(html: str) -> tuple[str, Any]:
    """Code and data out of a fragment made with the stand-in."""
    match = re.search(r'<script>boot\("([\w+/=]*)", "([\w+/=]*)"\)</script>', html)
    assert match is not None
    code, data = (gzip.decompress(base64.b64decode(part)).decode() for part in match.groups())
    return code, json.loads(data)


# -- bare --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.name)
def test_every_text_is_in_the_bare_part(expected: Expected) -> None:
    run = record.load_one(expected.path)
    page = Page(bare.html(run))
    assert_harmless(page)
    for entry in run.entries:
        # a long text is cut, and says so
        assert squeezed(words.clean(entry.text))[:10_000] in page.text
        if isinstance(entry, ToolCallEntry):
            for part in (words.unwrapped(entry.result or ""), *(entry.stdout or []), *words.traceback_of(entry)):
                assert squeezed(words.clean(part))[:10_000] in page.text
            assert (entry.name or "tool") in page.text
    assert words.STATUS[run.status].replace(" ", "") in page.text
    if run.error and run.status == "failed":
        assert squeezed(words.clean(run.error.detail or run.error.message))[:1500] in page.text


def test_the_picture_of_the_design() -> None:
    html = bare.html(RUNS["multi2_tok_server"])
    assert html.startswith(
        '<p style="margin:8px 0 0"><strong>Completed</strong> letta_v1_agent, gpt-4o-mini. '
        "12.3 s, 4 steps, 7,950 tokens in (512 cached), 54 out (22 reasoning)."
        '<br><span style="opacity:.72">Tools 11.4 s (93%), waiting 372 ms, unattributed 220 ms, arguments 96 ms, '
        "reasoning 90 ms, answer 48 ms.</span></p>"
    )
    assert "1   get_weather  ·━━━━━━━━━━━━━                                  3.76 s" in html
    assert '<strong>Step 1</strong> <span style="opacity:.72">3.76 s, 1,841 in, 12 out</span>' in html
    assert "→ {&quot;city&quot;: &quot;Paris&quot;, &quot;temp_c&quot;: 21}</code> " in html
    assert "<strong>Done: weather, die and lookup complete.</strong></p>" in html


def test_a_failed_call_is_open_with_its_error_first() -> None:
    html = bare.html(load("0.16.8/v1_toolerr_tok"))
    (table,) = re.findall(r"<details open.*?</details>", html, re.DOTALL)
    rows = re.findall(r'<th scope="row"[^>]*>([^<]*)</th>', table)
    assert rows == ["Error", "Arguments", "Traceback", "stdout", "stderr"]
    assert "<details open" not in bare.html(load("0.16.8/v1_multi_tok"))


def test_paragraphs_code_and_tables_survive_without_styles() -> None:
    run = Run()
    answer = "Look:\n\n```python\nif a < b:\n    c()\n```\nand\n\n|a|b|\n|-|-|\n|1|2|\n\nend\nof it"
    event = {"message_type": "assistant_message", "id": "message-1", "content": answer}
    run.receive(Received(-1, "", json.dumps(event)))
    html = bare.html(run)
    assert '<pre style="margin:8px 0 0">\nif a &lt; b:\n    c()</pre>' in html
    assert "\n|a|b|\n|-|-|\n|1|2|</pre>" in html
    assert "<strong>end<br>of it</strong>" in html


HOSTILE = (
    '"><script>alert(1)</script>',
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</pre></details></div><iframe src=//evil></iframe>",
    "<!--",
    "&lt;b&gt;&#60;b&#62;",
    "javascript:alert(1) [x](javascript:alert(1)) ![x](http://evil/x.png)",
    "{{constructor}} ${x} \x00 \ud800 \x1b[31m __CODE__ __DATA__",
    "```\n</pre><script>\n```\n| <script> |",
)


def hostile_run(payload: str) -> Run:
    """The payload in every field that a server, a model, a tool or a person can write."""
    run = Run(
        {"messages": [{"role": "user", "content": payload}, {"role": "system", "content": payload}]},
        agent_id=payload,
        agent_name=payload,
        model=payload,
        server=payload,
    )
    ids = {"id": payload, "otid": payload, "step_id": payload, "run_id": payload, "name": payload}
    call = {"name": payload, "arguments": payload, "tool_call_id": payload}
    events: list[dict[str, Any]] = [
        {**ids, "message_type": "reasoning_message", "reasoning": payload},
        {**ids, "message_type": "hidden_reasoning_message", "state": payload},
        {**ids, "message_type": "tool_call_message", "tool_call": call, "tool_calls": call},
        {
            **ids,
            "message_type": "tool_return_message",
            "tool_return": payload,
            "status": "error",
            "tool_call_id": payload,
            "stdout": [payload],
            "stderr": [payload, "Traceback (most recent call last)", payload],
        },
        {**ids, "message_type": "approval_request_message", "tool_call": {**call, "tool_call_id": "2" + payload}},
        {**ids, "otid": "2", "message_type": "assistant_message", "content": payload},
        {**ids, "message_type": "summary_message", "summary": payload, "compaction_stats": {"trigger": payload}},
        {**ids, "message_type": payload},
        {"message_type": "stop_reason", "stop_reason": payload},
        {"message_type": "error_message", "error_type": payload, "message": payload, "detail": payload},
    ]
    for number, event in enumerate(events):
        data = json.dumps(event).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        run.receive(Received(number * 1_000_000, "", data.replace("\\ud800", "?")))
    run.end(20_000_000)
    return run


@pytest.mark.parametrize("payload", HOSTILE)
@pytest.mark.usefixtures("bundle")
def test_nothing_of_the_data_becomes_markup(payload: str) -> None:
    run = hostile_run(payload)
    page = Page(bare.html(run))
    assert_harmless(page)
    html = static_html.fragment(run)
    assert html.count("<script>") == html.count("</script>") == 1
    assert Page(html).tags[-1][0] == "script"
    html.encode()
    whole = Page(
        re.sub(r"<!doctype html>|<(meta|/?html|/?head|/?body|/?title|/?style)[^>]*>", "", static_html.to_html(run))
    )
    assert [tag for tag, _ in whole.tags].count("script") == 1


@given(streams)
def test_any_stream_makes_harmless_html(stream: list[str]) -> None:
    run = Run()
    for number, data in enumerate(stream):
        run.receive(Received(number, "", data))
    assert_harmless(Page(bare.html(run)))
    run.end(len(stream))
    assert_harmless(Page(bare.html(run)))
    assert text.transcript(run)


def test_long_texts_are_cut_and_say_so() -> None:
    run = Run({"messages": [{"role": "user", "content": "y" * 56_000}]})
    html = bare.html(run)
    assert "… 36 kB more, in run.entries[0].text" in html
    assert len(html) < 25_000


def test_a_run_of_very_many_steps_is_cut_and_says_so() -> None:
    run = Run()
    for number in range(300):
        event = {"message_type": "reasoning_message", "id": f"message-{number}", "reasoning": "x" * 9_000}
        run.receive(Received(-1, "", json.dumps(event)))
    html = bare.html(run)
    assert re.search(r"… \d+ steps more, in run\.entries<", html)
    assert len(html) < 1_100_000


# -- fragment and page -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bundle")
def test_the_fragment_holds_the_run() -> None:
    run = RUNS["multi2_tok_server"]
    html = static_html.fragment(run)
    assert html.startswith('<div class="lnb-out"><div class="lnb-bare"><p')
    assert html.endswith("</script></div>")
    code, data = unpacked(html)
    assert code == "the code </script>"
    assert data == json.loads(json.dumps(feed.snapshot(run)))


@pytest.mark.usefixtures("bundle")
def test_the_same_run_is_the_same_output() -> None:
    run = RUNS["toolerr_tok"]
    assert static_html.fragment(run) == static_html.fragment(run)


@pytest.mark.usefixtures("bundle")
def test_while_it_runs_there_is_no_script() -> None:
    whole = load("0.16.8/v1_multi_tok")
    run = whole.blank(record=True)
    assert "<strong>Running</strong>" in static_html.running_fragment(run)
    for received in (whole.log or [])[:30]:
        run.receive(received)
    html = static_html.running_fragment(run)
    assert "<script" not in html
    assert "Step one: look up the weather." in html


@pytest.mark.usefixtures("bundle")
def test_a_page_of_its_own_that_may_fetch_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    html = static_html.to_html(RUNS["multi_tok"], path)
    assert path.read_text(encoding="utf-8") == html
    assert html.startswith("<!doctype html>")
    assert "<title>SCN:multi please</title>" in html
    assert "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:" in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert unpacked(html)[1]["changes"]
    assert "//" not in re.sub(r"<script>.*</script>", "", html, flags=re.DOTALL)


@pytest.mark.usefixtures("bundle")
def test_a_very_large_run_keeps_its_view_with_texts_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_html, "_DATA_MAX", 1_800)
    run = load("0.16.8/v1_longjson_step")
    changes = unpacked(static_html.fragment(run))[1]["changes"]
    (result,) = [change["set"]["result"] for change in changes if "result" in change.get("set", {})]
    assert re.search(r"\n… \d+ kB more, in run.entries\[2\].result$", result)
    monkeypatch.setattr(static_html, "_DATA_MAX", 3_000)
    run = load("0.16.8/v1_long_tok")
    changes = unpacked(static_html.fragment(run))[1]["changes"]
    for change in changes:
        if change["op"] == "text" and change["marks"]:
            lengths = change["marks"][1::2]
            assert lengths == sorted(lengths)
            assert lengths[-1] == len(change["text"])
    assert sum(len(change.get("text", "")) for change in changes) < len(run.text)


@pytest.mark.usefixtures("bundle")
def test_what_is_too_large_even_so_has_no_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_html, "_DATA_MAX", 100)
    html = static_html.fragment(RUNS["multi_tok"])
    assert "<script" not in html
    assert "too large to keep its interactive view here" in html
    assert "Done: weather" in html


@pytest.mark.usefixtures("bundle")
def test_a_run_that_kept_no_events_is_bare() -> None:
    whole = load("0.16.8/v1_multi_tok")
    run = whole.blank()
    for received in whole.log or ():
        run.receive(Received(*received))
    run.end(whole.ended_at)
    html = static_html.fragment(run)
    assert "Done: weather" in html
    assert "<script" not in html
    assert "too large" not in html


@pytest.mark.parametrize("loader", ["boot()", 'x("</script>", "__CODE__", "__DATA__")', LOADER * 2])
def test_a_loader_that_cannot_work_is_refused(loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loader.js").write_text(loader)
    (tmp_path / "frozen.js").write_text("")
    monkeypatch.setattr(static_html, "_STATIC", tmp_path)
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(ValueError, match=r"loader\.js"):
        static_html.fragment(RUNS["multi_tok"])


def test_the_package_ships_the_view() -> None:
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]
    html = static_html.fragment(load("0.16.8/v1_hello_tok"))
    assert html.count("<script>") == 1
    assert "__CODE__" not in html
    assert FIXTURES.exists()
