"""What the package offers by name: connect, send, attach, agents, load, tool. The magics make these same calls."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from letta_nb import notebook
from letta_nb.answers import Decision, chosen
from letta_nb.client import Client
from letta_nb.entries import ToolCallEntry
from letta_nb.errors import AgentNotFound, ConfigurationError, InputError, LettaNbError
from letta_nb.live import Asks, Live
from letta_nb.protocol import Agent, Messages, Parameters, SendParameters
from letta_nb.recorder import Recorder
from letta_nb.run import Run
from letta_nb.stream import Stream

if TYPE_CHECKING:
    from letta_nb.server import Server
    from letta_nb.tools import Tool


class _Default:
    """What `%letta` and `send` talk to: set by `connect`, else found at the first use."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.agent: str | None = None
        self.server: Server | None = None
        self.last: Run | None = None
        self.tools: dict[str, Tool] = {}


_default = _Default()


def connect(
    base_url: str | None = None,
    api_key: str | None = None,
    *,
    agent: str | None = None,
    password: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> Client:
    """Choose the server that `%letta` and `send` talk to, and return a Client for it.

    Without `base_url`: LETTA_BASE_URL, else Letta Cloud if LETTA_API_KEY is set, else the embedded server, which is
    started if it is not running. `agent` (id or name) becomes the default agent. Nothing is sent yet.
    """
    if not isinstance(agent, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"agent takes the id or the name of an agent, not {agent!r:.80}.")
    options: dict[str, Any] = {"password": password, "headers": headers, "timeout": timeout}
    if base_url is None and api_key is None and not _configured():
        base_url = _embedded().url
    _default.client = Client(base_url, api_key, **options)
    _default.agent = agent
    return _default.client


def _configured() -> bool:
    return bool(os.environ.get("LETTA_BASE_URL") or os.environ.get("LETTA_API_KEY"))


def _embedded() -> Server:
    if _default.server is None:
        from letta_nb.server import require_extra, serve

        try:
            require_extra()
            print("letta_nb: no server configured; the embedded one answers (its agent is a script, no language model)")
            _default.server = serve()
        except ConfigurationError as missing:
            raise ConfigurationError(
                f"No Letta server is configured, and the embedded one cannot start: {missing}\n"
                'To use a server of yours: letta_nb.connect("http://localhost:8283"), or set LETTA_BASE_URL.'
            ) from None
    return _default.server


def warm_up() -> None:
    """Import the embedded server in the background, if it is what will answer: the first cell would wait seconds."""
    if _default.client is None and not _configured():
        threading.Thread(target=_import_server, name="letta_nb warm-up", daemon=True).start()


def _import_server() -> None:
    with suppress(ImportError):  # said clearly, with what to install, when the server is really needed
        importlib.import_module("letta_nb.server.assembly")


def current(client: Client | None = None) -> Client:
    """The Client that `%letta` and `send` use, connected if it is not yet; or the one that was passed."""
    if client is None:
        return _default.client or connect()
    if not isinstance(client, Client):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"client takes a letta_nb.Client, such as connect(...) returns, not {client!r:.80}.")
    return client


def agents(name: str | None = None) -> list[Agent]:
    """The agents of the current server, or those of one name."""
    return current().agents(name)


def known_agents() -> list[Agent]:
    """The current server's agents for Tab: nothing is started for it, and nothing waits long."""
    if _default.client is None:
        return []
    try:
        return _default.client.agents(timeout=1.0)
    except LettaNbError:
        return []


def last_run() -> Run | None:
    """The latest run of `send` or `%letta`, even if its cell was interrupted."""
    return _default.last


