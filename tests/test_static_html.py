"""The saved output: every text of the run in bare HTML, nothing of the data as a tag, and the run itself beside it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folded import RUNS, load
from generated import streams
from hostile_corpus import ENDS, PAYLOADS, hostile_run
from html_page import LOADER, TAGS, Page, assert_harmless, squeezed
from hypothesis import given
from recordings import EXPECTED, FIXTURES, Expected

from letta_nb import bare, feed, record, static_html, text, words
from letta_nb.entries import ToolCallEntry
from letta_nb.log import Received
from letta_nb.run import Run


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in for the built bundle, so that what is tested here does not hang on the page's build."""
    (tmp_path / "loader.js").write_text(LOADER + "\n")
    (tmp_path / "frozen.js").write_text("the code </script>")
    (tmp_path / "more.js").write_text("more code")
    monkeypatch.setattr(static_html, "_STATIC", tmp_path)
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]


def unpacked(html: str) -> tuple[str, Any, str]:
    """Code, data and run file out of a fragment made with the stand-in."""
    match = re.search(r'<script>boot\("([\w+/=]*)", "([\w+/=]*)", "([\w+/=]*)", "([\w+/=]*)"\)</script>', html)
    assert match is not None
    code, more, data, raw = (gzip.decompress(base64.b64decode(part)).decode() for part in match.groups())
    assert more == "more code"
    return code, json.loads(data), raw


# -- bare --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.name)
def test_every_text_is_in_the_bare_part(expected: Expected) -> None:
    run = record.load_one(expected.path)
    page = Page(bare.html(run))
    assert_harmless(page)
    for entry in run.entries:
        # a long text is cut, and says so
        assert squeezed(words.clean(words.lettered(entry.text)))[:10_000] in page.text
        if isinstance(entry, ToolCallEntry):
            for part in (
                words.lettered(words.unwrapped(entry.result or "")),
                *(entry.stdout or []),
                *words.traceback_of(entry),
            ):
                assert squeezed(words.clean(part))[:10_000] in page.text
            assert (entry.name or "tool") in page.text
    assert words.STATUS[run.status].replace(" ", "") in page.text
    if run.error and run.status == "failed":
        said = (run.error.detail or run.error.message).removeprefix("INTERNAL_SERVER_ERROR: ")
        assert squeezed(words.clean(said))[:1500] in page.text


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


every_end = pytest.mark.parametrize("end", ENDS)


@every_end
@pytest.mark.usefixtures("bundle")
def test_nothing_of_the_data_becomes_markup(end: str) -> None:
    for payload in PAYLOADS:
        run = hostile_run(payload, end)
        page = Page(bare.html(run))
        assert_harmless(page)
        # as what it is: harmless is not left out
        assert squeezed(words.clean(payload)) in page.text
        html = static_html.fragment(run)
        assert html.count("<script>") == html.lower().count("<script") == html.lower().count("</script") == 1
        assert Page(html).tags[-1] == ("script", {})
        _, data, raw = unpacked(html)
        assert data == json.loads(json.dumps(feed.snapshot(run)))
        assert raw == record.text_of(run)
        html.encode()


@pytest.mark.usefixtures("bundle")
def test_a_page_of_its_own_holds_no_other_tags_either() -> None:
    expected = [tag for tag, _ in Page(shell(static_html.to_html(Run()))).tags]
    for payload in PAYLOADS:
        whole = static_html.to_html(hostile_run(payload))
        page = Page(shell(whole))
        assert [tag for tag, _ in page.tags if tag not in TAGS] == [tag for tag in expected if tag not in TAGS]
        assert whole.count("<title>") == whole.lower().count("</title") == 1


def shell(html: str) -> str:
    """Without the tags that stay open by the rules of HTML."""
    return re.sub(r"<!doctype html>|<meta[^>]*>", "", html)


def test_the_corpus_reaches_every_field() -> None:
    asked: set[str] = set()

    def mark(field: str) -> str:
        asked.add(field)
        return f"«{field}»"

    for end in ENDS:
        run = hostile_run(mark, end)
        assert run.status == end
        assert {"tool_call", "reasoning", "hidden_reasoning", "summary", "compaction", "unknown"} <= {
            entry.kind for entry in run.entries
        }
        kept = record.text_of(run)
        told = repr(feed.snapshot(run))
        for field in (
            "prompt",
            "call 1 name",
            "content",
            "summary",
            "run agent_name",
            "run model",
            "run server",
        ):
            assert f"«{field}»" in told
        assert all(f"«{field}»" in kept for field in asked)
        asked.clear()


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


