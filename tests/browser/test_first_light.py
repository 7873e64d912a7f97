"""The first run in a real JupyterLab and Notebook 7: live, stopped, interrupted, reloaded, saved, reopened."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from harness import Jupyter, Notebook, notebooks
from playwright.sync_api import Browser, expect
from scenes import LOAD, has_status, is_frozen, talker

Open = Callable[..., Notebook]
PROMPT = "What is the weather in Oslo, and should I bike?"


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_the_first_run(open_notebook: Open, app: str) -> None:
    cells = (LOAD, f"%letta {PROMPT}", "run = letta_nb.send('And in Bergen?')")
    notebook = open_notebook(f"first-{app}.ipynb", *cells, app=app)
    notebook.run(0)
    notebook.start(1)
    view = notebook.widget(1)
    # the first words are on the page while the cell still runs
    expect(view).to_contain_text("They ask about Oslo")
    assert notebook.count(1) is None
    has_status(view, "Running")
    expect(notebook.output(1)).to_contain_text("no language model")
    expect(view).to_contain_text("get_weather")
    notebook.wait_done(1)
    is_frozen(notebook, 1)
    view = notebook.widget(1)
    has_status(view, "Completed")
    expect(view).to_contain_text("Bike in Oslo?")
    expect(view.get_by_role("cell", name="Oslo").first).to_be_visible()
    notebook.run(2)
    expect(notebook.widget(2)).to_contain_text("Bergen")
    # shown once, though the magic returned the run
    expect(notebook.output(1).locator(".lnb-out")).to_have_count(1)


def test_every_word_of_a_burst_is_on_the_page(open_notebook: Open) -> None:
    notebook = open_notebook("burst.ipynb", talker(5000), "run = %letta go on", "print(run.text)")
    notebook.run(0)
    notebook.run(1)
    notebook.run(2)
    words = " ".join(f"word{number}" for number in range(5000))
    assert notebook.output(2).inner_text().split() == words.split()
    answer = notebook.widget(1).locator(".ans").last
    while answer.get_by_role("button", name="Show all").count():
        answer.get_by_role("button", name="Show all").click()
    shown = answer.inner_text()
    assert re.findall(r"word\d+", shown) == words.split()


def test_stop_in_a_cell_that_blocks_the_kernel(open_notebook: Open) -> None:
    slowly = talker(100_000, "await asyncio.sleep(0.02)")
    notebook = open_notebook("stop.ipynb", slowly, "run = %letta go on", "print(run.status, run.stop_reason)")
    notebook.run(0)
    notebook.start(1)
    view = notebook.widget(1)
    expect(view).to_contain_text("word20")
    view.get_by_role("button", name="Stop").click()
    notebook.wait_done(1)
    is_frozen(notebook, 1)
    has_status(notebook.widget(1), "Stopped")
    expect(notebook.widget(1)).to_contain_text("You stopped the run")
    expect(notebook.widget(1)).to_contain_text("word20")
    notebook.run(2)
    assert notebook.output(2).inner_text().strip() == "cancelled cancelled"


def test_the_kernels_interrupt_cancels_and_keeps(open_notebook: Open) -> None:
    notebook = open_notebook(
        "interrupt.ipynb",
        talker(100_000, "await asyncio.sleep(0.02)"),
        "%letta -o kept go on",
        "print(kept is letta_nb.last_run(), kept.status, 'word20' in kept.text)",
    )
    notebook.run(0)
    notebook.start(1)
    expect(notebook.widget(1)).to_contain_text("word20")
    notebook.command("notebook:interrupt-kernel")
    notebook.wait_done(1)
    is_frozen(notebook, 1)
    has_status(notebook.widget(1), "Stopped")
    # one line, not a traceback
    expect(notebook.output(1)).to_contain_text("Interrupted: the run was cancelled")
    expect(notebook.output(1)).not_to_contain_text("Traceback")
    notebook.run(2)
    assert notebook.output(2).inner_text().strip() == "True cancelled True"


def test_a_second_view_is_complete_and_live(open_notebook: Open) -> None:
    notebook = open_notebook(
        "second.ipynb",
        talker(
            300,
            "await asyncio.sleep(0.01)\n"
            "        while number > 100 and not released.is_set(): await asyncio.sleep(0.01)",
        )
        + "import threading\nreleased = threading.Event()\n",
        "run = %letta --bg go on",
    )
    notebook.run(0)
    notebook.run(1)
    expect(notebook.widget(1)).to_contain_text("word100")
    notebook.page.evaluate("jupyterapp.commands.execute('notebook:create-output-view')")
    second = notebook.page.locator(".jp-LinkedOutputView .lnb").first
    for view in (notebook.widget(1), second):
        expect(view).to_contain_text("word0 word1 word2")
        expect(view).to_contain_text("word100")
        has_status(view, "Running")
    # the new view took the focus: back to the notebook, whose kernel is meant below
    notebook.page.evaluate(
        "jupyterapp.shell.activateById([...jupyterapp.shell.widgets('main')].find(w => w.context).id)"
    )
    notebook.evaluate_in_kernel("released.set()")
    for place in (".jp-Notebook", ".jp-LinkedOutputView"):
        view = notebook.page.locator(f"{place} .lnb").first
        has_status(view, "Completed")
        expect(view).to_contain_text("word299")


def test_a_reload_in_mid_run_is_complete(open_notebook: Open) -> None:
    slowly = talker(300, "await asyncio.sleep(0.02)")
    notebook = open_notebook("reload.ipynb", slowly, "run = %letta --bg go on")
    notebook.run(0)
    notebook.run(1)
    expect(notebook.widget(1)).to_contain_text("word20")
    notebook.save()
    notebook.page.reload()
    notebook.wait_ready()
    expect(notebook.widget(1)).to_contain_text("word0 word1 word2")
    expect(notebook.widget(1)).to_contain_text("word299")
    has_status(notebook.widget(1), "Completed")


def saved_run(open_notebook: Open, name: str) -> tuple[Notebook, Any]:
    notebook = open_notebook(name, LOAD, "%letta What is the weather in Atlantis?")
    notebook.run(0)
    notebook.run(1)
    is_frozen(notebook, 1)
    saved = notebook.save()
    notebook.shut_down_kernel()
    return notebook, saved


def test_saved_and_reopened_without_a_kernel_it_is_interactive(open_notebook: Open) -> None:
    notebook, saved = saved_run(open_notebook, "reopen.ipynb")
    assert "widgets" not in saved.metadata
    assert [set(output.data) for output in saved.cells[1].outputs if "data" in output] == [{"text/html", "text/plain"}]
    notebook.page.reload()
    notebook.page.locator(".jp-Notebook .lnb .status").first.wait_for()
    view = notebook.widget(1)
    has_status(view, "Completed")
    expect(view).to_contain_text("1 tool failed")
    call = view.get_by_role("button", name=re.compile("get_weather")).and_(view.locator("[aria-expanded]")).last
    assert call.get_attribute("aria-expanded") == "true"  # a failed call opens itself
    expect(view).to_contain_text("Traceback")
    call.click()
    assert call.get_attribute("aria-expanded") == "false"


def test_untrusted_it_is_the_whole_transcript_without_scripts(
    open_notebook: Open, jupyter: Jupyter, browser: Browser
) -> None:
    _, saved = saved_run(open_notebook, "trusted.ipynb")
    saved.cells[0].source += "  # changed elsewhere, so the signature is gone"
    nbformat.write(saved, jupyter.root / "untrusted.ipynb")
    notebook = open_notebook("untrusted.ipynb")
    output = notebook.output(1)
    expect(output.locator(".lnb-bare")).to_be_visible()
    expect(output.locator(".lnb")).to_have_count(0)
    expect(output.locator("script")).to_have_count(0)
    for words in (
        "Completed",
        "What is the weather in Atlantis?",
        "get_weather",
        "Traceback",
        "Sorry, no climate data",
    ):
        expect(output).to_contain_text(words)


@pytest.fixture(scope="module")
def converted(jupyter: Jupyter, browser: Browser) -> Path:
    """A notebook with a run, as nbconvert's page."""
    with notebooks(browser, jupyter) as open_:
        saved_run(open_, "convert.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "convert.ipynb"]
    subprocess.run(command, cwd=jupyter.root, check=True, capture_output=True)
    return jupyter.root / "convert.html"


def test_nbconvert_makes_a_page_that_fetches_nothing(converted: Path, browser: Browser) -> None:
    page = browser.new_context(java_script_enabled=True).new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # nbconvert's own page asks a CDN for MathJax and require.js: nothing of that is ours, and none of it is let through
    page.route(re.compile("^https?://"), lambda route: route.abort())
    page.goto(converted.as_uri())
    view = page.locator(".lnb").first
    has_status(view, "Completed")
    expect(view).to_contain_text("Sorry, no climate data")
    page.context.close()


def test_without_scripts_nbconverts_page_has_the_transcript(converted: Path, browser: Browser) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(converted.as_uri())
    expect(page.locator(".lnb-bare").first).to_be_visible()
    expect(page.locator(".lnb-bare").first).to_contain_text("Sorry, no climate data")
    page.context.close()


def test_a_refused_request_is_one_clear_error(open_notebook: Open) -> None:
    notebook = open_notebook("refused.ipynb", f"{LOAD}\nletta_nb.connect('http://127.0.0.1:9')", "%letta hello")
    notebook.run(0)
    notebook.run(1)
    text = notebook.output(1).inner_text()
    assert "No server answered at http://127.0.0.1:9" in text
    assert "Traceback" not in text
    expect(notebook.output(1).locator(".lnb")).to_have_count(0)


def test_a_run_that_is_replayed(open_notebook: Open) -> None:
    ask = "run = letta_nb.send('What is 2 * 21?', display=False)"
    notebook = open_notebook("replay.ipynb", LOAD, ask, "run.replay(20)")
    for cell in range(3):
        notebook.run(cell)
    expect(notebook.output(2).locator(".lnb-out")).to_have_count(1)
    expect(notebook.widget(2)).to_contain_text("42")


def test_colours_follow_the_theme(open_notebook: Open) -> None:
    notebook = open_notebook("theme.ipynb", LOAD, "%letta What is 2 * 21?")
    notebook.run(0)
    notebook.run(1)
    root = notebook.widget(1)
    expect(root).to_have_attribute("data-theme", "light")
    notebook.command("apputils:change-theme", theme="JupyterLab Dark")
    expect(root).to_have_attribute("data-theme", "dark")
    notebook.command("apputils:change-theme", theme="JupyterLab Light")
    expect(root).to_have_attribute("data-theme", "light")
