"""The server's state: its store, its agents and the runs that are going on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from letta_nb.server.programs import Program
from letta_nb.server.records import RunRecord
from letta_nb.server.roster import Roster
from letta_nb.server.runner import Run
from letta_nb.server.schemas import StreamRequest
from letta_nb.server.store import Row, Store
from letta_nb.server.transcript import Transcript

_END_SECONDS = 2


@dataclass(frozen=True)
class Settings:
    """What `serve` was told, apart from where to listen."""

    database: str | Path | None = None
    password: str | None = None
    message_tool: bool = False
    ping_interval: float = 20.0


class NothingToCancel(LookupError):
    """None of the runs meant is going on."""


class Service:
    """Everything behind the routes. Lives on one event loop."""

    def __init__(self, programs: Mapping[str, Program], settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.database)
        self.roster = Roster(self.store, programs, message_tool=settings.message_tool)
        self.transcript = Transcript(self.store)
        self._active: dict[str, tuple[Run, asyncio.Task[None]]] = {}
        for row in self.store.page("runs", status="running"):
            self.store.update("runs", row["id"], status="failed", stop_reason="error", error="The server was stopped")

    def start(self, agent: Row, program: Program, request: StreamRequest) -> Run:
        """Begin a run; it goes on by itself."""
        record = RunRecord(self.store, agent["id"], request, program.model)
        run = Run(agent, program, request, record, self.transcript)
        task = asyncio.create_task(run.execute())
        self._active[run.id] = run, task
        task.add_done_callback(lambda _: self._active.pop(run.id, None))
        return run

    def cancel(self, agent_id: str, run_ids: Iterable[str] | None) -> dict[str, str]:
        """Cancel the agent's runs, or those of them that are named."""
        wanted = None if run_ids is None else set(run_ids)
        runs = [run for run, _ in self._active.values() if run.agent_id == agent_id and not run.feed.closed]
        chosen = [run for run in runs if wanted is None or run.id in wanted]
        if not chosen:
            raise NothingToCancel(f"No active runs to cancel for agent {agent_id}")
        for run in chosen:
            run.cancel()
        return {run.id: "cancelled" for run in chosen}

    async def forget(self, agent_id: str) -> None:
        """Delete an agent; its runs end first."""
        await self._end([(run, task) for run, task in self._active.values() if run.agent_id == agent_id])
        self.store.delete("agents", agent_id)

    async def close(self) -> None:
        """End all runs and streams, then the store."""
        await self._end(list(self._active.values()))
        self.store.close()

    async def _end(self, active: list[tuple[Run, asyncio.Task[None]]]) -> None:
        for run, task in active:
            run.cancel()
            task.cancel()
        if active:
            await asyncio.wait([task for _, task in active], timeout=_END_SECONDS)
