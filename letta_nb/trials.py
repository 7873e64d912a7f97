"""One prompt to several agents and models, several times each: runs side by side, each in a conversation of its own.

Two sends never go into one conversation: where the server has none (before 0.16.2), an agent's runs go one after the
other, into the only history it has. Nothing raises once the first message is sent: what fails is a run that says so.
"""

from __future__ import annotations

import contextvars
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from letta_nb import frames, multiples, notebook, paths, prices, record, redaction
from letta_nb.client import Client
from letta_nb.columns import TRIALS, Grain
from letta_nb.entries import Change, RunError, TrialFacts
from letta_nb.errors import ConfigurationError, InputError
from letta_nb.frames import Options
from letta_nb.live import Live
from letta_nb.multiples import Glance, Line
from letta_nb.protocol import NEW, Agent, Messages, SendParameters, model_name
from letta_nb.redaction_rules import Redact, rules_of
from letta_nb.run import Run
from letta_nb.stream import Stream
from letta_nb.tools import Tool

if TYPE_CHECKING:
    import pandas as pd

# s between two looks at what goes on: a person sees no more
TICK = 0.25
_NOT_A_NAME = re.compile(r"[^\w.-]+")


@dataclass(slots=True)
class Trial:
    """One send of a fan-out. `model`: what the request asks for, None for the agent's own. `repeat` counts from 0."""

    index: int
    agent: Agent
    model: str | None
    repeat: int
    stream: Stream
    live: Live | None = None
    glance: Glance = field(default_factory=Glance)
    _looked: int = 0

    @property
    def run(self) -> Run:
        return self.stream.run

    @property
    def request_model(self) -> str | None:
        """The model's name, the agent's own where none was asked for."""
        return self.agent.model_name if self.model is None else model_name(self.model)

    @property
    def group(self) -> str:
        return ", ".join(filter(None, (self.agent.name or self.agent.id, self.request_model)))

    def line(self) -> Line:
        """The trial as the table of all shows it."""
        return Line(self.index, self.group, self.glance, self.live.elapsed if self.live is not None else None)

    # as the view of its run: told by the thread that reads it, so that nothing changes while it looks

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        now = time.monotonic_ns()
        if now - self._looked > TICK * 1e9:
            self._looked, self.glance = now, multiples.glance(run)

    def paused(self, run: Run) -> None:
        self.glance = multiples.glance(run)

    def ended(self, run: Run, problem: Exception | None) -> None:
        self.glance = multiples.glance(run, problem)


