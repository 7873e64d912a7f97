"""marimo: the same views, live while a cell runs, without magics, display ids, or scripts in HTML."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import WAIT_MS, wait_until_up
from playwright.sync_api import Browser, Page, expect

GATE = "go"
APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    import asyncio
    from pathlib import Path
    import letta_nb
    from pydantic_ai import Agent
    from pydantic_ai.models.function import FunctionModel

    async def talk(messages, info):
        for number in range(40):
            while number == 30 and not Path("go").exists():
                await asyncio.sleep(0.05)
            yield f"word{number} "
            await asyncio.sleep(0.02)

    letta_nb.connect(letta_nb.serve({"talker": Agent(FunctionModel(stream_function=talk, model_name="talker"))}).url)
    run = letta_nb.send("Talk.")
    run
    return (letta_nb, run)


@app.cell
def _(letta_nb, run):
    letta_nb.compare(run, run)
    return


@app.cell
def _(letta_nb, run):
    letta_nb.connect(letta_nb.serve(pace=0).url)
    asked = letta_nb.send("Rent a bike in Oslo for 3 hours.")
    return (asked,)


@app.cell
def _(asked, letta_nb):
    many = letta_nb.fan_out("Hello", repeats=3)
    return
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[str]:
    """The notebook as a running app."""
    (tmp_path / "notebook.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "marimo", "--quiet", "run", "notebook.py", "--headless", "--no-token"),
        *("--host=127.0.0.1", f"--port={port}"),
    ]
    log = tmp_path / "marimo.log"
    environment = {"HOME": str(tmp_path), "PATH": ""}
    with log.open("w") as told:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=told, stderr=told)
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may not complain on its console, nor ask anybody else for anything."""
    page = browser.new_context(viewport={"width": 1100, "height": 1400}).new_page()
    page.set_default_timeout(WAIT_MS)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.context.close()
    assert errors == []


def test_a_run_streams_into_its_cell_and_stays(app: str, page: Page, tmp_path: Path) -> None:
    page.goto(app)
    views = page.locator(".lnb")
    talking = views.first
    expect(talking.locator(".status")).to_contain_text("Running")
    expect(talking.locator(".tx")).to_contain_text("word29")
    expect(talking.get_by_text("Updates lost")).to_be_hidden()
    (tmp_path / GATE).touch()
    expect(talking.locator(".status")).to_contain_text("Completed")
    expect(talking.locator(".tx")).to_contain_text("word39")

    # an answer from the page, once the cell is over
    asking = views.nth(1)
    expect(asking.locator(".status")).to_contain_text("Waiting for approval")
    asking.get_by_role("button", name="Approve").click()
    expect(asking.locator(".status")).to_contain_text("Completed")
    expect(asking.locator(".tx")).to_contain_text("receipt")

    # a comparison runs its scripts in a frame; many runs are shown as they stand
    expect(page.frame_locator("iframe").locator(".lnb")).to_contain_text("No divergence")
    expect(page.get_by_text("3 of 3 completed")).to_be_visible()
    expect(views).to_have_count(2)  # as the value of its cell too, a run is the one view
