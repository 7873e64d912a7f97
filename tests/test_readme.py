"""What the README shows as code does what it says, on the embedded server."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import matplotlib as mpl
import pytest

import letta_nb

README = (Path(__file__).resolve().parent.parent / "README.md").read_text("utf-8")
MANY = README.partition("## From one run to ten thousand")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", MANY, re.DOTALL)


@pytest.mark.filterwarnings("default")
def test_from_one_run_to_ten_thousand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    [code], [query] = blocks("python"), blocks("sql")
    names = {"letta_nb": letta_nb}
    with letta_nb.serve() as server, letta_nb.connect(server.url):
        exec(code, names)
    assert len(names["fan"]) == 5  # pyright: ignore[reportArgumentType]
    [[tool, count, p95]] = duckdb.sql(query).fetchall()
    assert (tool, count) == ("get_weather", 15)
    assert p95 is None or p95 > 0
    assert not any("Cairo" in path.read_text("utf-8") for path in (tmp_path / "runs").iterdir())


def test_every_file_that_it_names_is_there() -> None:
    root = Path(__file__).resolve().parent.parent
    named = re.findall(r'(?:\]\(|src="|srcset=")(?!http)([^)"#]+)', README)
    assert len(named) > 10
    assert [name for name in named if not (root / name).exists()] == []
