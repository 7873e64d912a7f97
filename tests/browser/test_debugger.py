"""The debugger in a real JupyterLab: time travel, search, raw events, what is taken out of a run, comparisons.

While a kernel is there, after it is gone, and as a page of its own. And what an agent writes stays text everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Jupyter, Notebook
from hostile_corpus import PAYLOADS
from playwright.sync_api import Browser, Locator, Page, expect
from scenes import LOAD, has_status, is_frozen, talker

import letta_nb

Open = Callable[..., Notebook]
RECORDED = Path(__file__).resolve().parent.parent / "fixtures/0.16.8"
# a real server's run of four steps and 16 s
SHOW = f"{LOAD}\nrun = letta_nb.load({str(RECORDED / 'v1_multi_tok.sse')!r})\nrun.show()"


def moment(view: Locator) -> Locator:
    return view.get_by_role("slider", name="Moment")


def drag(view: Locator, to: float) -> None:
    """Drag the scrubber to a fraction of the run's time."""
    page = view.page
    moment(view).scroll_into_view_if_needed()
    box = moment(view).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * to, box["y"] + 10, steps=6)
    page.mouse.up()


def check_time_travel(view: Locator) -> None:
    whole = view.locator(".tx").inner_text()
    drag(view, 0.5)
    has_status(view, "Earlier moment")
    expect(view.locator(".tx")).to_contain_text("2 steps come after this instant.")
    expect(view.locator(".tx .nm").last).to_have_text("roll_die")
    expect(moment(view)).to_have_attribute("aria-valuetext", re.compile("of 16.0 s, step 2, roll_die running"))
    view.get_by_role("button", name="Back to the end").click()
    has_status(view, "Completed")
    assert view.locator(".tx").inner_text() == whole


def check_search(view: Locator) -> None:
    view.get_by_role("button", name="Search").click()
    view.get_by_label("Search in this run").fill("die")
    expect(view.locator(".nn")).to_have_text("1 of 4")
    marked = "() => ['lnb-match', 'lnb-current'].map((name) => CSS.highlights.get(name)?.size ?? 0)"
    view.page.wait_for_function(f"({marked})().join() === '3,1'")
    view.get_by_label("Search in this run").press("Enter")
    expect(view.locator(".nn")).to_have_text("2 of 4")
    view.get_by_role("button", name="Over 1 s").click()
    expect(view.locator(".none")).to_contain_text("hidden by filters")
    view.get_by_label("Search in this run").press("Escape")
    expect(view.locator(".find").first).to_be_hidden()
    view.page.wait_for_function(f"({marked})().join() === '0,0'")


def check_raw(view: Locator) -> None:
    view.get_by_role("tab", name="Raw").click()
    events = view.get_by_role("list", name="Events")
    expect(events).to_contain_text("tool_return_message")
    events.get_by_role("button", name="tool_return_message").first.click()
    expect(view.get_by_role("group", name="As received")).to_contain_text('"message_type": "tool_return_message"')
    view.get_by_role("tab", name="Transcript").click()


def test_a_loaded_run_is_a_debugger_with_a_kernel_and_without(open_notebook: Open) -> None:
    notebook = open_notebook("debugger.ipynb", SHOW)
    notebook.run(0)
    check_search(notebook.widget(0))
    notebook.save()
    notebook.shut_down_kernel()
    notebook.page.reload()
    notebook.page.locator(".jp-Notebook .lnb .status").first.wait_for()
    for check in (check_time_travel, check_search, check_raw):
        check(notebook.widget(0))


def test_it_plays(open_notebook: Open) -> None:
    notebook = open_notebook("plays.ipynb", SHOW)
    notebook.run(0)
    view = notebook.widget(0)
    view.get_by_role("button", name="Play").click()
    # for as long as the run took: at 16× a slow page would be over before it is looked at
    has_status(view, "Earlier moment")
    view.get_by_role("button", name="Speed").click()
    view.get_by_role("button", name="Speed").click()
    expect(view.get_by_role("button", name="Speed")).to_have_text("16×")
    has_status(view, "Completed")
    expect(view.get_by_role("button", name="Play")).to_be_visible()


def test_keys_are_the_views_own_while_it_has_the_focus(open_notebook: Open) -> None:
    notebook = open_notebook("keys.ipynb", SHOW, "1 + 1")
    notebook.run(0)
    view = notebook.widget(0)
    page = notebook.page
    view.locator(".box").first.focus()
    active = "jupyterapp.shell.currentWidget.content.activeCellIndex"
    before = page.evaluate(active)
    for key in ("j", "j", "e", "k", "x", "c", "/", "Escape", "[", "{", "Home", "End", "z", "?", "Escape", "E", "1"):
        page.keyboard.press(key)
    assert page.evaluate(active) == before
    # x is "cut" and c is "copy" of a notebook: nothing was cut
    assert page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 2
    page.keyboard.press("Home")
    has_status(view, "Earlier moment")
    # a chord is the notebook's
    dirty = "jupyterapp.shell.currentWidget.context.model.dirty"
    page.evaluate(f"() => {{ {dirty} = true }}")
    page.keyboard.press("Control+s")
    page.wait_for_function(f"() => !{dirty}")
    page.keyboard.press("/")
    page.keyboard.type("j?x")
    expect(view.get_by_label("Search in this run")).to_have_value("j?x")