def tool(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Offer a function of this kernel to the agents that `%letta` and `send` talk to: `@letta_nb.tool`.

    Its calls run here, with their output and exceptions sent back; each asks for approval first, unless
    `@letta_nb.tool(approve="always")`. Name, description and schema come from the function; `name=` and `description=`
    say otherwise. Defining it again replaces it; `forget_tools` takes it back.
    """
    from letta_nb.tools import tool as make

    def offer(function: Callable[..., Any]) -> Tool:
        made: Tool = make(**options)(function)
        _default.tools[made.name] = made
        return made

    return offer if function is None else offer(function)


def forget_tools(*names: str) -> None:
    """Offer these functions no more; without names, none at all."""
    for name in names or list(_default.tools):
        _default.tools.pop(name, None)


def send(
    prompt: Messages,
    agent: str | None = None,
    *,
    client: Client | None = None,
    conversation: str | None = None,
    tools: Iterable[Tool | Callable[..., Any]] | None = None,
    background: bool = False,
    display: bool = True,
    save: str | Path | None = None,
    complete: bool = True,
    extra_body: Mapping[str, Any] | None = None,
    **parameters: Unpack[SendParameters],
) -> Run:
    """Send a prompt to an agent and return the Run: shown live in a notebook, plain elsewhere. What `%letta` calls.

    `prompt`: text, or a list of messages as the endpoint takes them. `agent`: id or name; by default the one of
    `connect(agent=...)`, else the server's only one. `conversation`: the id of one of its conversations, or "new".
    `tools`: functions of this kernel that the agent may call, by default those made with `@letta_nb.tool`.
    `background`: return at once, the view streams on; a broken connection is taken up again, and `attach(run.run_id)`
    finds the run after a restart, where the server keeps streams. `save`: a run file that is written while the run goes
    on, event by event, so that it is there whatever becomes of this process. `complete`: afterwards fetch what the
    stream left out (tokens and times of each step), where the server has it. Parameters are the endpoint's own.

    A run that asks for approval is returned as it waits: `run.pending`, `run.approve()`, `run.deny("why")`, or the
    buttons. Raises a letta_nb error if the request is refused; a run that fails later is returned, with `run.status`
    and `run.error`. Interrupting the cell cancels the run; `last_run()` keeps what arrived.
    """
    client = current(client)
    offered = offered_tools(tools, parameters)
    if offered:
        parameters["client_tools"] = [made.definition() for made in offered]
    wire: Parameters = {**parameters}
    kept = background and client.server.can("background")
    if kept:
        wire["background"] = True
    stream = client.stream(
        agent or the_agent(client),
        prompt,
        conversation=conversation,
        extra_body=extra_body,
        make_do=background,
        **wire,
    )
    if background and not kept:
        stream.run.note = "This server keeps no streams: a broken connection cannot be taken up again."
    live = _read(client, stream, offered, display=display, waited=not background, complete=complete, save=save)
    _default.last = live.run
    try:
        return live.run if background else live.wait()
    finally:
        _default.last = live.run  # a function of this kernel may have sent something of its own


def attach(
    run_id: str,
    *,
    client: Client | None = None,
    tools: Iterable[Tool | Callable[..., Any]] | None = None,
    background: bool = False,
    display: bool = True,
    save: str | Path | None = None,
) -> Run:
    """Show a background run from its beginning and follow it live, after a restart or from elsewhere.

    Of a run whose stream the server does not keep (not made with `background=True`, too old, or no Redis there) the
    messages are fetched instead, and `run.note` says why. Raises NotFound for a run that the server does not have.
    """
    client = current(client)
    offered = offered_tools(tools, {})
    stream = client.attach(run_id)
    live = _read(client, stream, offered, display=display, waited=not background, complete=True, save=save)
    _default.last = live.run
    return live.run if background else live.wait()


def offered_tools(tools: Iterable[Tool | Callable[..., Any]] | None, parameters: SendParameters) -> list[Tool]:
    """The functions to offer an agent: those named, else those made with `@letta_nb.tool`."""
    if tools is None and not _default.tools:
        return []
    from letta_nb.tools import tools_of

    if "client_tools" in parameters:
        if tools is not None:
            raise InputError("Pass functions as tools=, or their definitions as client_tools=, not both.")
        return []
    if not isinstance(tools, Iterable | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"tools takes a list of functions, such as tools=[f], not {tools!r:.80}.")
    return tools_of(_default.tools.values() if tools is None else tools)


def _read(
    client: Client,
    opened: Stream | Run,
    tools: list[Tool],
    *,
    display: bool,
    waited: bool,
    complete: bool,
    save: str | Path | None = None,
) -> Live:
    """Read a run, shown in the current cell if it is to be, and written to a file if one is named."""
    recorder = None if save is None else Recorder(save)
    asks: Asks = notebook.ask if notebook.can_ask() else None
    if not (display and notebook.shows_live()):
        return Live(client, opened, tools=tools, asks=asks, complete=complete, recorder=recorder).start()
    from letta_nb import subshell
    from letta_nb.widget import LiveView

    if asks is not None and subshell.heard_while_blocked():
        asks = "page"
    live = Live(client, opened, tools=tools, asks=asks, complete=complete, recorder=recorder)
    live.view = view = LiveView(live.run, lambda: live.elapsed, live.cancel, live.heard, waited=waited)
    view.show()
    notebook.mark_shown(live.run)
    return live.start()


# -- going on with a run -----------------------------------------------------------------------------------------------


def answer(run: Run, calls: tuple[str | ToolCallEntry, ...], *, approve: bool, reason: str | None = None) -> Run:
    """What `Run.approve` and `Run.deny` call."""
    if reason is not None and (not isinstance(reason, str) or reason in [call.tool_call_id for call in run.pending]):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            'The reason comes first, calls after it: run.deny("too risky", call), or run.deny(None, call).'
        )
    live: Live | None = run.live
    if live is not None and not run.pending and live.unsent:
        notebook.mark_shown(run)
        return live.wait(first=live.send_again)
    chosen_calls = chosen(run, calls)
    live = _live_of(run)
    notebook.mark_shown(run)
    return live.wait(first=lambda: live.answer(chosen_calls, Decision(approve, reason)))


def wait(run: Run) -> Run:
    """What `Run.wait` calls."""
    live: Live | None = run.live
    if live is None:
        if run.status == "running":
            raise InputError(f"Nobody reads this run. letta_nb.attach({run.run_id!r}) follows it.")
        return run
    live.wait()
    if run.pending and live.view is None:
        raise InputError("This run waits for an answer, and nobody is asked here: run.approve() or run.deny(reason).")
    return live.wait(answered=True)


def cancel(run: Run) -> Run:
    """What `Run.cancel` calls."""
    if run.status != "running" and not run.pending:
        raise InputError(f"There is nothing to cancel: this run is {run.status}.")
    live = _live_of(run)
    live.cancel()
    return live.wait()


def _live_of(run: Run) -> Live:
    """Who reads the run; one that was loaded or fetched goes on here, over the current client."""
    live: Live | None = run.live
    if live is None:
        client = current()
        if run.server is not None and run.server != client.base_url:
            raise InputError(f"This run was made at {run.server}, not at {client.base_url}: connect there first.")
        if run.agent_id is None:
            raise InputError("This run does not say which agent it is of, so it cannot be answered.")
        live = _read(client, run, [], display=True, waited=True, complete=True)
    live.tools.update((made.name, made) for made in _default.tools.values())
    return live


def the_agent(client: Client) -> str:
    """Who is meant where no agent is named: the default, else the server's only one."""
    if _default.agent is not None and client is _default.client:
        return _default.agent
    there = client.agents(limit=10)
    if not there:
        raise AgentNotFound(f"The server at {client.base_url} has no agents yet; create one there first.")
    if len(there) > 1:
        names = ", ".join(found.name or found.id for found in there)
        raise InputError(
            f"Which agent? {client.base_url} has {names}. Name one: %letta -a NAME ..., send(prompt, NAME), "
            "or connect(..., agent=NAME)."
        )
    return there[0].id


def replay(run: Run, speed: float = 1.0) -> Run:
    """Show a finished run again as it arrived, `speed` times as fast; what `Run.replay` calls."""
    from letta_nb.replay import Replay

    again = Replay(run, speed)
    if not notebook.shows_live():
        return again.play()
    from letta_nb.widget import LiveView

    view = LiveView(again.run, again.elapsed, again.stop, speed=speed)
    view.show()
    notebook.mark_shown(again.run)
    return again.play(view)


def load(path: str | Path) -> Run | list[Run]:
    """A run file, or raw recorded SSE bytes (`.sse`), as a Run; a pattern with `*` as a list of Runs."""
    from letta_nb import record

    return record.load(path)