class FanOut(Sequence[Run]):
    """The runs of a fan-out, in the order of agents, models and repeats: `fan[3]`, `len(fan)`, `for run in fan`.

    Its tables are those of the runs, and behind `run_id` in each `trial` (the place in here), `agent_name`,
    `request_model` (the agent's own where none was asked for) and `repeat` (from 0). Failed, stopped and refused sends
    have their rows too. Saved and read again, `letta_nb.runs_df` has these columns at its end.
    """

    def __init__(self, client: Client, trials: list[Trial], tools: Sequence[Tool] = (), *, complete: bool) -> None:
        self.trials = trials
        # the notebook cell (its execution count) that shows it already
        self.shown_in: int | None = None
        self._client, self._tools, self._complete = client, tools, complete
        self._lock = threading.Lock()
        self._started: int | None = None
        self._ended: int | None = None
        self._stopped = False
        self._left: deque[list[Trial]] = deque()
        self._open = len(trials)
        self._over = threading.Event()

    # -- the runs ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.trials)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | list[Run]:
        return [trial.run for trial in self.trials[index]] if isinstance(index, slice) else self.trials[index].run

    def save(
        self, directory: str | Path, *, redact: Redact = (), redact_fields: str | Iterable[str] = ()
    ) -> list[Path]:
        """Write each run to a file of its own, `000-weather-gpt-4o-0.jsonl`; options as of `run.save`.

        `letta_nb.runs_df("runs/*.jsonl")` has `trial`, `request_model` and `repeat` still. Raises InputError for a
        folder with runs of another fan-out, or other files of these names: nothing is overwritten but these very runs.
        """
        rules = rules_of(redact, redact_fields)
        folder = paths.named(directory, "save", "runs")
        names = [folder / f"{_file_name(trial)}.jsonl" for trial in self.trials]
        with paths.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._refuse_others(folder, names)
        files = [
            record.save(redaction.without(trial.run, rules), name, redact=False)
            for trial, name in zip(self.trials, names, strict=True)
        ]
        redaction.tell_missed(rules, "these runs")
        return files

    def _refuse_others(self, folder: Path, names: Sequence[Path]) -> None:
        mine = {run.trial.fan_out for run in self if run.trial is not None}
        for file in sorted(folder.glob("*.jsonl")):
            of = record.fan_out_of(file)
            if of not in mine and (of is not None or file in names):
                whose = "is a run of another fan-out" if of is not None else "is there already"
                raise InputError(f"{file} {whose}: nothing is overwritten or mixed. Name another folder to save in.")

    def __repr__(self) -> str:
        return f"<FanOut {', '.join(multiples.heading(self.lines(), self.elapsed))}>"

    # -- the tables ----------------------------------------------------------------------------------------------------

    def runs_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a run; see `letta_nb.runs_df` for options."""
        return self._frame("runs", options)

    def steps_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a step."""
        return self._frame("steps", options)

    def tools_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a tool call."""
        return self._frame("tools", options)

    def usage_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a usage report."""
        return self._frame("usage", options)

    def messages_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row a joined message."""
        return self._frame("messages", options)

    def events_df(self, **options: Unpack[Options]) -> pd.DataFrame:
        """One row an event, as received."""
        return self._frame("events", options)

    def _frame(self, grain: Grain, options: Options) -> pd.DataFrame:
        return frames.frame(grain, list(self), TRIALS, **options)

    # -- doing it ------------------------------------------------------------------------------------------------------

    def start(self, chains: Sequence[list[Trial]], concurrency: int) -> None:
        """Send all, so many at a time; the trials of a chain one after the other."""
        self._left.extend(chains)
        self._started = time.monotonic_ns()
        self._spawn(prices.load)  # the end of a run tells its cost
        for _ in range(min(concurrency, len(chains))):
            self._spawn(self._work)

    def _spawn(self, work: Any) -> None:
        # threads publish to the cell that started them; Jupyter keeps that in a context variable
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,), name="letta_nb fan-out", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    return
                chain = self._left.popleft()
            for trial in chain:
                try:
                    self._send(trial)
                finally:
                    with self._lock:
                        self._open -= 1
                        if not self._open:
                            self._ended = time.monotonic_ns()
                            self._over.set()

    def _send(self, trial: Trial) -> None:
        run = trial.run
        with self._lock:
            if not self._stopped:
                trial.live = Live(self._client, trial.stream, trial, tools=self._tools, complete=self._complete)
        if trial.live is None:
            run.note = "Never sent: the fan-out was stopped before."
            run.end(None, cancelled=True)  # it took no time: there is none to be counted
            trial.glance = multiples.glance(run)
            return
        try:
            trial.live.start().wait()
        except Exception as problem:  # one run's failure is a row; the others go on
            if run.status == "running":
                run.fail(trial.live.elapsed, RunError(type(problem).__name__, str(problem)))
            trial.glance = multiples.glance(run, problem)

    def ticks(self) -> Iterator[None]:
        """Every now and then while it goes on, for whoever shows it; ends when all is over."""
        while not self._over.wait(TICK):
            yield

    def stop(self) -> list[str]:
        """Stop all: what runs is cancelled at the server, what has not been sent never is; how all ended, in words."""
        with self._lock:
            self._stopped = True
            running = [trial.live for trial in self.trials if trial.live is not None and not trial.line().over]
        for live in running:
            self._spawn(live.stop)
        self._over.wait()
        return multiples.heading(self.lines(), self.elapsed)

    # -- showing it ----------------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> int:
        """ns since the first was sent, up to the end of the last."""
        return 0 if self._started is None else (self._ended or time.monotonic_ns()) - self._started

    @property
    def done(self) -> int:
        """How many are over."""
        return len(self.trials) - self._open

    def lines(self) -> list[Line]:
        """Each trial as the table shows it."""
        return [trial.line() for trial in self.trials]

    def mimebundle(self) -> dict[str, str]:
        """All as a cell's output: HTML that needs no kernel, and text that is the same on each run."""
        lines = self.lines()
        return {"text/html": multiples.html(lines, self.elapsed), "text/plain": multiples.plain(lines)}

    def __str__(self) -> str:
        return multiples.as_text(self.lines(), self.elapsed)

    def _ipython_display_(self) -> None:
        # as the value of the cell that made it, it stands there already
        if not notebook.already_shown(self):
            notebook.show_bundle(self.mimebundle(), str(self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.mimebundle()


def plan(
    client: Client,
    prompt: Messages,
    agents: Sequence[str | Agent],
    models: Sequence[str | None],
    repeats: int,
    parameters: SendParameters,
) -> tuple[list[Trial], list[list[Trial]]]:
    """The trials, and the order they are sent in: all groups once, then again; as chains, each to be sent in turn.

    Raises a letta_nb error for whatever can be known to be wrong before anything is sent.
    """
    info = client.server
    if any(model is not None for model in models) and not info.can("override_model"):
        own = "override_model: each agent answers with its own model there"
        raise ConfigurationError(info.lacks("override_model", own))
    if parameters.get("client_tools") and not info.can("client_tools"):
        raise ConfigurationError(info.lacks("client_tools", "client tools: pass tools=[], or take them back"))
    apart = info.can("conversations")
    found = [agent if isinstance(agent, Agent) else client.agent(agent) for agent in agents]
    _distinct("agent", [agent.id for agent in found], [agent.name or agent.id for agent in found])
    _distinct("model", list(models), [str(model) for model in models])
    trials: list[Trial] = []
    together = uuid.uuid4().hex
    for agent in found:
        for model in models:
            for repeat in range(repeats):
                own: Any = {**parameters, **({} if model is None else {"override_model": model})}
                stream = client.stream(agent.id, prompt, conversation=NEW if apart else None, **own)
                stream.run.agent_id, stream.run.agent_name = agent.id, agent.name
                trial = Trial(len(trials), agent, model, repeat, stream)
                stream.run.trial = TrialFacts(together, trial.index, trial.request_model, repeat)
                trials.append(trial)
    order = sorted(trials, key=lambda trial: trial.repeat)
    if apart:
        return trials, [[trial] for trial in order]
    return trials, [[trial for trial in order if trial.agent.id == agent.id] for agent in found]


def _distinct(what: str, keys: Sequence[Any], names: Sequence[str]) -> None:
    for place, key in enumerate(keys):
        if key in keys[:place]:
            raise InputError(f"The {what} {names[place]} is named twice. For several runs of it say repeats=2.")


def _file_name(trial: Trial) -> str:
    facts = (f"{trial.index:03}", trial.agent.name or trial.agent.id, trial.request_model, str(trial.repeat))
    return "-".join(_NOT_A_NAME.sub("_", fact)[:60] for fact in facts if fact)