def test_what_is_taken_out_of_a_run_is_whole(open_notebook: Open, browser: Browser, tmp_path: Path) -> None:
    notebook = open_notebook("taken.ipynb", SHOW, accept_downloads=True)
    notebook.run(0)
    view = notebook.widget(0)
    saved = {}
    for item, suffix in (("Save run file", "jsonl"), ("Export HTML", "html")):
        view.get_by_role("button", name="More").click()
        with notebook.page.expect_download() as download:
            view.get_by_role("menuitem", name=item).click()
        saved[suffix] = tmp_path / f"run.{suffix}"
        download.value.save_as(saved[suffix])
        expect(view.get_by_role("menu")).to_be_hidden()
    run, recorded = letta_nb.load(saved["jsonl"]), letta_nb.load(RECORDED / "v1_multi_tok.sse")
    assert isinstance(run, letta_nb.Run)
    assert isinstance(recorded, letta_nb.Run)
    assert [event.model_dump() for event in run.events] == [event.model_dump() for event in recorded.events]
    page = browser.new_context(offline=True).new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(saved["html"].as_uri())
    exported = page.locator(".lnb")
    check_time_travel(exported)
    check_raw(exported)
    assert problems == []
    page.context.close()


def test_raw_events_of_a_run_that_goes_on(open_notebook: Open) -> None:
    notebook = open_notebook("raw.ipynb", talker(100_000, "await asyncio.sleep(0.02)"), "%letta go on")
    notebook.run(0)
    notebook.start(1)
    view = notebook.widget(1)
    expect(view).to_contain_text("word5")
    view.get_by_role("tab", name="Raw").click()
    expect(view.get_by_role("list", name="Events")).to_contain_text("assistant_message ×")
    view.get_by_label("Fold deltas").uncheck()
    view.get_by_label("Filter events").fill("word40 ")
    expect(view.get_by_role("list", name="Events")).to_contain_text("word40")
    assert notebook.count(1) is None
    view.get_by_role("tab", name="Transcript").click()
    view.get_by_role("button", name="Stop").click()
    notebook.wait_done(1)


def test_a_reader_is_where_he_was_when_the_run_ends(open_notebook: Open) -> None:
    notebook = open_notebook("reader.ipynb", talker(100_000, "await asyncio.sleep(0.002)"), "%letta go on", "1 + 1")
    page = notebook.page
    notebook.run(0)
    notebook.start(1)
    view = notebook.widget(1)
    box = view.get_by_role("group", name="Transcript")
    # the box follows the end of what is longer than it
    expect(view).to_contain_text("word600 ")
    view.get_by_role("tab", name="Raw").click()
    expect(view.get_by_label("Filter events")).to_be_visible()
    view.get_by_label("Filter events").press_sequentially("word40 ")
    # what was typed is there before the run ends, so that a failure says which of the two lost it
    expect(view.get_by_label("Filter events")).to_have_value("word40 ")
    notebook.command("notebook:interrupt-kernel")
    notebook.wait_done(1)
    is_frozen(notebook, 1)
    field = view.get_by_label("Filter events")
    expect(field).to_be_focused()
    expect(field).to_have_value("word40 ")
    page.keyboard.type("x")
    expect(field).to_have_value("word40 x")
    view.get_by_role("tab", name="Transcript").click()
    box.focus()
    page.keyboard.press("Escape")
    # the cell has the focus again, and its keys are the notebook's
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => jupyterapp.shell.currentWidget.content.activeCellIndex === 2")


def test_an_event_that_is_read_stays_open_when_the_run_ends(open_notebook: Open) -> None:
    notebook = open_notebook("event.ipynb", talker(100_000, "await asyncio.sleep(0.002)"), "%letta go on")
    notebook.run(0)
    notebook.start(1)
    view = notebook.widget(1)
    expect(view).to_contain_text("word200 ")
    view.get_by_role("tab", name="Raw").click()
    view.get_by_label("Fold deltas").uncheck()
    view.get_by_label("Filter events").fill("word1")
    # only what is near is in the page
    view.locator(".rawbox").evaluate("box => { box.scrollTop = 1200; }")
    view.get_by_role("button").filter(has_text="word150").click()
    where = "box => [box.scrollTop, box.querySelectorAll('[aria-expanded=true]').length]"
    scrolled, opened = view.locator(".rawbox").evaluate(where)
    assert scrolled > 500
    assert opened == 1
    # the cell is too low for it
    view.get_by_label("As received").scroll_into_view_if_needed()
    width = "host => host.getBoundingClientRect().width"
    wide = view.evaluate(width)
    notebook.command("notebook:interrupt-kernel")
    notebook.wait_done(1)
    is_frozen(notebook, 1)
    expect(view.get_by_label("As received")).to_contain_text("word150")
    expect(view.get_by_label("As received")).to_be_in_viewport()
    expect(view.get_by_label("Fold deltas")).not_to_be_checked()
    assert view.locator(".rawbox").evaluate(where) == [scrolled, opened]
    assert view.evaluate(width) == wide


