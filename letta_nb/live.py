"""A run being read: on a thread of its own, so that whoever waits can be interrupted, and stop or answer it.

A run may have several legs: when it asks for approval it pauses, and goes on in the same Run when it is answered, from
Python or by the page's buttons. Functions of this kernel run on the thread that waits, if there is one: only there can
`breakpoint()` talk to the notebook.

What it does is one `phase`, changed under one lock: "reading" a stream; "deciding" while answers are collected and own
functions run; "sending" them, until the server has taken them; "over".
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Literal

from letta_nb import prices
from letta_nb.answers import Answers, Decision, given
from letta_nb.audience import Asks, View
from letta_nb.client import Client
from letta_nb.entries import CallTimes, Cancel, Change, RunError, ToolCallEntry
from letta_nb.errors import InputError, Interrupted, PendingApproval
from letta_nb.exchange import Attach, Reply
from letta_nb.page import CallAnswer
from letta_nb.run import Run
from letta_nb.stopping import ask_to_stop, stopped_in_vain
from letta_nb.stream import Stream
from letta_nb.tools import Tool

# How long the server gets to end a stopped run in its own words before the connection is closed.
GRACE_S = 2.0
COMPLETE_S = 3.0  # how long a finished run waits for the server's own figures

Phase = Literal["reading", "deciding", "sending", "over"]


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
        recorder: View | None = None,
    ) -> None:
        self.run = opened if isinstance(opened, Run) else opened.run
        self.problem: Exception | None = None
        self.tools = {tool.name: tool for tool in tools}
        self.view = view
        self._client = client
        self._stream = None if isinstance(opened, Run) else opened
        # of a run that an earlier process made, the clock goes on by the calendar
        self._zero = client.clock_of(self.run)
        self._asks: Asks = asks
        self._complete, self._recorder = complete, recorder
        self._lock = threading.RLock()
        self._phase: Phase = "deciding" if self._stream is None else "reading"
        self._answers = Answers(self.run)
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._busy: list[int] = []  # the own functions that run or are about to, by their calls' index
        self._waiting, self._stopping = 0, False
        # resting: nothing more happens by itself, as it is over or waits for a person
        self._rests, self._read_over = threading.Event(), threading.Event()
        if self._stream is None:
            self._rests.set()
            self._read_over.set()
        # threads publish to the cell that started them; Jupyter keeps that in a context variable
        self._context = contextvars.copy_context()
        self.run.live = self

    def start(self) -> Live:
        """Send what is to be sent and read on in the background."""
        if self._stream is None:  # a page has seen nothing of it yet
            again = self.run.blank()
            for changes in again.follow(self.run):
                self._show(lambda view, changes=changes: view.changed(again, changes))
        else:
            self._tell(self.run.opening())
            self._spawn_reader(self._stream)
            if self.view is not None:
                self._spawn(prices.load, "prices")  # the end of the run tells its cost
        return self

    def _spawn_reader(self, stream: Stream) -> None:
        self._stream, self.problem, self._stopping = stream, None, False
        self._rests.clear()
        self._read_over.clear()
        self._spawn(lambda: self._read(stream), "reader")

    def _spawn(self, work: Callable[[], None], name: str) -> None:
        context = self._context.copy()
        threading.Thread(target=context.run, args=(work,), name=f"letta_nb {name}", daemon=True).start()

    @property
    def elapsed(self) -> int:
        """ns since the run's first request was sent."""
        return time.monotonic_ns() - (self._zero if self._stream is None else self._stream.start)

    # -- waiting -------------------------------------------------------------------------------------------------------

    def wait(self, *, answered: bool = False, first: Callable[[], None] | None = None) -> Run:
        """Wait until everything has been read; with `answered`, until approval requests are answered too.

        `first` is done first, while this thread is known to wait. Raises the letta_nb error of a refused request.
        KeyboardInterrupt cancels the run first and goes on as Interrupted, with what arrived.
        """
        self._waiting += 1
        try:
            if first is not None:
                first()
            while not self._rests.is_set() or (answered and self.run.pending and self.problem is None):
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

    def _interrupted(self) -> None:
        with self._lock:
            deciding = self._phase == "deciding"
            if deciding:  # it only waits for a person: what was about to run here does not, and nothing is sent
                self._stopping = True
                while not self._jobs.empty():
                    self._jobs.get()
                for call in [call for call in self.run.tool_calls if call.index in self._busy and not call.started_at]:
                    self._tell(self._answers.interrupted(call, self.elapsed))
                self._busy.clear()
                self._rests.set()
        if not deciding:
            self.stop()

    # -- stopping ------------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Ask the server to stop the run, without waiting: `run.cancellation` will have its word."""
        with self._lock:
            if self._stopping or self._phase == "over" or (self._phase == "reading" and self._read_over.is_set()):
                return
            self._stopping = True
            if self._stream is not None and self._phase != "deciding":
                self._stream.stopping = True
            # while answers are on their way, it is the run that they begin which is to be stopped
            leg = len(self.run.legs) - (self._phase != "sending")
            phase = self._phase
            self._rests.clear()
        self._tell(self.run.cancel_told(Cancel(asked_at=self.elapsed), self.elapsed))
        self._spawn(lambda: self._cancel_pause() if phase == "deciding" else self._cancel(leg), "cancel")

    def stop(self) -> None:
        """Cancel, and wait for the server's word on it; what nothing can reach any more is given up."""
        self.cancel()
        if not self._rests.wait(GRACE_S + 1.0):
            self._abandon()

    def _cancel(self, leg: int) -> None:
        asked, deadline = self.elapsed, time.monotonic() + GRACE_S
        # the first event may be the one that tells the run_id
        while not self._has_run_id(leg) and time.monotonic() < deadline and not self._read_over.wait(0.02):
            pass
        if not self._read_over.is_set():
            run_id = self.run.legs[leg].run_id if self._has_run_id(leg) else None
            cancel = ask_to_stop(self._client, self.run, run_id, asked, GRACE_S)
            self._tell(self.run.cancel_told(cancel, self.elapsed))
        stream = self._stream
        if not self._read_over.wait(max(0.5, deadline - time.monotonic())) and stream is not None:
            stream.shutdown()

    def _has_run_id(self, leg: int) -> bool:
        return len(self.run.legs) > leg and self.run.legs[leg].run_id is not None

    def _cancel_pause(self) -> None:
        """Stop a run that waits: the server denies what it asked, and the agent is free again."""
        cancel = ask_to_stop(self._client, self.run, self.run.legs[-1].run_id, self.elapsed, GRACE_S)
        self._tell(self.run.cancel_told(cancel, self.elapsed))
        if cancel.outcome == "cancelled":
            self._tell(self.run.stop_waiting(self.elapsed))
            self._finish()
        else:  # it waits on; what own functions return now is not sent before the person says so
            self._rest()

    def _abandon(self) -> None:
        # the reader hangs where nothing can reach it (a connect, say): end the run without it
        if self._stream is not None:
            self._stream.shutdown()
        self._tell(self.run.end(self.elapsed, RunError("closed", "The run was given up here.")))
        self._finish()

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, stream: Stream) -> None:
        stream.on_change = lambda: self._tell(stream.take())
        if self._complete:
            stream.before_sent = lambda: self._client.remember(self.run)
        try:
            with stream:
                with self._lock:
                    self._phase = "reading"
                self._tell(stream.take())
                for _ in stream:
                    self._tell(stream.take())
            # how it ended, where no event said so
            self._tell(stream.take())
            self._read_over.set()
            self._tell(stopped_in_vain(self.run, self.elapsed))
            if self._complete:
                self._fetch()
        except Exception as problem:
            self.problem = problem
            self._tell(stream.take())
            if isinstance(stream.sent, Reply):
                self._answers = given(self.run, stream.sent.given)  # but for what was withdrawn
            if isinstance(problem, PendingApproval):
                self._fetch()  # what it waits for: the way out
        finally:
            self._read_over.set()
            self._after_leg(stream)

    def _fetch(self) -> None:
        """What the stream leaves out. Never fatal: a server may not have it, or be gone, or say it in another shape."""
        with suppress(Exception):
            self._tell(self._client.complete(self.run, timeout=COMPLETE_S))

    def _after_leg(self, stream: Stream) -> None:
        try:
            if not (self.run.pending or (self._answers and self.problem)):
                self._finish()
                return
            with self._lock:
                self._phase = "deciding"
            self._show(lambda view: view.paused(self.run))
            # a run that is shown once more, or asks for another's sake, has had its functions called by whoever made it
            if self.problem is None and not isinstance(stream.sent, Attach) and self.run.error is None:
                for call in self.run.pending:
                    self._consider(call)
            self._advance()
        except Exception as problem:  # whoever waits must hear of it
            self.problem = problem
            self._rest()

    def _tell(self, changes: Sequence[Change]) -> None:
        if changes:
            self._show(lambda view: view.changed(self.run, changes))

    def _show(self, what: Callable[[View], None]) -> None:
        """Tell those who watch. A view that fails is left out of the rest: it must not stop the reading."""
        if self._recorder is not None:
            what(self._recorder)
        if self.view is None:
            return
        try:
            what(self.view)
        except Exception as broken:
            self.view = self._asks = None  # no buttons are left to be asked by
            words = f"letta_nb: the run could not be shown here: {broken!r}. run.show() tries again."
            warnings.warn(words, stacklevel=2)

    def _finish(self) -> None:
        with self._lock:
            if self._phase == "over":
                return
            self._phase = "over"
        try:
            self._show(lambda view: view.ended(self.run, self.problem))
        finally:
            self._rest()

    def _rest(self) -> None:
        self._rests.set()
        self._jobs.put(None)  # whoever waits looks up at once

    # -- answering -----------------------------------------------------------------------------------------------------

    def answer(self, calls: Sequence[ToolCallEntry], decision: Decision) -> None:
        """Answer pending calls; with the last of them the run goes on. From any thread; raises InputError."""
        unknown = [str(call.name) for call in calls if call.here and call.name not in self.tools]
        if decision.approve and unknown:
            raise InputError(
                f"{', '.join(unknown)} is a function of the kernel that sent the prompt, and not known here: "
                "define it with @letta_nb.tool first, or run.deny()."
            )
        if threading.current_thread() is threading.main_thread():
            # from now on this cell is being run: a front end without pages to click listens to no other
            self._context = contextvars.copy_context()
        with self._lock:
            if self._phase != "deciding":
                return
            self._stopping = False
            for call in [call for call in calls if call.approval == "pending"]:
                if decision.approve and call.here:
                    self._call(call)
                else:
                    self._tell(self._answers.decide(call, **decision._asdict(), at=self.elapsed))
        self._advance()

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

    @property
    def unsent(self) -> bool:
        """Whether all is answered, and the server has refused to take it so far."""
        return self._phase == "deciding" and self._answers.complete

    def send_again(self) -> None:
        """Send answers that were refused once more."""
        self.problem, self._stopping = None, False
        self._advance()

    def _advance(self) -> None:
        """Send the answers when all are there; let whoever waits go when nothing more happens by itself."""
        with self._lock:
            if self._phase != "deciding" or self._busy:
                return
            if self._answers.complete and not self._stopping and self.problem is None:
                # taken out at once: whoever comes next must not send them again
                answers, self._answers, self._phase = self._answers, Answers(self.run), "sending"
                answers.offer([tool.definition() for tool in self.tools.values()])
                self._spawn_reader(self._client.answer(self.run, answers, time.monotonic_ns() - self.elapsed))
                return
            asked = self._asks == "page" and self._waiting and any(call.here for call in self.run.pending)
            if asked and self.problem is None and not self._stopping:
                return
        self._rest()

    # -- functions of this kernel --------------------------------------------------------------------------------------

    def _consider(self, call: ToolCallEntry) -> None:
        """A pending call of a function of ours: run it if it may, else ask where asking is a matter of this thread."""
        tool = self.tools.get(call.name or "") if call.here else None
        if tool is None:
            return
        if tool.approve == "always":
            self._call(call)
        elif callable(self._asks) and self._waiting:
            ask = self._asks
            self._do(call, lambda: self.answer([call], ask(call)))

    def _call(self, call: ToolCallEntry) -> None:
        answered_at = self.elapsed
        call.approval, call.answered_at = "approved", answered_at  # at once: it must not be answered twice
        self._do(call, lambda: self._run_tool(call, answered_at))

    def _do(self, call: ToolCallEntry, job: Callable[[], None]) -> None:
        with self._lock:
            self._busy.append(call.index)
            self._rests.clear()

        def work() -> None:
            try:
                job()
            except KeyboardInterrupt:
                if threading.current_thread() is threading.main_thread():
                    raise
            except Exception as problem:
                self.problem = problem
            finally:
                with self._lock, suppress(ValueError):  # an interrupt has cleared them all
                    self._busy.remove(call.index)
                self._advance()

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
        times = CallTimes(answered_at, started, self.elapsed)
        self._tell(self._answers.ran(call, outcome.as_return(), times))
