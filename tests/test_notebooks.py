"""The notebooks: executed afresh with what they must show, and committed with their outputs frozen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from run_notebooks import execute  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHOWS = {
    "01_first_run": [
        "no language model",
        "Completed",
        "bike_score",
        "Bike in Oslo?",
        "Driest",
        "Bergen",
        "UnknownCity",
        "slow_lookup",
        "(True, True)",
    ],
    "05_approvals_tools_long_runs": ["rent_bike", "receipt", "denied: it rains there", "converting 21.0", "69.8"],
    "02_runs_as_tables": [
        "Run completed",
        "calculate",
        "duration_source",
        "usage_statistics",
        "get_weather",
        "server",
        "gen_ai.usage.input_tokens",
        "[redacted]",
        "['broken.jsonl is not a run file",
    ],
    "03_why_slow_why_costly": [
        "The context grew from",
        "The slowest tool is read_page",
        "read_page was called 2 times with the same arguments",
        "First divergence, step 1",
        "6 of 6 completed",
        "No regression.",
        "+ read_page",
    ],
    "04_ten_thousand_runs": [
        "run files,",
        "could not be read, see .unread",
        "['broken.jsonl is not a run file']",
        "search_help",
        "The slowest tool is search_help",
        "of 7 got worse than the baseline allows",
    ],
}


def pieces(notebook: Any) -> list[dict[str, str]]:
    return [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]


def everything(notebook: Any) -> str:
    streams = [output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output]
    return "\n".join([*streams, *(part for data in pieces(notebook) for part in data.values())])


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_executed_it_shows_what_it_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LETTA_BASE_URL", "LETTA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LETTA_NB_RUNS", "1400")
    shown = everything(execute(path))
    assert [words for words in SHOWS[path.stem] if words.lower() not in shown.lower()] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_it_is_executed_and_frozen(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "widgets" not in notebook.metadata
    assert not any("application/vnd.jupyter.widget-view+json" in data for data in pieces(notebook))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert [words for words in SHOWS[path.stem] if words.lower() not in everything(notebook).lower()] == []


def test_a_frozen_run_stays_small() -> None:
    notebook = nbformat.read(ROOT / "notebooks/01_first_run.ipynb", as_version=4)
    frozen = [data["text/html"] for data in pieces(notebook) if "lnb-out" in data.get("text/html", "")]
    assert len(frozen) >= 4
    # each carries the whole debugger, some 74 kB of base64: a notebook of twenty runs has to stay under two megabytes
    assert max(map(len, frozen)) < 90_000