def test_the_end_that_was_followed_stays_in_sight(open_notebook: Open) -> None:
    notebook = open_notebook("follow.ipynb", talker(1_000, "await asyncio.sleep(0.002)"), "%letta go on")
    notebook.run(0)
    notebook.start(1)
    notebook.wait_done(1)
    is_frozen(notebook, 1)
    # the box is asked for anew: what is drawn twice is two boxes
    notebook.page.wait_for_function("""() => {
        const box = document.querySelector(".jp-Notebook .lnb-out .lnb-host")?.shadowRoot.querySelector(".box");
        const left = box && box.scrollHeight - box.scrollTop - box.clientHeight;
        return box && box.scrollHeight > box.clientHeight && left < 32;
    }""")


def test_a_comparison_needs_no_kernel(open_notebook: Open) -> None:
    runs = ", ".join(repr(str(RECORDED / name)) for name in ("v1_multi_tok.sse", "v1_err2_tok.sse"))
    notebook = open_notebook("compare.ipynb", f"{LOAD}\nletta_nb.compare({runs})")
    notebook.run(0)
    notebook.save()
    notebook.shut_down_kernel()
    notebook.page.reload()
    view = notebook.widget(0)
    expect(view).to_contain_text("First divergence, step 2")
    expect(view).to_contain_text("only in A")
    view.get_by_role("button", name="Swap A and B").click()
    expect(view).to_contain_text("only in B")


# -- what an agent writes stays text ----------------------------------------------------------------------------------

HOSTILE = """
import sys
from itertools import cycle
sys.path.insert(0, {folder!r})
import letta_nb
from hostile_corpus import PAYLOADS, hostile_run
payloads = cycle(PAYLOADS)
def fill(field):
    return next(payloads)
runs = [hostile_run(fill, end) for end in ("failed", "completed", "cancelled")]
"""


def watched(page: Page) -> list[str]:
    """What a page fetched that it must not, and calls of what the payloads call."""
    seen: list[str] = []
    page.expose_function("fired", lambda: seen.append("fired"))
    page.on("request", lambda request: seen.append(request.url) if "evil" in request.url else None)
    page.on("dialog", lambda dialog: (seen.append("dialog"), dialog.dismiss()))
    return seen


def open_all(view: Locator) -> None:
    """Everything that a reader can open in it."""
    view.locator(".box").first.focus()
    page = view.page
    page.keyboard.press("E")
    for tab in view.get_by_role("tab").all():
        tab.click()
        for row in view.locator("[role=tabpanel]:not([hidden]) [aria-expanded=false]").all()[:6]:
            row.click()
    for lane in view.locator(".ln").all()[:3]:
        lane.hover()
    page.keyboard.press("Home")
    page.keyboard.press("End")


def test_nothing_that_an_agent_writes_fires_or_fetches(open_notebook: Open, jupyter: Jupyter, browser: Browser) -> None:
    folder = str(Path(__file__).resolve().parent.parent)
    shows = [f"runs[{n}].show()" for n in range(3)]
    notebook = open_notebook("hostile.ipynb", HOSTILE.format(folder=folder), *shows, "letta_nb.compare(*runs[:2])")
    seen = watched(notebook.page)
    for cell in range(5):
        notebook.run(cell)
    for cell in range(1, 4):
        open_all(notebook.widget(cell))
    expect(notebook.widget(4)).to_contain_text("Compare")
    saved = notebook.save()
    assert len(PAYLOADS) > 100
    assert seen == []
    # as a page of its own, and untrusted
    path = jupyter.root / "hostile.html"
    path.write_text(notebook.evaluate_in_kernel("print(runs[0].to_html())"), encoding="utf-8", errors="replace")
    page = browser.new_context().new_page()
    on_its_own = watched(page)
    page.goto(path.as_uri())
    open_all(page.locator(".lnb"))
    assert on_its_own == []
    page.context.close()
    saved.cells[0].source += "  # changed elsewhere, so the signature is gone"
    (jupyter.root / "hostile-untrusted.ipynb").write_text(json.dumps(saved), encoding="utf-8")
    untrusted = open_notebook("hostile-untrusted.ipynb")
    bare = watched(untrusted.page)
    expect(untrusted.output(1).locator(".lnb-bare")).to_be_visible()
    untrusted.page.mouse.wheel(0, 2000)
    assert bare == []


@pytest.mark.parametrize("end", ["failed"])
def test_nothing_fires_while_it_streams(open_notebook: Open, end: str) -> None:
    folder = str(Path(__file__).resolve().parent.parent)
    notebook = open_notebook("hostile-live.ipynb", HOSTILE.format(folder=folder), "runs[0].replay(1)")
    seen = watched(notebook.page)
    notebook.run(0)
    notebook.start(1)
    expect(notebook.widget(1)).to_be_visible()
    notebook.wait_done(1)
    open_all(notebook.widget(1))
    assert seen == []
