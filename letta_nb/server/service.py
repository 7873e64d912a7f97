"""The server's state: its store, its agents and the runs that are going on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from letta_nb.server import wire
from letta_nb.server.approvals import Approvals, Pending
from letta_nb.server.background import Background
from letta_nb.server.eras import EraName, Modern, Seed
from letta_nb.server.events import Reply
from letta_nb.server.feed import Feed
from letta_nb.server.memory import Memory
from letta_nb.server.programs import Program
from letta_nb.server.records import RunRecord
from letta_nb.server.roster import Roster, context_window
from letta_nb.server.runner import Run
from letta_nb.server.schemas import BlockCreate
from letta_nb.server.steps import Turn
from letta_nb.server.store import Store, Thread
from letta_nb.server.transcript import Transcript

_END_SECONDS = 2


@dataclass(frozen=True)
class Settings:
    """What `serve` was told, apart from where to listen."""

    database: str | Path | None = None
    password: str | None = None
    message_tool: bool = False
    ping_interval: float = 20.0
    background: bool = True
    background_ttl: float = 3 * 3600
    era: EraName = "modern"
    # of the programs' own agents, by name
    blocks: Mapping[str, Sequence[BlockCreate]] = field(default_factory=dict[str, Sequence[BlockCreate]])

    @property
    def seed(self) -> bool:
        """Whether to speak as the seed era did."""
        return self.era == "seed"


class NothingToCancel(LookupError):
    """None of the runs meant is going on."""


class Busy(Exception):
    """Another request is being answered in the thread; `run_id` is its run."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"CONFLICT: Cannot send a new message: Another request (run_id={run_id}) is currently being processed "
            "for this conversation. Please wait for it to complete."
        )
        self.run_id = run_id


class Service:
    """Everything behind the routes. Lives on one event loop."""

    def __init__(self, programs: Mapping[str, Program], settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.database)
        self.memory = Memory(self.store)
        self.roster = Roster(
            self.store, programs, self.memory, message_tool=settings.message_tool, blocks=settings.blocks
        )
        self.transcript = Transcript(self.store)
        self.approvals = Approvals(self.store)
        self.background = Background(self.store, enabled=settings.background, ttl=settings.background_ttl)
        self._active: dict[str, tuple[Run, asyncio.Task[None]]] = {}
        self._locks: dict[Thread, str] = {}
        for row in self.store.page("runs", status="running"):
            self.store.update("runs", row["id"], status="failed", stop_reason="error", error="The server was stopped")
            if row["background"]:
                self.background.bury(row["id"])

    def start(self, turn: Turn, *, run_type: str, lock: bool = False) -> Run:
        """Begin a run; it goes on by itself. With `lock`, Busy while another run that locks is in the thread."""
        if lock and (holder := self._locks.get(turn.thread)):
            raise Busy(holder)
        request = turn.request
        window = context_window(turn.agent, turn.program)
        record = RunRecord(self.store, turn.thread, request, turn.program.model, run_type, window)
        otids = [item.otid for item in request.messages or ()]
        speech = Seed(turn.agent["name"]) if turn.seed else Modern()
        feed = self.background.open(record.id, otids) if request.background else Feed(speech)
        run = Run(turn, record, feed, self.transcript, self.approvals, self.memory)
        task = asyncio.create_task(run.execute())
        self._active[run.id] = run, task
        if lock:
            self._locks[turn.thread] = run.id
        task.add_done_callback(lambda _: self._ended(run))
        return run

    def _ended(self, run: Run) -> None:
        self._active.pop(run.id, None)
        self.background.end(run.id)
        if self._locks.get(run.thread) == run.id:
            del self._locks[run.thread]

    def cancel(self, agent_id: str, run_ids: Iterable[str] | None) -> dict[str, str]:
        """Cancel the agent's runs, or those that are named; a run that waits for approval counts as going on."""
        active = [run for run, _ in self._active.values() if run.thread.agent_id == agent_id]
        waiting = self.approvals.all(agent_id)
        if not run_ids:
            return self._cancel(active, waiting, f"agent {agent_id}")
        wanted = list(dict.fromkeys(run_ids))
        going = {run.id for run in active if not run.feed.closed} | {pending.run_id for pending in waiting}
        if going & set(wanted):
            named = [run for run in active if run.id in wanted], [p for p in waiting if p.run_id in wanted]
            self._cancel(*named, f"agent {agent_id}")
        rows = {run_id: self.store.get("runs", run_id) for run_id in wanted}
        # a run that is over is left as it is, and 0.16.8 calls that cancelled
        return {i: "cancelled" if row and row["agent_id"] == agent_id else "failed" for i, row in rows.items()}

    def cancel_thread(self, thread: Thread) -> dict[str, str]:
        """Cancel what goes on in a conversation."""
        active = [run for run, _ in self._active.values() if run.thread == thread]
        pending = self.approvals.pending(thread)
        return self._cancel(active, [pending] if pending else [], f"conversation {thread.conversation_id or 'default'}")

    def _cancel(self, active: Iterable[Run], waiting: Iterable[Pending], where: str) -> dict[str, str]:
        done: dict[str, str] = {}
        for run in active:
            if not run.feed.closed:
                run.cancel()
                done[run.id] = "cancelled"
        for pending in waiting:
            self._withdraw(pending)
            done[pending.run_id] = "cancelled"
        if not done:
            raise NothingToCancel(f"CONFLICT: No active runs to cancel for {where}")
        return done

    def _withdraw(self, pending: Pending) -> None:
        answers, request = self.approvals.withdraw(pending)
        thread = Thread(pending.agent_id, pending.conversation_id)
        self.transcript.add_answers(answers, [], thread, pending.run_id)
        self.transcript.add_request(Reply(pending.step_id, pending.run_id), thread, request, {}, None)
        self.store.update("runs", pending.run_id, status="cancelled", stop_reason="cancelled")
        self.store.update("agents", pending.agent_id, last_stop_reason="cancelled", updated_at=wire.utc_text())

    async def forget(self, agent_id: str) -> None:
        """Delete an agent; its runs end first."""
        await self._end([(run, task) for run, task in self._active.values() if run.thread.agent_id == agent_id])
        self.store.delete("agents", agent_id)

    async def close(self) -> None:
        """End all runs and streams, then the store."""
        await self._end(list(self._active.values()))
        self.store.close()

    async def _end(self, active: list[tuple[Run, asyncio.Task[None]]]) -> None:
        for run, task in active:
            run.cut()
            task.cancel()
        if active:
            await asyncio.wait([task for _, task in active], timeout=_END_SECONDS)
