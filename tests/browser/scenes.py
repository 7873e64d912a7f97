"""Cells that several browser tests run, and what they look for."""

from __future__ import annotations

from harness import Notebook
from playwright.sync_api import Locator, expect

LOAD = "%load_ext letta_nb\nimport letta_nb"
# an agent that says what it is told to, word by word, for as long as it is let
TALKER = """
import asyncio
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel


async def talk(messages, info):
    for number in range({count}):
        yield f"word{{number}} "
        {pause}
server = letta_nb.serve({{"talker": Agent(FunctionModel(stream_function=talk, model_name="talker"))}})
letta_nb.connect(server.url)
"""


def talker(count: int, pause: str = "pass") -> str:
    return f"{LOAD}\n{TALKER.format(count=count, pause=pause)}"


def has_status(view: Locator, word: str) -> None:
    expect(view.locator(".status")).to_contain_text(word)


def is_frozen(notebook: Notebook, cell: int) -> None:
    """The output is HTML with the view in it, and no widget any more."""
    expect(notebook.output(cell).locator(".lnb-out .lnb .status")).to_be_visible()
    expect(notebook.output(cell).locator(".jupyter-widgets")).to_have_count(0)