@pytest.mark.parametrize(("steps", "size"), [(300, 9_000), (20_000, 10), (20, 30_000)])
def test_a_run_of_very_many_steps_keeps_its_first_and_last_and_says_so(steps: int, size: int) -> None:
    run = Run()
    for number in range(steps):
        event = {"message_type": "reasoning_message", "id": f"message-{number}", "reasoning": f"{number} " + "x" * size}
        run.receive(Received(-1, "", json.dumps(event)))
    html = bare.html(run)
    assert len(html) < 300_000
    (cut,) = re.findall(r"… ([\d,]+) steps? more, in run\.entries<", html)
    shown = [int(number) for number in re.findall(r"Step (\d+)</strong>", html)]
    assert len(shown) + int(cut.replace(",", "")) == steps
    assert (shown[0], shown[-1]) == (1, steps)
    assert shown == sorted(shown)
    assert_harmless(Page(html))


# -- fragment and page -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bundle")
def test_the_fragment_holds_the_run() -> None:
    run = RUNS["multi2_tok_server"]
    html = static_html.fragment(run)
    assert html.startswith('<div class="lnb-out"><div class="lnb-bare"><p')
    assert html.endswith("</script></div>")
    code, data, raw = unpacked(html)
    assert code == "the code </script>"
    assert data == json.loads(json.dumps(feed.snapshot(run)))
    assert raw == record.text_of(run)


@pytest.mark.usefixtures("bundle")
def test_the_run_file_is_left_out_where_it_is_large_and_the_view_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RUNS["multi2_tok_server"]
    _, data, raw = unpacked(static_html.fragment(run))
    packed = len(static_html.fragment(run)) - len(static_html.fragment(run, raw_max=0))
    assert unpacked(static_html.fragment(run, raw_max=packed))[2] == raw
    for limit in (packed - 1, packed // 2, 100, 0):
        assert unpacked(static_html.fragment(run, raw_max=limit))[1:] == (data, "")
    # a page of its own is no part of a notebook
    monkeypatch.setattr(static_html, "_RAW_MAX", 0)
    assert unpacked(static_html.fragment(run, raw_max=0))[2] == ""
    assert unpacked(static_html.to_html(run))[2] == raw


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
@pytest.mark.parametrize("uid", ["3704fe95", "x </style><script>", "a b", "*"])
def test_what_stands_beside_a_widget_hides_for_that_widget_alone(uid: str) -> None:
    run = RUNS["toolerr_tok"]
    loaded = Run(run.request, uid=uid)
    for received in run.log or []:
        loaded.receive(received)
    html = static_html.spare(loaded)
    named = "3704fe95" if uid == "3704fe95" else ""
    assert html.startswith(f'<div class="lnb-spare lnb-spare-{named}"><style>:root:has(.lnb-live-{named}) .lnb-spare-')
    assert html.count("<style>") == html.count("</style>") == 1


@pytest.mark.usefixtures("bundle")
def test_a_page_of_its_own_that_may_fetch_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    html = str(RUNS["multi_tok"].to_html())
    assert RUNS["multi_tok"].to_html(path) == path
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
        if "text" in change and "marks" in change:
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


@pytest.mark.parametrize(
    "loader",
    [
        "boot()",
        'x("</script>", "__CODE__", "__MORE__", "__DATA__", "__RAW__")',
        'boot("__CODE__", "__DATA__")',
        LOADER * 2,
    ],
)
def test_a_loader_that_cannot_work_is_refused(loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loader.js").write_text(loader)
    for name in ("frozen.js", "more.js"):
        (tmp_path / name).write_text("")
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


def test_memory_is_cut_with_the_texts_of_a_very_large_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(record=True)
    run.end(1)
    long, blocks = "remember " * 50_000, {"label": "human", "limit": None}
    run.join_server({"memory": {"before": [{**blocks, "value": "short"}], "after": [{**blocks, "value": long}]}})
    monkeypatch.setattr(static_html, "_DATA_MAX", 2000)
    packed = static_html._fitting(feed.snapshot(run))
    assert packed is not None
    told = [
        change["set"]["memory"]
        for change in json.loads(gzip.decompress(base64.b64decode(packed)))["changes"]
        if change["set"].get("memory")
    ]
    (block,) = told[-1]
    assert block["before"] == "short"
    assert block["after"].startswith("remember remember")
    assert block["after"].endswith("more, in run.memory")
    assert block["edits"][-1]["text"] == block["after"]
