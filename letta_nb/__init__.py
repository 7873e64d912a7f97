"""letta_nb: see a Letta agent think, live, in the notebook. Keep the run. Analyse it.

`%load_ext letta_nb`, then `%letta What is the weather in Oslo?`; or `run = letta_nb.send("...")` without magics.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from letta_nb._version import __version__

if TYPE_CHECKING:
    from letta_nb import frames as frames
    from letta_nb import plots as plots
    from letta_nb.api import agents, attach, connect, forget_tools, last_run, load, send, tool
    from letta_nb.async_client import AsyncClient
    from letta_nb.client import Client
    from letta_nb.comparison import compare
    from letta_nb.errors import LettaNbError
    from letta_nb.explanation import explain
    from letta_nb.frames import events_df, messages_df, runs_df, steps_df, tools_df, usage_df
    from letta_nb.guard import check
    from letta_nb.many import fan_out, last_fan_out
    from letta_nb.otel import to_otel
    from letta_nb.parquet import to_parquet
    from letta_nb.prices import forget_prices, set_price
    from letta_nb.run import Run
    from letta_nb.server import Server, serve
    from letta_nb.stream import AsyncStream, Stream
    from letta_nb.summary import tool_summary

# Everything by name, nothing before its time: pandas, httpx, anywidget and the server load when they are used.
_HOME = {
    "agents": "api",
    "attach": "api",
    "connect": "api",
    "fan_out": "many",
    "forget_prices": "prices",
    "forget_tools": "api",
    "last_fan_out": "many",
    "last_run": "api",
    "load": "api",
    "send": "api",
    "tool": "api",
    "AsyncClient": "async_client",
    "AsyncStream": "stream",
    "Client": "client",
    "check": "guard",
    "compare": "comparison",
    "Stream": "stream",
    "LettaNbError": "errors",
    "events_df": "frames",
    "explain": "explanation",
    "messages_df": "frames",
    "runs_df": "frames",
    "steps_df": "frames",
    "tool_summary": "summary",
    "tools_df": "frames",
    "usage_df": "frames",
    "Run": "run",
    "Server": "server",
    "set_price": "prices",
    "to_otel": "otel",
    "to_parquet": "parquet",
    "serve": "server",
}

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "Client",
    "LettaNbError",
    "Run",
    "Server",
    "Stream",
    "__version__",
    "agents",
    "attach",
    "check",
    "compare",
    "connect",
    "events_df",
    "explain",
    "fan_out",
    "forget_prices",
    "forget_tools",
    "last_fan_out",
    "last_run",
    "load",
    "messages_df",
    "runs_df",
    "send",
    "serve",
    "set_price",
    "steps_df",
    "to_otel",
    "to_parquet",
    "tool",
    "tool_summary",
    "tools_df",
    "usage_df",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = globals()[name] = getattr(importlib.import_module(f"letta_nb.{_HOME[name]}"), name)
        return value
    if name in ("errors", "events", "frames", "plots"):
        return importlib.import_module(f"letta_nb.{name}")
    raise AttributeError(f"module 'letta_nb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext letta_nb`: registers `%letta` and `%%letta`."""
    from letta_nb import magics

    magics.register(ipython)
