"""`fan_out`: one prompt to many agents and models, shown in one cell while all of them answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Unpack

from letta_nb import api, notebook, trials
from letta_nb.client import Client
from letta_nb.errors import InputError, Interrupted
from letta_nb.progress import bar
from letta_nb.protocol import Agent, Messages, SendParameters
from letta_nb.tools import Tool
from letta_nb.trials import FanOut


class _Latest:
    fan_out: FanOut | None = None


def fan_out(
    prompt: Messages,
    agents: str | Agent | Sequence[str | Agent] | None = None,
    models: str | Sequence[str | None] | None = None,
    *,
    repeats: int = 1,
    concurrency: int = 4,
    client: Client | None = None,
    tools: Iterable[Tool | Callable[..., Any]] | None = None,
    display: bool = True,
    complete: bool = True,
    **parameters: Unpack[SendParameters],
) -> FanOut:
    """Send one prompt to each agent with each model, `repeats` times, `concurrency` at a time; all shown in one cell.

    `agents`: ids or names, by default as `send`. `models`: handles such as "openai/gpt-4o-mini" for `override_model`
    (Letta 0.16.4 and later), None for the agent's own. Each run goes into a new conversation of its own; on servers
    without conversations (before 0.16.2) an agent's runs go one after the other, and see each other. Memory blocks are
    the agent's: what one run writes there the next may read. `tools`, `complete` and parameters as of `send`; nobody is
    asked for approval meanwhile: functions with `approve="always"` run, anything else waits for `fan[3].approve()`.

    Returns a `FanOut`: its runs, and their tables with `trial`, `agent_name`, `request_model` and `repeat`. What cannot
    be sent at all raises a letta_nb error before anything is; afterwards nothing raises, and a run that fails, or is
    refused, is a row that says so. Interrupting the cell stops all; `last_fan_out()` keeps what arrived.
    """
    client = api.current(client)
    for name, count in (("repeats", repeats), ("concurrency", concurrency)):
        if not isinstance(count, int) or count < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"{name}={count!r}: a whole number from 1 on is needed.")
    if "conversation" in parameters:
        raise InputError("Each run of a fan-out goes into a new conversation of its own: leave conversation= out.")
    offered = api.offered_tools(tools, parameters)
    if offered:
        parameters["client_tools"] = [made.definition() for made in offered]
    asked = [api.the_agent(client)] if agents is None else [agents] if isinstance(agents, str | Agent) else list(agents)
    handles = [None] if models is None else [models] if isinstance(models, str) else list(models)
    if not asked or not handles:
        raise InputError(f"There is nobody to send it to: {'agents' if not asked else 'models'} is an empty list.")
    planned, chains = trials.plan(client, prompt, asked, handles, repeats, parameters)
    fan = _Latest.fan_out = trials.FanOut(client, planned, offered, complete=complete)
    fan.start(chains, concurrency)
    _watch(fan, display)
    return fan


def last_fan_out() -> FanOut | None:
    """The latest fan-out, even if its cell was interrupted."""
    return _Latest.fan_out


def _watch(fan: FanOut, display: bool) -> None:
    """Wait for all runs of a fan-out: shown in the current cell, or as a bar elsewhere."""
    try:
        if display and notebook.shows_live():
            _show_while(fan)
        elif display:
            with bar("runs", len(fan), None) as shown:
                for _ in fan.ticks():
                    shown.update(fan.done - shown.n)
                shown.update(fan.done - shown.n)
        else:
            for _ in fan.ticks():
                pass
    except KeyboardInterrupt:
        told = ", ".join(fan.stop())
        raise Interrupted(None, f"{told}; what arrived is letta_nb.last_fan_out()") from None


def _show_while(fan: FanOut) -> None:
    handle = notebook.display_bundle(fan.mimebundle(), updatable=True)
    notebook.mark_shown(fan)
    try:
        for _ in fan.ticks():
            handle.update(fan.mimebundle(), raw=True)
    except KeyboardInterrupt:
        fan.stop()
        raise
    finally:
        handle.update(fan.mimebundle(), raw=True)
