"""What the package offers by name: connect, send, agents, load, serve. The magics make these same calls."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from letta_nb import notebook
from letta_nb.client import Client
from letta_nb.errors import AgentNotFound, ConfigurationError, InputError, LettaNbError
from letta_nb.live import Live
from letta_nb.protocol import Agent, Messages, SendParameters
from letta_nb.run import Run

if TYPE_CHECKING:
    from letta_nb.server import Server


class _Default:
    """What `%letta` and `send` talk to: set by `connect`, else found at the first use."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.agent: str | None = None
        self.server: Server | None = None
        self.last: Run | None = None


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


def current() -> Client:
    """The Client that `%letta` and `send` use, connected if it is not yet."""
    return _default.client or connect()


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


def send(
    prompt: Messages,
    agent: str | None = None,
    *,
    client: Client | None = None,
    background: bool = False,
    display: bool = True,
    complete: bool = True,
    extra_body: Mapping[str, Any] | None = None,
    **parameters: Unpack[SendParameters],
) -> Run:
    """Send a prompt to an agent and return the Run: shown live in a notebook, plain elsewhere. What `%letta` calls.

    `prompt`: text, or a list of messages as the endpoint takes them. `agent`: id or name; by default the one of
    `connect(agent=...)`, else the server's only one. `background`: return at once, the view streams on. `complete`:
    afterwards fetch what the stream leaves out (tokens and times of each step), where the server has it. Parameters are
    the endpoint's own. Raises a letta_nb error if the request is refused; a run that fails later is returned, with
    `run.status` and `run.error`. Interrupting the cell cancels the run; `last_run()` keeps what arrived.
    """
    client = client or current()
    stream = client.stream(agent or _agent(client), prompt, extra_body=extra_body, **parameters)
    live: Live
    if display and notebook.in_notebook():
        from letta_nb.widget import LiveView

        view = LiveView(stream.run, stream.elapsed, lambda: live.cancel(), waited=not background)
        live = Live(client, stream, view, complete=complete)
        view.show()
        notebook.mark_shown(stream.run)
    else:
        live = Live(client, stream, complete=complete)
    _default.last = live.run
    live.start()
    return live.run if background else live.wait()


def _agent(client: Client) -> str:
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
    if not notebook.in_notebook():
        return again.play()
    from letta_nb.widget import LiveView

    view = LiveView(again.run, again.elapsed, again.stop)
    view.show()
    notebook.mark_shown(again.run)
    return again.play(view)


def load(path: str | Path) -> Run | list[Run]:
    """A run file, or raw recorded SSE bytes (`.sse`), as a Run; a pattern with `*` as a list of Runs."""
    from letta_nb import record

    return record.load(path)
