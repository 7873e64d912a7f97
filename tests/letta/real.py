"""What the tests against a real server share: its agents by plain HTTP, and a person with either client."""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Literal

import httpx

import letta_nb
from letta_nb import events
from letta_nb.answers import Answers, Decision
from letta_nb.run import Run

LEAVE = "leave"
"""What a watcher returns to leave the stream where it is."""
Watch = Callable[[Run, events.AnyEvent], Any]

# name: parameters, their description, the body, and whether a call needs an approval
TOOLS = {
    "get_weather": (
        "city: str",
        "city (str): The city.",
        'print("looking up", city)\n    return "21 in " + city',
        False,
    ),
    "roll_die": ("", "", 'return "4"', False),
    "always_fails": (
        "why: str",
        "why (str): The reason.",
        'import sys\n    print("said before")\n    print("warned before", file=sys.stderr)\n    raise ValueError(why)',
        False,
    ),
    "sleep_for": (
        "seconds: int",
        "seconds (int): How long.",
        'import time\n    time.sleep(seconds)\n    return "slept"',
        False,
    ),
    "danger": ("target: str", "target (str): What is in danger.", 'return "done to " + target', True),
}
# what a notebook offers, as the wire has it
KERNEL_FN = {
    "name": "kernel_fn",
    "description": "A function of the notebook.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


def source_of(name: str) -> str:
    """A tool's Python source, as Letta takes it."""
    parameters, described, body, _ = TOOLS[name]
    arguments = f"\n\n    Args:\n        {described}" if described else ""
    words = f'"""The tool {name}.{arguments}\n\n    Returns:\n        str: What came of it.\n    """'
    return f"def {name}({parameters}) -> str:\n    {words}\n    {body}\n"


class Letta:
    """The real server, by plain HTTP: what letta_nb has no call for, and what it is checked against."""

    def __init__(self, url: str, model: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=60)
        self._llm = {
            "model": "gpt-4o-mini",
            "handle": "openai/gpt-4o-mini",
            "model_endpoint_type": "openai",
            "model_endpoint": model,
            "context_window": 128000,
            "put_inner_thoughts_in_kwargs": False,
            "parallel_tool_calls": True,
        }
        self._tools = [self._tool(name) for name in TOOLS]

    def _tool(self, name: str) -> str:
        body = {"source_code": source_of(name), "source_type": "python", "default_requires_approval": TOOLS[name][3]}
        return self.ask("PUT", "/v1/tools/", json=body)["id"]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """A request that must succeed; its JSON."""
        response = self._http.request(method, path, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json()

    def agent(self, remembers: str | None = None) -> str:
        """A new agent with all tools; its id. Each test has its own: what one leaves pending disturbs no other.

        `remembers`: what its memory block `human` has; it can change that then.
        """
        body: dict[str, Any] = {
            "name": f"nb-{uuid.uuid4().hex[:12]}",
            "agent_type": "letta_v1_agent",
            "include_base_tools": False,
            "tool_ids": self._tools,
            "llm_config": self._llm,
        }
        if remembers is not None:
            body |= {"tools": ["memory_insert"], "memory_blocks": [{"label": "human", "value": remembers}]}
        return self.ask("POST", "/v1/agents/", json=body)["id"]

    def conversation(self, agent: str) -> str:
        """A new conversation of the agent's; its id."""
        return self.ask("POST", "/v1/conversations/", params={"agent_id": agent}, json={})["id"]

    def row(self, run_id: str | None) -> dict[str, Any]:
        """The server's row of a run."""
        return self.ask("GET", f"/v1/runs/{run_id}")

    def row_once(self, run_id: str | None, status: str) -> dict[str, Any]:
        """The row of a run, once it has that status: it is written a moment after the stream has ended."""
        while True:
            row = self.row(run_id)
            if row["status"] == status:
                return row
            time.sleep(0.1)

    def close(self) -> None:
        self._http.close()


class Person:
    """Somebody with a client. `client` is a Client or an AsyncClient; results of either come out of the same calls."""

    client: Any

    def send(self, agent: str, prompt: Any, watch: Watch | None = None, **options: Any) -> Run:
        """Send and read to the end, telling `watch` each event."""
        return self.read(self.client.stream(agent, prompt, **options), watch)

    def answer(self, run: Run, *decisions: Decision, watch: Watch | None = None) -> Run:
        """Answer all pending calls, in order, with one decision each (or one for all), and read on."""
        answers, pending = Answers(run), run.pending
        for call, (approve, reason) in zip(pending, decisions * (len(pending) // len(decisions)), strict=True):
            answers.decide(call, approve=approve, reason=reason, at=None)
        return self.read(self.client.answer(run, answers), watch)

    def return_for(self, run: Run, results: dict[str, dict[str, Any]]) -> Run:
        """Answer the pending calls of functions of ours with tool returns, by the arguments of the call."""
        answers = Answers(run)
        for call in run.pending:
            answers.ran(call, results[call.arguments], letta_nb.entries.CallTimes())
        return self.read(self.client.answer(run, answers), None)

    def complete(self, run: Run) -> Run:
        """What the stream left out, as a notebook would fetch it."""
        self.value(self.client.complete(run))
        return run

    def read(self, stream: Any, watch: Watch | None) -> Run:
        raise NotImplementedError

    def value(self, result: Any) -> Any:
        """What a call of the client came to."""
        raise NotImplementedError

    def every(self, items: Any) -> list[Any]:
        """All of a list of the client's."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Blocking(Person):
    """A person with a Client."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = letta_nb.Client(url, timeout=60, **options)

    def read(self, stream: Any, watch: Watch | None) -> Run:
        with stream:
            for event in stream:
                if watch is not None and watch(stream.run, event) == LEAVE:
                    break
        return stream.run

    def value(self, result: Any) -> Any:
        return result

    def every(self, items: Iterable[Any]) -> list[Any]:
        return list(items)

    def close(self) -> None:
        self.client.close()


class Asynchronous(Person):
    """A person with an AsyncClient, whose every call is awaited on one loop."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.Runner()
        self.client = letta_nb.AsyncClient(url, timeout=60, **options)

    def read(self, stream: Any, watch: Watch | None) -> Run:
        return self._loop.run(self._read(stream, watch))

    async def _read(self, stream: Any, watch: Watch | None) -> Run:
        async with stream:
            async for event in stream:
                told = None if watch is None else watch(stream.run, event)
                if inspect.isawaitable(told):
                    told = await told
                if told == LEAVE:
                    break
        return stream.run

    def value(self, result: Any) -> Any:
        async def wait() -> Any:
            return await result

        return self._loop.run(wait())

    def every(self, items: AsyncIterator[Any]) -> list[Any]:
        async def collect() -> list[Any]:
            return [item async for item in items]

        return self._loop.run(collect())

    def close(self) -> None:
        self._loop.run(self.client.aclose())
        self._loop.close()


PEOPLE: dict[Literal["Client", "AsyncClient"], type[Any]] = {"Client": Blocking, "AsyncClient": Asynchronous}


def thoughts(run: Run) -> list[str]:
    """The texts of a run's reasoning, in order."""
    return [entry.text for entry in run.entries if entry.kind == "reasoning"]


def kinds(run: Run) -> list[str]:
    """What a run's transcript consists of."""
    return [entry.kind for entry in run.entries]
