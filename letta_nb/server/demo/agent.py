"""The demo agent as a pydantic-ai agent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import Model

from letta_nb.server.demo.model import ScriptedModel
from letta_nb.server.demo.tools import demo_tools
from letta_nb.server.schemas import BlockCreate

_SCRIPTED = (
    "You are the demo agent of letta_nb. Your replies are scripted: there is no language model here, only rules that "
    "read the prompt and real tools on a table of climate normals. Say so when asked."
)
_REAL = (
    "You are the demo agent of letta_nb. Answer questions about typical weather and cycling, and rent bikes, with your "
    "tools and never from memory: the numbers must come from them. They are climate normals, not forecasts; say so. "
    "Answer in short markdown."
)

DEMO_BLOCKS = (
    BlockCreate(label="human", value="Asks about weather and bikes.", description="What the agent knows of the user."),
    BlockCreate(
        label="persona",
        value="Brief, and honest about where numbers come from.",
        description="How the agent sees itself.",
    ),
)


def demo_agent(
    model: Model | str | None = None, *, pace: float = 45.0, today: Callable[[], date] = date.today
) -> Agent[Any, Any]:
    """The demo agent, on the scripted model or on a real one. `today` decides the month it speaks of."""
    instructions = _SCRIPTED if model is None else _REAL
    return Agent(model or ScriptedModel(pace=pace), instructions=instructions, tools=demo_tools(today), name="demo")
