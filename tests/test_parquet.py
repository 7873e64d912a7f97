"""A Parquet data set: the same frames for pandas, DuckDB and Polars, and the same files for the same runs."""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from alike import sorted_rows
from recordings import ALL_STREAMS, FIXTURES

from letta_nb import frames, parquet, record
from letta_nb.columns import TABLES, Grain
from letta_nb.errors import ConfigurationError, InputError
from letta_nb.log import Received
from letta_nb.parquet import to_parquet
from letta_nb.run import Run
from letta_nb.views import run_id

duckdb = pytest.importorskip("duckdb")
polars = pytest.importorskip("polars")
GRAINS: tuple[Grain, ...] = get_args(Grain)
HELLO = str(FIXTURES / "0.16.8/v1_*_tok.sse")


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """One run of each id, of all recordings."""
    loaded = [record.load_one(path) for path in ALL_STREAMS]
    return list({run_id(run): run for run in loaded}.values())


def by_pandas(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path).drop(columns="start_date")


def by_duckdb(path: Path) -> pd.DataFrame:
    table = duckdb.sql(f"SELECT * EXCLUDE start_date FROM '{path}/*/*.parquet'").to_arrow_table()
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def by_polars(path: Path) -> pd.DataFrame:
    scanned = polars.scan_parquet(f"{path}/**/*.parquet", hive_partitioning=True).drop("start_date")
    return scanned.collect().to_arrow().to_pandas(types_mapper=pd.ArrowDtype)


