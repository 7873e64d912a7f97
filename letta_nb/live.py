"""A run being read: on a thread of its own, so that whoever waits can be interrupted, and stop or answer it.

A run may have several legs: when it asks for approval it pauses, and goes on in the same Run when it is answered, from
Python or by the page's buttons. Functions of this kernel run on the thread that waits, if there is one: only there can
`breakpoint()` talk to the notebook.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Literal, Protocol

from letta_nb.answers import Answers, Decision
from letta_nb.client import Client
from letta_nb.entries import CallTimes, Cancel, Change, RunError, ToolCallEntry
from letta_nb.errors import InputError, Interrupted, PendingApproval
from letta_nb.exchange import Reply
from letta_nb.page import CallAnswer
from letta_nb.run import Run
from letta_nb.stopping import ask_to_stop
from letta_nb.stream import Stream
from letta_nb.tools import Tool

# How long the server gets to end a stopped run in its own words before the connection is closed.
GRACE_S = 2.0
# How long a finished run waits for the server's own figures.
COMPLETE_S = 3.0


class View(Protocol):
    """Who watches a run: told of each change, of each pause for approval, and once of the end."""

    def changed(self, run: Run, changes: Sequence[Change]) -> None: ...
    def paused(self, run: Run) -> None: ...
    def ended(self, run: Run, problem: Exception | None) -> None: ...


# How a person is asked before a function of this kernel runs: by the page's buttons, by a question in place, or not at
# all, where nobody is there; the run then returns with the call pending.
Asks = Literal["page"] | Callable[[ToolCallEntry], Decision] | None


class Live:
    """One run being read. `wait()` returns the Run; `cancel()` and `answer()` may be called from any thread."""

    def __init__(
        self,
        client: Client,
        opened: Stream | Run,
        view: View | None = None,
        *,
        tools: Iterable[Tool] = (),
        asks: Asks = None,
        complete: bool = True,
    ) -> None:
        self.run = opened if isinstance(opened, Run) else opened.run
        self.problem: Exception | None = None
        self.tools = {tool.name: tool for tool in tools}
        self._client = client
        self._stream = None if isinstance(opened, Run) else opened
        # of a run that an earlier process made, the clock goes on by the calendar
        self._zero = client.clock_of(self.run)
        self.view = view
        self._asks: Asks = asks
        self._complete = complete
        self._answers = Answers(self.run)
        self._lock = threading.RLock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._busy = 0
        self._waiting = 0
        self._over = threading.Event()
        # the stream is read; its connection may serve another by now
        self._read_over = threading.Event()
        if self._stream is None:
            self._over.set()
            self._read_over.set()
        self._cancelling = False
        self._finished = False
        # threads publish to the cell that started them: Jupyter keeps that in a context variable
        self._context = contextvars.copy_context()
        self.run.live = self

    def start(self) -> Live:
        """Send what is to be sent and read on in the background."""
        self._tell(self.run.opening())
        if self._stream is not None:
            self._begin(self._stream)
        return self

    def _begin(self, stream: Stream) -> None:
        self._stream, self.problem = stream, None
        self._cancelling = False
        self._over.clear()
        self._read_over.clear()
        self._spawn(lambda: self._read(stream), "reader")

    def _spawn(self, work: Callable[[], None], name: str) -> None:
        context = self._context.copy()
        threading.Thread(target=context.run, args=(work,), name=f"letta_nb {name}", daemon=True).start()

    @property
    def elapsed(self) -> int:
        """ns since the run's first request was sent."""
        return time.monotonic_ns() - (self._zero if self._stream is None else self._stream.start)

    @property
    def over(self) -> bool:
        """Whether everything has been read, up to the end or to a request for approval."""
        return self._over.is_set()

    # -- waiting -------------------------------------------------------------------------------------------------------

    def wait(self, *, answered: bool = False, first: Callable[[], None] | None = None) -> Run:
        """Wait until everything has been read; with `answered`, until approval requests are answered too.

        `first` is done first, while this thread is known to wait.

        Raises the letta_nb error of a refused request. KeyboardInterrupt cancels the run first and goes on as
        Interrupted, with what arrived.
        """
        self._waiting += 1
        try:
            if first is not None:
                first()
            while not self._over.is_set() or (answered and self._is_paused()):
                with suppress(queue.Empty):
                    if (job := self._jobs.get(timeout=0.1)) is not None:
                        job()
        except KeyboardInterrupt:
            self._interrupted()
            raise Interrupted(self.run) from None
        finally:
            self._waiting -= 1
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem
        return self.run

    def _is_paused(self) -> bool:
        return bool(self.run.pending) and self.problem is None

    def _interrupted(self) -> None:
        if self._read_over.is_set():  # it only waits for a person: nothing is going on that could be cancelled
            self._over.set()
            return
        self.cancel()
        if not self._over.wait(GRACE_S + 1.0):
            self._abandon()

    # -- stopping ------------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Ask the server to stop the run, without waiting: `run.cancellation` will have its word."""
        with self._lock:
            stream = self._stream
            if stream is None or self._cancelling or self._read_over.is_set():
                return
            self._cancelling = stream.stopping = True
        self._tell(self.run.cancel_told(Cancel(asked_at=self.elapsed), self.elapsed))
        self._spawn(lambda: self._cancel(stream), "cancel")

    def _cancel(self, stream: Stream) -> None:
        asked, deadline = self.elapsed, time.monotonic() + GRACE_S
        # the first event may be the one that tells the run_id
        while self.run.legs[-1].run_id is None and time.monotonic() < deadline and not self._read_over.wait(0.02):
            pass
        if not self._read_over.is_set():
            cancel = ask_to_stop(self._client, self.run, asked, GRACE_S)
            self._tell(self.run.cancel_told(cancel, self.elapsed))
        if not self._read_over.wait(max(0.5, deadline - time.monotonic())):
            stream.shutdown()

    def _stopped_in_vain(self) -> None:
        """A server may agree to cancel what is over already: what it said in the stream counts."""
        cancel = self.run.cancellation
        if cancel is not None and cancel.outcome == "cancelled" and self.run.status == "completed":
            said = Cancel(asked_at=cancel.asked_at, outcome="nothing", words="The run was over already.")
            self._tell(self.run.cancel_told(said, self.elapsed))

    def _abandon(self) -> None:
        # the reader hangs where nothing can reach it (a connect, say): end the run without it
        if self._stream is not None:
            self._stream.shutdown()
        self._tell(self.run.end(self.elapsed, RunError("closed", "The run was given up here.")))
        self._finish()

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, stream: Stream) -> None:
        stream.on_change = lambda: self._tell(stream.take())
        try:
            with stream:
                if isinstance(stream.sent, Reply):
                    self._answers = Answers(self.run)
                self._tell(stream.take())
                for _ in stream:
                    self._tell(stream.take())
            # how it ended, where no event said so
            self._tell(stream.take())
            self._read_over.set()
            self._stopped_in_vain()
            if self._complete:
                self._fetch()
        except Exception as problem:
            self.problem = problem
            self._tell(stream.take())
            if isinstance(problem, PendingApproval):
                self._fetch()  # what it waits for: the way out
        finally:
            self._read_over.set()
            self._after_leg()

    def _fetch(self) -> None:
        """What the stream leaves out. Never fatal: a server may not have it, or be gone, or say it in another shape."""
        with suppress(Exception):
            self._tell(self._client.complete(self.run, timeout=COMPLETE_S))

    def _after_leg(self) -> None:
        if not self.run.pending:
            self._finish()
            return
        self._show(lambda view: view.paused(self.run))
        if self.problem is None:
            for call in self.run.pending:
                self._consider(call)
        self._settle()

    def _tell(self, changes: Sequence[Change]) -> None:
        """Pass changes on. A view that fails is left out of the rest: it must not stop the reading."""
        if changes:
            self._show(lambda view: view.changed(self.run, changes))

    def _show(self, what: Callable[[View], None]) -> None:
        if self.view is not None:
            try:
                what(self.view)
            except Exception as broken:
                self.view = None
                words = f"letta_nb: the run could not be shown here: {broken!r}. run.show() tries again."
                warnings.warn(words, stacklevel=2)

    def _finish(self) -> None:
        with self._lock:
            if self._finished:
                return
            self._finished = True
        try:
            self._show(lambda view: view.ended(self.run, self.problem))
        finally:
            self._release()

    def _release(self) -> None:
        self._over.set()
        self._jobs.put(None)  # whoever waits looks up at once

    # -- answering -----------------------------------------------------------------------------------------------------

    def answer(self, calls: Sequence[ToolCallEntry], decision: Decision) -> None:
        """Answer pending calls; with the last of them the run goes on. From any thread; raises InputError."""
        foreign = [call.name for call in calls if call.here and call.name not in self.tools]
        if decision.approve and foreign:
            raise InputError(
                f"{', '.join(map(str, foreign))} is a function of the kernel that sent the prompt, and not known here: "
                "define it with @letta_nb.tool first, or run.deny()."
            )
        if threading.current_thread() is threading.main_thread():
            # from now on this cell is being run: a front end without pages to click listens to no other
            self._context = contextvars.copy_context()
        with self._lock:
            for call in calls:
                if call.approval != "pending":
                    continue
                if decision.approve and call.name in self.tools:
                    self._call(call, self.elapsed)
                else:
                    self._tell(self._answers.decide(call, **decision._asdict(), at=self.elapsed))
        self._settle()

    def heard(self, said: Sequence[CallAnswer]) -> None:
        """The page's buttons: answers on a thread of its own, because whoever hears them must not do more."""
        self._spawn(lambda: self._answer_page(said), "answer")

    def _answer_page(self, said: Sequence[CallAnswer]) -> None:
        for words in said:
            calls = [call for call in self.run.pending if call.tool_call_id == words["call_id"]]
            try:
                self.answer(calls, Decision(bool(words["approve"]), words.get("reason") or None))
            except InputError as problem:
                warnings.warn(f"letta_nb: {problem}", stacklevel=2)

    def _settle(self) -> None:
        """Go on when everything is answered; let whoever waits go when nothing more will happen by itself."""
        with self._lock:
            # a function that still runs has an answer to give, though its call is pending no more
            if self._answers.complete and not self._busy and self.problem is None:
                self._begin(self._client.answer(self.run, self._answers, time.monotonic_ns() - self.elapsed))
                return
            asked = self._asks == "page" and self._waiting and any(c.name in self.tools for c in self.run.pending)
            if self._busy or (asked and self.problem is None):
                return
        self._release()

    # -- functions of this kernel --------------------------------------------------------------------------------------

    def _consider(self, call: ToolCallEntry) -> None:
        """A pending call of a function of ours: run it if it may, else ask where asking is a matter of this thread."""
        tool = self.tools.get(call.name or "")
        if tool is None:
            return
        if tool.approve == "always":
            self._call(call, self.elapsed)
        elif callable(self._asks) and self._waiting:
            ask = self._asks
            self._do(lambda: self._ask(ask, call))

    def _ask(self, ask: Callable[[ToolCallEntry], Decision], call: ToolCallEntry) -> None:
        self.answer([call], ask(call))

    def _call(self, call: ToolCallEntry, answered_at: int) -> None:
        call.approval = "approved"  # at once: it must not be answered twice
        self._do(lambda: self._run_tool(call, answered_at))

    def _do(self, job: Callable[[], None]) -> None:
        with self._lock:
            self._busy += 1
            self._over.clear()

        def work() -> None:
            try:
                job()
            finally:
                with self._lock:
                    self._busy -= 1
                self._settle()

        if self._waiting:
            self._jobs.put(work)
        else:
            self._spawn(work, "tool")

    def _run_tool(self, call: ToolCallEntry, answered_at: int) -> None:
        started = self.elapsed
        self._tell(self._answers.began(call, started, answered_at))
        try:
            outcome = self.tools[str(call.name)].call(call.arguments)
        except KeyboardInterrupt:
            self._tell(self._answers.interrupted(call, self.elapsed))
            raise
        item = {
            "tool_return": outcome.result,
            "status": outcome.status,
            "stdout": outcome.stdout or None,
            "stderr": outcome.stderr or None,
        }
        self._tell(self._answers.ran(call, item, CallTimes(answered_at, started, self.elapsed)))
