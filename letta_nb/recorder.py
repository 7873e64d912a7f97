"""A run's file, written while the run goes on: whoever pulls the plug keeps what had arrived.

Each line is written when its event has come, so the file can be read at any time, by `letta_nb.load` or `jq`. When the
run is over it is written once more as `run.save` does, whole: only then what looks like a key can be found where it
came in pieces; until then it is replaced in each event alone.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO, cast

from letta_nb import paths, record
from letta_nb.entries import Change
from letta_nb.errors import InputError
from letta_nb.redaction_rules import KEYS, MARK, may_hold_keys
from letta_nb.run import Run


class Recorder:
    """Writes a run to `path` as it is told of it, as a view is; never raises then, and warns once if it cannot."""

    def __init__(self, path: str | Path) -> None:
        self.path = paths.to_write(path, "save", "runs/hello.jsonl")
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        self._have = 0
        self._broken = False

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        self._try(self._write, run)

    def paused(self, run: Run) -> None:
        self._try(self._write, run)

    def ended(self, run: Run, problem: Exception | None) -> None:
        self._try(self._finish, run)

    def _try(self, what: Callable[[Run], None], run: Run) -> None:
        """A full disk must not stop the reading, nor hide the run from whoever looks on."""
        with self._lock:
            if self._broken:
                return
            try:
                what(run)
            except (OSError, InputError) as problem:
                self._broken = True
                words = f"letta_nb: the run is not written to {self.path} any more: {problem}. run.save() tries again."
                warnings.warn(words, stacklevel=2)

    def _write(self, run: Run) -> None:
        if not run.event_count:  # who answers is known with the first event
            return
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n")
        for line in record.arrived(run, self._have):
            self._file.write(_without_keys(line) + "\n")
            self._have += 1
        self._file.flush()

    def _finish(self, run: Run) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        record.save(run, self.path)


def _without_keys(line: str) -> str:
    if not may_hold_keys(line):
        return line
    return json.dumps(_clean(json.loads(line)), ensure_ascii=False, separators=(",", ":"))


def _clean(value: object) -> object:
    if isinstance(value, str):
        return KEYS.sub(MARK, value)
    if isinstance(value, list):
        return [_clean(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in cast("dict[str, object]", value).items()}
    return value