@pytest.fixture(scope="module")
def data(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    to_parquet(runs, folder)
    return folder


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("read", [by_pandas, by_duckdb, by_polars])
def test_what_is_read_is_the_frame(grain: Grain, read: Any, data: Path, runs: list[Run]) -> None:
    wanted = sorted_rows(frames.frame(grain, runs))
    table = read(data / grain)
    if read is by_pandas:
        pd.testing.assert_series_equal(table.dtypes, wanted.dtypes)
    pd.testing.assert_frame_equal(sorted_rows(table.astype(wanted.dtypes)), wanted)


def test_types_do_not_depend_on_what_is_there(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    run = Run({"messages": []}, uid="a")
    run.end(1)
    to_parquet(run, tmp_path)
    for grain in GRAINS:
        (path,) = (tmp_path / grain).glob("*/*.parquet")
        schema = pq.read_schema(path)
        kinds = {"string": "string", "Int64": "int64", "Float64": "double", "boolean": "bool"}
        wanted = {column.name: kinds.get(column.dtype, "timestamp[ns, tz=UTC]") for column in TABLES[grain][1]}
        assert {name: str(schema.field(name).type) for name in schema.names} == wanted


def test_for_spark_times_are_microseconds(tmp_path: Path, runs: list[Run]) -> None:
    to_parquet(runs[:3], tmp_path, timestamps="us")
    back = by_pandas(tmp_path / "events")
    assert str(back["received_time"].dtype) == "datetime64[us, UTC]"
    wanted = sorted_rows(frames.events_df(runs[:3]))["received_time"].dt.floor("us")
    assert (sorted_rows(back)["received_time"] == wanted).all()
    with pytest.raises(InputError, match="ms"):
        to_parquet(runs[0], tmp_path, timestamps="ms")  # type: ignore[arg-type]


def test_a_day_is_a_partition(data: Path, runs: list[Run]) -> None:
    days = {folder.name for folder in (data / "runs").iterdir()}
    assert days == {f"start_date={run.started.date().isoformat() if run.timed else '1970-01-01'}" for run in runs}
    day = sorted(days)[-1].partition("=")[2]
    told = duckdb.sql(f"SELECT count(*) FROM '{data}/runs/*/*.parquet' WHERE start_date = DATE '{day}'").fetchall()
    assert told == [(sum(run.timed and run.started.date().isoformat() == day for run in runs),)]


def test_tables_join_in_duckdb(data: Path, runs: list[Run]) -> None:
    told = duckdb.sql(
        f"""SELECT r.model, count(*) AS calls, avg(t.duration_s) AS mean_s
            FROM '{data}/tools/*/*.parquet' t JOIN '{data}/runs/*/*.parquet' r USING (run_id) GROUP BY ALL"""
    ).fetchall()
    assert sum(row[1] for row in told) == sum(len(run.tool_calls) for run in runs)


# -- the second time ---------------------------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_runs_are_the_same_files(data: Path, runs: list[Run], tmp_path: Path) -> None:
    written = to_parquet(runs, tmp_path)
    first = content(tmp_path)
    assert first == content(data)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written.files) == sorted(first)
    to_parquet(runs, tmp_path)
    assert content(tmp_path) == first


def made(number: int, text: str = "hi", day: int = 1) -> Run:
    run = Run(
        {"messages": [{"role": "user", "content": text}]},
        uid=f"run-{number}",
        started=datetime(2026, 1, day, tzinfo=UTC),
    )
    for index in range(3):
        event = {"message_type": "assistant_message", "id": "m", "content": f"{text} {number} {index}"}
        run.receive(Received(index + 1, "", json.dumps(event)))
    run.end(9)
    return run


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_written_again_is_there_once(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that come in any order, in any company, changed or not: the last word counts, and nothing is there twice."""
    dice = random.Random(seed)
    monkeypatch.setattr(parquet, "_HELD_RUNS", dice.randint(1, 6))
    monkeypatch.setattr(parquet, "_HELD_EVENTS", dice.choice([7, 10**6]))
    latest: dict[int, Run] = {}
    for turn in range(5):
        numbers = dice.sample(range(12), dice.randint(1, 12))
        runs = [made(number, f"turn {turn}", 1 + number % 3) for number in numbers]
        latest |= dict(zip(numbers, runs, strict=True))
        to_parquet(runs, tmp_path)
        for grain in GRAINS if turn == 4 else dice.sample(GRAINS, 1):
            wanted = sorted_rows(frames.frame(grain, list(latest.values())))
            pd.testing.assert_frame_equal(sorted_rows(by_pandas(tmp_path / grain)).astype(wanted.dtypes), wanted)
    parts = [{path.relative_to(tmp_path / grain) for path in (tmp_path / grain).rglob("*.parquet")} for grain in GRAINS]
    assert all(part == parts[0] for part in parts)
    assert not list(tmp_path.rglob("*.partial"))


def test_few_runs_are_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_HELD_RUNS", 10)
    sizes: list[int] = []
    frame = frames.frame
    monkeypatch.setattr(frames, "frame", lambda grain, x, **more: (sizes.append(len(x)), frame(grain, x, **more))[1])
    written = to_parquet((made(number, day=1 + number % 2) for number in range(100)), tmp_path)
    assert (written.runs, written.rows["events"]) == (100, 300)
    assert 5 <= max(sizes) <= 10
    assert len(written.files) == 6 * len(list((tmp_path / "runs").rglob("*.parquet")))


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    files = tmp_path / "runs"
    files.mkdir()
    for number in range(3):
        made(number).save(files / f"{number}.jsonl")
    (files / "1.jsonl").write_text("garbage")
    made(2).save(files / "3.jsonl")
    with pytest.raises(InputError, match=r"1\.jsonl is not a run file"):
        to_parquet(str(files / "*.jsonl"), tmp_path / "data")
    written = to_parquet(str(files / "*.jsonl"), tmp_path / "data", on_error="collect")
    assert [Path(one.source).name for one in written.unread] == ["1.jsonl", "3.jsonl"]
    assert written.runs == len(by_pandas(tmp_path / "data/runs")) == 2
    assert "2 runs" in repr(written)
    assert repr(to_parquet(made(7), tmp_path / "one")).startswith("<1 run (")
    assert "2 could not be read" in repr(written)


def test_what_cannot_be_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        to_parquet(made(1), tmp_path / "file")
    with pytest.raises(InputError, match="No file matches"):
        to_parquet(str(tmp_path / "*.jsonl"), tmp_path / "data")
    other = tmp_path / "data/runs/start_date=2026-01-01/part-x.parquet"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"part-x\.parquet is no part"):
        to_parquet(made(1), tmp_path / "data")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match="pip install pyarrow"):
        to_parquet(made(1), tmp_path / "other")


def test_no_runs_are_no_files(tmp_path: Path) -> None:
    assert to_parquet([], tmp_path / "data").files == []
