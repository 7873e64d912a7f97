"""The embedded agent server. Importing this is cheap; what it needs (`letta-nb[local]`) is imported by `serve`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from letta_nb.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_ai import Agent
    from pydantic_ai.models import Model

    from letta_nb.server.eras import EraName
    from letta_nb.server.faults import Fault
    from letta_nb.server.lifecycle import Server

__all__ = ["serve"]

_EXTRA = ("fastapi", "pydantic_ai", "uvicorn")


def serve(
    agents: Mapping[str, Agent[Any, Any]] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    model: Model | str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    database: str | Path | None = None,
    password: str | None = None,
    message_tool: bool = False,
    ping_interval: float = 20.0,
    background: bool = True,
    background_ttl: float = 3 * 3600,
    era: EraName = "modern",
    pace: float = 45.0,
    fault: Fault | None = None,
) -> Server:
    """Serve agents on the Letta endpoint. The server is started: use it in a `with` block, or `stop()` it.

    Args:
        agents: pydantic-ai agents by name. Without: the demo agent, whose model is a script unless `model` is given.
        host: Where to listen; anything but loopback needs a password.
        port: 0 takes a free one; `server.url` has it.
        model: For agents without a model of their own: a pydantic-ai model or its name, or "smollm2".
        base_url: An OpenAI-compatible server that has `model`.
        api_key: The key for `base_url`.
        database: A SQLite file that keeps agents, messages and runs; in memory by default.
        password: What clients must send as bearer key or X-BARE-PASSWORD.
        message_tool: Give the agents Letta's `send_message` tool to speak with.
        ping_interval: Seconds of silence before a ping.
        background: Whether runs may go on in the background; without, as a Letta server that has no Redis.
        background_ttl: For how many seconds after its start the stream of a background run can be read again.
        era: "seed" speaks as the servers of early 2025 did: no approvals, no background, no cancel, fewer fields.
        pace: Tokens per second of the scripted model; 0 for as fast as it can.
        fault: For tests: how answers to messages go wrong, one of the names in `letta_nb.server.faults`.
    """
    require_extra()
    from letta_nb.server.assembly import assemble

    server = assemble(
        agents,
        host=host,
        port=port,
        model=model,
        base_url=base_url,
        api_key=api_key,
        database=database,
        password=password,
        message_tool=message_tool,
        ping_interval=ping_interval,
        background=background,
        background_ttl=background_ttl,
        era=era,
        pace=pace,
        fault=fault,
    )
    return server.start()


def require_extra() -> None:
    """Raise ConfigurationError, with what to install, unless all that `serve` needs is there."""
    from importlib.util import find_spec

    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise ConfigurationError(
            f'The embedded server needs {", ".join(missing)}: pip install "letta-nb[local]". '
            "Or connect to a Letta server: letta_nb.connect(...)"
        )


def __getattr__(name: str) -> Any:
    if name == "Server":
        require_extra()
        from letta_nb.server.lifecycle import Server

        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
