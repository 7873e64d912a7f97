"""`make bench`: the figures to reach, against letta-client on the same bytes, all on this machine in this run.

Each figure is the best of several processes, because a machine's other work only ever adds time.
`--quick` measures less; `--json FILE` keeps the figures; `--only WORD` takes the rows that contain it. `--peers`
installs Inspect and Phoenix's client into an environment of their own, .bench/peers, and measures what theirs cost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent / "tests/benchmarks"
PEERS = HERE.parent.parent / ".bench/peers"
Figures = dict[str, float]


@dataclass
class Row:
    """A figure to reach. `good` says which way is better."""

    what: str
    measure: Callable[[Bench], float]
    least: float | None
    stretch: float | None = None
    unit: str = "x"
    more_is_better: bool = True

    def reached(self, value: float, target: float) -> bool:
        return value >= target if self.more_is_better else value <= target

    def verdict(self, value: float) -> str:
        if self.least is None:
            return ""
        if self.stretch is not None and self.reached(value, self.stretch):
            return "stretch"
        return "yes" if self.reached(value, self.least) else "NO"


class Bench:
    """Measurements, each taken once and then known."""

    def __init__(self, url: str, scale: float, repeat: int) -> None:
        self.url, self.scale, self.repeat = url, scale, repeat
        self.known: dict[str, Figures] = {}

    def best(self, name: str, number: int, repeat: int | None = None) -> Figures:
        """The cheapest of several processes."""
        key = f"{name} {number}"
        if key not in self.known:
            print(f"    {key} ...", end="", file=sys.stderr, flush=True)
            runs = [self.once(name, number) for _ in range(repeat or self.repeat)]
            self.known[key] = min(runs, key=lambda figures: figures["cpu_s"])
            print(f" {self.known[key]['cpu_s']:.2f} s", file=sys.stderr, flush=True)
        return self.known[key]

    def once(self, name: str, number: int) -> Figures:
        file, *words = name.split()
        own = (HERE / f"{file}.py").exists()
        script = [f"{file}.py", *words, str(number)] if own else ["measures.py", name, str(number)]
        python = str(PEERS / "bin/python") if file == "peers" else sys.executable
        command = [python, str(HERE / script[0]), *script[1:], self.url]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name} {number} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def ratio(self, theirs: str, ours: str) -> float:
        """How many times as fast `ours` is as `theirs`."""
        return self.get(theirs, self.many, "us_per_event") / self.get(ours, self.many, "us_per_event")

    def get(self, name: str, number: int, figure: str = "cpu_s") -> float:
        """One figure, of the cheapest of several processes."""
        return self.best(name, number)[figure]

    def one(self, name: str, number: int, figure: str = "cpu_s") -> float:
        """One figure of one process: for what takes long."""
        return self.best(name, number, 1)[figure]

    def page(self, figure: str) -> float:
        """One figure of a run in a real JupyterLab; all come from one session."""
        return self.one("page_live", int(5_000 * self.scale), figure)

    def saved(self, kind: str, figure: str) -> float:
        """One figure of a large run as a saved page, whatever the scale: the best of a few openings."""
        return self.one(f"page_saved {kind}", {"calls": 500, "tokens": 20_000, "several": 20}[kind], figure)

    def live(self, kind: str, figure: str) -> float:
        """One figure of a page that a large run streams into."""
        return self.one(f"page_grows {kind}", {"calls": 6000, "tokens": 50_000}[kind], figure)

    def grown(self, name: str) -> float:
        return self.one(name, self.million, "grown_mb")

    def files(self, way: str, figure: str = "cpu_s") -> float:
        """One figure of a table over ten thousand run files, a million events."""
        return self.one(f"run_files {way}", int(10_000 * self.scale), figure)

    def by_pandas(self, way: str, figure: str = "cpu_s") -> float:
        """The same for pandas on the lines, by a tenth of the files: its time and its memory grow with the lines."""
        return 10 * self.one(f"run_files {way}", int(1_000 * self.scale), figure)

    def peer(self, name: str, *ours: str) -> float:
        """How many times as fast our tables of the same runs are, each read from run files."""
        runs = int(1_000 * self.scale)
        return self.one(f"peers {name}", runs) / sum(self.one(f"run_files {way}", runs) for way in ours)

    @cached_property
    def many(self) -> int:
        return int(100_000 * self.scale)

    @cached_property
    def million(self) -> int:
        return int(1_000_000 * self.scale)

    @cached_property
    def empty(self) -> float:
        return self.import_s("pass")

    def import_s(self, code: str) -> float:
        """CPU seconds of a fresh interpreter that runs `code`."""
        key = f"import {code}"
        if key not in self.known:
            self.known[key] = {"cpu_s": min(_child_cpu(code) for _ in range(4 + self.repeat))}
        return self.known[key]["cpu_s"]

    def imports(self, ours: str, theirs: str) -> float:
        return (self.import_s(ours) - self.empty) / (self.import_s(theirs) - self.empty)


def _child_cpu(code: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def page_row(what: str, measure: Callable[[Bench], float], most: float, unit: str = " ms") -> Row:
    return Row(what, measure, most, unit=unit, more_is_better=False)


def task_rows(kind: str, name: str, works: dict[str, str]) -> list[Row]:
    """How long the longest task is while a reader does each."""
    return [
        page_row(f"{name}, {work}: longest task", lambda b, figure=figure: b.saved(kind, figure), 50)
        for figure, work in works.items()
    ]


def file_rows(name: str) -> list[Row]:
    """What a table of ten thousand run files takes: ours reads and folds each event, and holds few runs at a time."""
    return [
        Row(f"10,000 run files to {name}", lambda b: 1.02e6 * b.scale / b.files(name), None, unit=" events/CPU-s"),
        page_row("the same, memory grown", lambda b: b.files(name, "grown_mb"), 500, " MB"),
        Row(
            "the same, against json_normalize of the lines",
            lambda b: b.by_pandas("json_normalize") / b.files(name),
            None,
        ),
        Row("the same, against read_json(lines=True)", lambda b: b.by_pandas("read_json") / b.files(name), None),
        page_row(
            "the same, memory over json_normalize's",
            lambda b: b.files(name, "grown_mb") / b.by_pandas("json_normalize", "grown_mb"),
            0.5,
            "x",
        ),
    ]


BIG = 10_000_000
CLIENTS = (
    "import letta_nb; letta_nb.Client('http://127.0.0.1:1')",
    "import letta_client; letta_client.Letta(base_url='http://127.0.0.1:1', api_key='x').agents.messages",
)
ROWS = [
    Row("typed events per CPU-second, against letta-client's", lambda b: b.ratio("official", "typed"), 2.8, 6.5),
    Row("typed + fold + record, against letta-client's decode", lambda b: b.ratio("official", "pipeline"), 2.4, 5),
    Row(
        "CPU per event, 1M events over 10k",
        lambda b: b.one("pipeline", b.million, "us_per_event") / b.get("pipeline", b.million // 100, "us_per_event"),
        1.15,
        more_is_better=False,
    ),
    Row("one 10 MB event in 4 kB chunks", lambda b: b.get("big_ours", BIG), 0.15, unit=" s", more_is_better=False),
    Row("one 10 MB event, against letta-client", lambda b: b.one("big_official", BIG) / b.get("big_ours", BIG), 50),
    Row("memory grown, 1M events, unrecorded", lambda b: b.grown("unrecorded"), 5, unit=" MB", more_is_better=False),
    Row("memory grown, 1M events, recorded", lambda b: b.grown("pipeline"), 100, unit=" MB", more_is_better=False),
    Row(
        "bytes to the page, 20,000 tokens, over the text",
        lambda b: b.one("page_bytes", 20_000, "ratio"),
        2,
        more_is_better=False,
    ),
    page_row("the same, messages a second", lambda b: b.one("page_bytes", 20_000, "messages") / 50, 31, ""),
    page_row("a run of 4 steps saved in a notebook", lambda b: b.one("frozen", 4, "kb"), 80, " kB"),
    page_row("twenty of them", lambda b: b.one("frozen", 4, "kb") / 50, 1.6, " MB"),
    page_row("twenty of them: first contentful paint", lambda b: b.saved("several", "contentful_ms"), 300),
    page_row("the same: all views drawn, by their own code", lambda b: b.saved("several", "view_ms"), 300),
    page_row("500 calls, saved: first contentful paint", lambda b: b.saved("calls", "contentful_ms"), 300),
    page_row("the same: the view drawn, by its own code", lambda b: b.saved("calls", "view_ms"), 300),
    page_row("the same: the view drawn, since it was opened", lambda b: b.saved("calls", "opened_ms"), 600),
    *task_rows(
        "calls",
        "500 calls",
        {"scrub_ms": "scrubbed", "open_ms": "all opened", "scroll_ms": "scrolled", "raw_ms": "Raw opened"},
    ),
    page_row("500 calls, all open, scrolled: elements", lambda b: b.saved("calls", "elements"), 3000, ""),
    page_row("20,000 tokens, saved: first contentful paint", lambda b: b.saved("tokens", "contentful_ms"), 300),
    page_row("the same: the view drawn, by its own code", lambda b: b.saved("tokens", "view_ms"), 300),
    page_row("the same: the view drawn, since it was opened", lambda b: b.saved("tokens", "opened_ms"), 600),
    *task_rows(
        "tokens",
        "20,000 tokens",
        {
            "scrub_ms": "scrubbed",
            "open_ms": "all opened",
            "scroll_ms": "scrolled",
            "raw_ms": "Raw opened",
            "filter_ms": "Raw filtered",
        },
    ),
    page_row(
        "50,000 tokens live: heap grown, over what is told",
        lambda b: b.live("tokens", "heap_mb_grown") / b.live("tokens", "told_mb"),
        2,
        "x",
    ),
    page_row("2,000 calls live: heap grown a call", lambda b: b.live("calls", "heap_mb_grown") / 1.8, 4, " kB"),
    page_row("the same, nodes a call, one of them its place", lambda b: b.live("calls", "nodes_grown") / 1800, 1.1, ""),
    Row("kernel to page, 400 tokens/s: lost", lambda b: b.page("lost"), 0, more_is_better=False, unit=" tokens"),
    Row("the same, age when drawn, p95", lambda b: b.page("p95_ms"), 50, more_is_better=False, unit=" ms"),
    Row("the same, tasks over 50 ms", lambda b: b.page("long_tasks"), 0, more_is_better=False, unit=""),
    Row("5,000 tokens in one burst: lost", lambda b: b.page("burst_lost"), 0, more_is_better=False, unit=" tokens"),
    Row("Stop in a blocked cell, click to stopped", lambda b: b.page("stop_ms"), 200, more_is_better=False, unit=" ms"),
    Row("100k step rows to a DataFrame", lambda b: b.get("step_rows", b.many, "rows_per_s"), 1e6, unit=" rows/CPU-s"),
    Row("100k step rows, against json_normalize", lambda b: b.get("step_rows", b.many, "ratio"), 5),
    Row(
        "1M recorded events to steps + tools",
        lambda b: b.one("recorded_frames", b.million, "events_per_s"),
        3e5,
        unit=" events/CPU-s",
    ),
    Row("the same, memory grown", lambda b: b.grown("recorded_frames"), 250, unit=" MB", more_is_better=False),
    *(row for name in ("runs_df", "steps_df", "tools_df") for row in file_rows(name)),
    Row(
        "`import letta_nb`, over `import letta_client`",
        lambda b: b.imports("import letta_nb", "import letta_client"),
        0.7,
        0.5,
        more_is_better=False,
    ),
    Row("import and a first Client, over letta-client's", lambda b: b.imports(*CLIENTS), None, more_is_better=False),
]
# each reads what it keeps of the same runs: messages that are joined already, spans that a server has ready
PEER_ROWS = [
    Row(
        "runs + messages, against Inspect's samples_df + messages_df",
        lambda b: b.peer("inspect", "runs_df", "messages_df"),
        None,
    ),
    Row("steps + tools, against Phoenix's client", lambda b: b.peer("phoenix", "steps_df", "tools_df"), None),
]
PEER_PACKAGES = ("inspect-ai==0.3.285", "arize-phoenix-client==3.5.0", "pandas<3", "pyarrow")


def install_peers() -> None:
    """Their environment, made once."""
    if not (PEERS / "ready").exists():
        print(f"    installing {', '.join(PEER_PACKAGES)} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS)], check=True)
        pip = [str(PEERS / "bin/python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *PEER_PACKAGES], check=True)
        (PEERS / "ready").touch()


@contextmanager
def loopback() -> Iterator[str]:
    """The server that is read from, in its own process."""
    with subprocess.Popen([sys.executable, str(HERE / "loopback.py")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}{unit}" if value >= 1000 else f"{value:.3g}{unit}"


def table(rows: list[dict[str, Any]]) -> str:
    heads = ["figure", "measured", "at least", "stretch", "reached"]
    cells = [heads] + [
        [row["what"], *(shown(row[key], row["unit"]) for key in ("value", "least", "stretch")), row["reached"]]
        for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
    lines = [
        "  ".join(
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, each once")
    parser.add_argument("--scale", type=float, help="share of the events (1 unless --quick)")
    parser.add_argument("--repeat", type=int, help="processes a figure (5 unless --quick)")
    parser.add_argument("--only", metavar="WORD", default="")
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--peers", action="store_true", help="also against Inspect and Phoenix, installed for it")
    options = parser.parse_args()
    scale = options.scale or (0.1 if options.quick else 1.0)
    if options.peers:
        install_peers()
    start = time.monotonic()
    with loopback() as url:
        bench = Bench(url, scale, options.repeat or (1 if options.quick else 5))
        rows = []
        for row in ROWS + (PEER_ROWS if options.peers else []):
            if options.only in row.what:
                value = row.measure(bench)
                facts = {"what": row.what, "value": value, "least": row.least, "stretch": row.stretch, "unit": row.unit}
                rows.append({**facts, "reached": row.verdict(value)})
    where = f"Python {platform.python_version()}, letta-client {version('letta-client')}, {os.cpu_count()} cores"
    print(f"\n{where}, {scale:g} of the events, {time.monotonic() - start:.0f} s\n\n{table(rows)}")
    if not options.peers:
        print("\nInspect and Phoenix were left out; --peers installs them into .bench and measures them.")
    if options.json:
        options.json.write_text(
            json.dumps({"where": where, "scale": scale, "rows": rows, "measured": bench.known}, indent=1)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
