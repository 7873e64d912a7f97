"""What a person does with a run that waits, or outlives its page: approve, deny, reload, restart; a real JupyterLab."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from harness import Notebook
from playwright.sync_api import Locator, expect
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel
from scenes import LOAD, has_status, is_frozen

import letta_nb
from letta_nb.server import Server

Open = Callable[..., Notebook]
RENT = "Rent a bike in Oslo for 3 hours"
SQUARE = '''
@letta_nb.tool
def square(a: int) -> int:
    """Square a number."""
    print("squaring", a)
    return a * a
'''


def press(view: Locator, name: str) -> None:
    view.get_by_role("button", name=name, exact=True).click()


def test_approving_in_a_finished_cell_goes_on_in_it(open_notebook: Open) -> None:
    notebook = open_notebook(
        "approve.ipynb", LOAD, f"run = %letta {RENT}", "print(run.status, len(run.legs), run.text)"
    )
    notebook.run(0)
    notebook.run(1)
    view = notebook.widget(1)
    has_status(view, "Waiting for approval")
    expect(view).to_contain_text("rent_bike")
    expect(view).to_contain_text("hours")
    # a notebook saved now says what it waits for, where no kernel is
    saved = notebook.save().cells[1].outputs
    [html] = [page for output in saved if (page := output.get("data", {}).get("text/html"))]
    assert "Waiting for approval" in html
    press(view, "Approve rent_bike")
    has_status(notebook.widget(1), "Completed")
    is_frozen(notebook, 1)
    expect(notebook.widget(1)).to_contain_text("Rented in")
    expect(notebook.output(1).locator(".lnb-out")).to_have_count(1)
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("completed 2 Rented in")


def test_saved_while_it_waits_it_is_whole_though_the_kernel_is_gone(open_notebook: Open) -> None:
    notebook = open_notebook("waits.ipynb", LOAD, f"run = %letta {RENT}")
    notebook.run(0)
    notebook.run(1)
    spare, live = notebook.output(1).locator(".lnb-spare"), notebook.output(1).locator("[class*=lnb-live-]")
    has_status(live, "Waiting for approval")
    expect(spare).to_be_hidden()
    notebook.save()
    # the same kernel: the widget is back, to be answered
    notebook.page.reload()
    has_status(live, "Waiting for approval")
    expect(spare).to_be_hidden()
    # another kernel, which knows of no widget: the run as it was saved
    notebook.page.goto("about:blank")
    notebook.jupyter.end_kernels()
    notebook.open()
    has_status(spare, "Waiting for approval")
    expect(spare).to_contain_text("rent_bike")
    dead = notebook.output(1).get_by_text("Error displaying widget")
    expect(dead).to_have_count(1)
    expect(dead).to_be_hidden()
    # JupyterLab's own complaint about the widget
    assert ["model not found" in error for error in notebook.errors] == [True], notebook.errors
    notebook.errors.clear()


def test_denying_says_why(open_notebook: Open) -> None:
    notebook = open_notebook("deny.ipynb", LOAD, f"%letta {RENT}")
    notebook.run(0)
    notebook.run(1)
    view = notebook.widget(1)
    view.get_by_role("textbox").fill("it rains")
    press(view, "Deny rent_bike")
    has_status(notebook.widget(1), "Completed")
    expect(notebook.widget(1)).to_contain_text("denied: it rains")
    expect(notebook.widget(1)).to_contain_text("you denied it and said")


def test_two_calls_are_answered_one_by_one_in_a_blocked_cell(open_notebook: Open) -> None:
    wait = "run = letta_nb.send('Rent a bike in Oslo and in Bergen for 2 hours').wait()\nprint('after', run.status)"
    notebook = open_notebook("blocked.ipynb", LOAD, wait)
    notebook.run(0)
    notebook.start(1)
    view = notebook.widget(1)
    has_status(view, "Waiting for approval")
    expect(view.get_by_role("button", name="Approve all 2")).to_be_visible()
    assert notebook.count(1) is None
    view.get_by_role("button", name="Approve rent_bike").first.click()
    # one is answered: the run waits for the other, and so does the cell
    expect(view.get_by_role("button", name="Deny rent_bike")).to_have_count(1)
    assert notebook.count(1) is None
    press(view, "Deny rent_bike")
    notebook.wait_done(1)
    expect(notebook.output(1)).to_contain_text("after completed")
    is_frozen(notebook, 1)
    expect(notebook.widget(1)).to_contain_text("did not rent a bike in Bergen")


def test_answering_from_python_goes_on_in_the_first_cell(open_notebook: Open) -> None:
    notebook = open_notebook("python.ipynb", LOAD, f"run = %letta {RENT}", "run.approve()")
    for cell in range(3):
        notebook.run(cell)
    is_frozen(notebook, 1)
    has_status(notebook.widget(1), "Completed")
    # and is not shown twice
    expect(notebook.output(2).locator(".lnb-out")).to_have_count(0)


def test_a_function_of_the_notebook_asks_before_it_runs(open_notebook: Open) -> None:
    notebook = open_notebook("tool.ipynb", LOAD + SQUARE, "run = %letta use square(7)")
    notebook.run(0)
    notebook.start(1)
    view = notebook.widget(1)
    has_status(view, "Waiting for approval")
    assert notebook.count(1) is None
    press(view, "Approve square")
    notebook.wait_done(1)
    is_frozen(notebook, 1)
    expect(notebook.widget(1)).to_contain_text("49")
    assert (
        notebook.evaluate_in_kernel("print(run.tool_calls[0].stdout, run.status)").strip()
        == "['squaring 7\\n'] completed"
    )


# -- runs that outlive their page, and their kernel --------------------------------------------------------------------


class Talk:
    """An agent that says words until it is let go."""

    def __init__(self) -> None:
        self.go = False

    async def say(self, _messages: Any, _info: Any) -> AsyncIterator[str]:
        number = 0
        while not self.go:
            yield f"word{number} "
            number += 1
            await asyncio.sleep(0.05)
        yield "and that is all."


@pytest.fixture
def talking() -> Iterator[tuple[Server, Talk]]:
    """A server outside of the kernel."""
    talk = Talk()
    model = FunctionModel(stream_function=talk.say, model_name="talk")
    with letta_nb.serve({"talker": Agent(model)}) as server:
        yield server, talk
        talk.go = True


def test_a_background_run_survives_a_reload(open_notebook: Open, talking: tuple[Server, Talk]) -> None:
    server, talk = talking
    notebook = open_notebook("bg.ipynb", f"{LOAD}\nletta_nb.connect({server.url!r})", "run = %letta --bg go on")
    notebook.run(0)
    notebook.run(1)
    expect(notebook.widget(1)).to_contain_text("word3")
    notebook.save()
    notebook.open()
    view = notebook.widget(1)
    has_status(view, "Running")
    expect(view).to_contain_text("word0")
    expect(view).to_contain_text("word30")
    talk.go = True
    expect(notebook.widget(1)).to_contain_text("and that is all.")
    has_status(notebook.widget(1), "Completed")
    assert notebook.evaluate_in_kernel("print(run.status)").strip() == "completed"


def test_attach_finds_a_run_after_a_restart(open_notebook: Open, talking: tuple[Server, Talk]) -> None:
    server, talk = talking
    connect = f"{LOAD}\nletta_nb.connect({server.url!r})"
    with letta_nb.Client(server.url) as client:
        notebook = open_notebook("attach.ipynb", connect, "run = %letta --bg go on")
        notebook.run(0)
        notebook.run(1)
        expect(notebook.widget(1)).to_contain_text("word3")
        # before it ends, the kernel is gone
        [run_id] = [row["id"] for row in _rows(client)]
        notebook.save()
        notebook.shut_down_kernel()
        again = open_notebook(
            "again.ipynb", connect, f"run = letta_nb.attach({run_id!r})", "print(run.status, run.prompt)"
        )
        again.run(0)
        again.start(1)
        view = again.widget(1)
        expect(view).to_contain_text("word0")
        has_status(view, "Running")
        talk.go = True
        again.wait_done(1)
        is_frozen(again, 1)
        expect(again.widget(1)).to_contain_text("and that is all.")
        again.run(2)
        expect(again.output(2)).to_contain_text("completed go on")


def _rows(client: letta_nb.Client) -> list[dict[str, Any]]:
    return client.drive(client.flows.json("GET", "/v1/runs/"))
