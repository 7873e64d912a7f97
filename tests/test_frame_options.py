"""What a person may ask of a table: its columns, their names and dtypes, and what becomes of what cannot be read."""

from __future__ import annotations

import gc
import json
import os
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from folded import load
from recordings import ALL_STREAMS, FIXTURES

import letta_nb
from letta_nb import frames, record, semconv
from letta_nb.columns import TABLES, Column, Grain
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run

MODERN = str(FIXTURES / "0.16.8/v1_m*_tok.sse")


# -- columns and their names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grain", TABLES)
def test_chosen_columns_are_those_of_the_whole_table(grain: Grain) -> None:
    whole = frames.frame(grain, MODERN)
    names = list(whole.columns)[::-3]
    pd.testing.assert_frame_equal(frames.frame(grain, MODERN, columns=names), whole[names])


def test_no_other_column_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(view: object) -> list[None]:
        raise AssertionError("nobody asked for it")

    columns = [Column(c.name, c.dtype, c.values if c.name == "step_id" else broken) for c in TABLES["steps"][1]]
    monkeypatch.setitem(TABLES, "steps", (TABLES["steps"][0], columns))
    assert len(frames.steps_df(MODERN, columns=["step_id"])) > 4


@pytest.mark.parametrize("grain", TABLES)
def test_dotted_names_are_the_conventions_and_one_a_column(grain: Grain) -> None:
    plain, dotted = frames.frame(grain, MODERN), frames.frame(grain, MODERN, names="otel")
    assert len(set(dotted.columns)) == len(plain.columns)
    assert all(name.startswith(("gen_ai.", "letta.", "error.", "exception.")) for name in dotted.columns)
    pd.testing.assert_frame_equal(dotted.set_axis(plain.columns, axis=1), plain)
    first = list(dotted.columns)[:2]
    pd.testing.assert_frame_equal(frames.frame(grain, MODERN, names="otel", columns=first), dotted[first])


def test_the_conventions_names_exist() -> None:
    known = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    theirs = {value for name, value in vars(known).items() if name.startswith("GEN_AI")}
    assert {name for name in semconv.ATTRIBUTES.values() if name.startswith("gen_ai.")} <= theirs
    every = {column.name for _, columns in TABLES.values() for column in columns}
    assert set(semconv.ATTRIBUTES) - {"provider"} <= every


@pytest.mark.parametrize("grain", TABLES)
def test_arrow_dtypes_hold_the_same(grain: Grain) -> None:
    plain, arrow = frames.frame(grain, MODERN), frames.frame(grain, MODERN, backend="pyarrow")
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in arrow.dtypes)
    pd.testing.assert_frame_equal(arrow.astype(plain.dtypes.to_dict()), plain)
    none = frames.frame(grain, [], backend="pyarrow")
    assert none.dtypes.to_dict() == arrow.dtypes.to_dict()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ["input_token"]}, "Did you mean 'input_tokens'"),
        ({"columns": ["xyz"]}, "It has run_id, step_id"),
        ({"names": "dotted"}, '"otel"'),
        ({"backend": "polars"}, '"pyarrow"'),
        ({"on_error": "ignore"}, '"collect"'),
    ],
)
def test_an_option_that_is_none_says_what_there_is(options: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        frames.steps_df(MODERN, **options)  # pyright: ignore[reportArgumentType]


# -- what cannot be read -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good files of different agents, and one of each kind that is not."""
    for name in ("v1_multi_tok", "v1_hello_tok"):
        load(f"0.16.8/{name}").save(tmp_path / f"{name}.jsonl")
    load("0.16.8/v1_multi_tok").save(tmp_path / "zz_again.jsonl")
    (tmp_path / "broken.jsonl").write_text((tmp_path / "v1_multi_tok.jsonl").read_text().replace('"data":', '"dat', 3))
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "later.jsonl").write_text('{"letta_nb": 99, "run": {}}\n')
    (tmp_path / "noise.jsonl").write_bytes(bytes(range(256)))
    (tmp_path / "folder.jsonl").mkdir()
    return tmp_path


def test_what_cannot_be_read_is_told_and_the_rest_is_unharmed(folder: Path) -> None:
    good = frames.steps_df([folder / "v1_hello_tok.jsonl", folder / "v1_multi_tok.jsonl"])
    with pytest.warns(UserWarning, match=r"broken\.jsonl, line 2.* and 5 more"):
        found = frames.steps_df(str(folder / "*.jsonl"), on_error="collect")
    pd.testing.assert_frame_equal(found, good)
    unread = {Path(one["source"]).stem: one["error"] for one in found.attrs["unread"]}
    assert list(unread) == ["broken", "empty", "folder", "later", "noise", "zz_again"]
    assert "version 99" in unread["later"]
    assert "v1_multi_tok.jsonl and" in unread["zz_again"]


def test_a_run_that_was_there_before_hides_no_other_of_its_file(tmp_path: Path) -> None:
    def line(turn: int) -> str:
        ids = {"run_id": f"run-{turn}", "id": f"message-{turn}", "date": "2026-01-01T00:00:00+00:00"}
        said = {**ids, "message_type": "assistant_message", "content": "a"}
        return "".join(json.dumps(its) + "\n" for its in (said, {"type": "result", "run_ids": [f"run-{turn}"]}))

    (tmp_path / "a.ndjson").write_text(line(1))
    (tmp_path / "b.ndjson").write_text(line(1) + line(2) + line(3))
    with pytest.warns(UserWarning, match="run-1"):
        found = frames.runs_df(str(tmp_path / "*.ndjson"), on_error="collect")
    assert found["run_id"].tolist() == ["run-1", "run-2", "run-3"]


@pytest.mark.parametrize("grain", TABLES)
def test_a_torn_last_line_is_told_and_the_run_is_there(grain: Grain, tmp_path: Path) -> None:
    content = load("0.16.8/v1_multi_tok").save(tmp_path / "a.jsonl").read_bytes()
    lines = content.splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[:60]) + lines[60][:25])
    (tmp_path / "whole.jsonl").write_bytes(b"".join(lines[:60]))
    with pytest.warns(UserWarning, match=r"a\.jsonl: Its run file ends in the middle of a line"):
        found = frames.frame(grain, tmp_path / "a.jsonl", on_error="collect")
    assert [Path(one["source"]).name for one in found.attrs["unread"]] == ["a.jsonl"]
    whole = frames.frame(grain, tmp_path / "whole.jsonl")
    assert len(found) == len(whole) > 0 or grain == "usage"
    with pytest.warns(UserWarning, match=r"as far as it was written.*a\.jsonl"):
        by_default = frames.frame(grain, tmp_path / "a.jsonl")
    pd.testing.assert_frame_equal(by_default, found)


@pytest.mark.parametrize("names", [("a_cut", "b_whole"), ("b_cut", "a_whole")])
@pytest.mark.parametrize("how", ["in a line", "behind a line", "before the server told its id"])
def test_the_whole_file_of_a_run_wins_over_one_that_was_cut_off(
    names: tuple[str, str], how: str, tmp_path: Path
) -> None:
    cut, whole = (tmp_path / f"{name}.jsonl" for name in names)
    lines = load("0.16.8/v1_multi_tok").save(whole).read_bytes().splitlines(keepends=True)
    kept = 1 if how == "before the server told its id" else 60
    cut.write_bytes(b"".join(lines[:kept]) + (b"" if how == "behind a line" else lines[kept][:25]))
    load("0.16.8/v1_hello_tok").save(tmp_path / "c.jsonl")
    (tmp_path / "d.jsonl").write_bytes(b"".join(lines[:40]))  # shorter still
    with pytest.warns(UserWarning, match=r"left out.*_cut.*cut off, and the same run is whole in .*_whole.*and 1 more"):
        found = frames.runs_df(str(tmp_path / "*.jsonl"), on_error="collect")
    pd.testing.assert_frame_equal(found, frames.runs_df([whole, tmp_path / "c.jsonl"]))
    unread = {one["source"]: one["error"] for one in found.attrs["unread"]}
    assert list(unread) == [str(cut), str(tmp_path / "d.jsonl")]
    with pytest.raises(InputError, match=rf"Two runs have the id.*{cut.name} is cut off: pass the other"):
        frames.runs_df([tmp_path / name for name in sorted((cut.name, whole.name))])


def test_of_two_files_that_were_cut_off_the_longer_is_read(tmp_path: Path) -> None:
    lines = load("0.16.8/v1_multi_tok").save(tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    for name, kept in (("a", 50), ("b", 60), ("c", 40)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(lines[:kept]))
    with pytest.warns(UserWarning, match=r"a\.jsonl: It is cut off, and the same run is longer in .*b\.jsonl"):
        found = frames.runs_df(str(tmp_path / "*.jsonl"), on_error="collect")
    assert found.event_count.tolist() == [59]


def test_an_option_that_is_none_is_told() -> None:
    options: Any = {"on_eror": "collect"}
    with pytest.raises(InputError, match=r"runs_df has no option 'on_eror'\. It has columns, names, backend, on_error"):
        frames.runs_df(MODERN, **options)


def test_columns_may_be_any_iterable_and_not_none_at_all() -> None:
    chosen: Any = (name for name in ("run_id", "status"))
    assert list(frames.runs_df(MODERN, columns=chosen)) == ["run_id", "status"]
    with pytest.raises(InputError, match=r"columns is empty\. The table of runs has run_id"):
        frames.runs_df(MODERN, columns=[])


def _altered(folder: Path, name: str, old: str, new: str) -> str:
    path = load("0.16.8/v1_multi_tok").save(folder / name)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return str(path)


def test_a_number_that_nobody_can_have_counted_is_not_known_and_the_rest_unharmed(tmp_path: Path) -> None:
    run = load("0.16.8/v1_multi_tok")
    assert run.usage is not None
    name = _altered(
        tmp_path, "a.jsonl", f'"completion_tokens":{run.usage.output_tokens}', f'"completion_tokens":{2**70}'
    )
    table = frames.runs_df([name, *map(str, ALL_STREAMS[:1])])
    assert table.output_tokens.isna().tolist()[0]
    assert table.input_tokens[0] == run.usage.input_tokens


def test_a_head_whose_model_is_no_text_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = load("0.16.8/v1_multi_tok").save(tmp_path / "a.jsonl")
    head, rest = path.read_text("utf-8").split("\n", 1)
    facts = json.loads(head)
    facts["run"]["model"] = {"name": "gpt"}
    path.write_text(json.dumps(facts) + "\n" + rest, encoding="utf-8")
    with pytest.raises(InputError, match="is not a run file"):
        record.load_one(path)


def test_an_event_whose_ids_are_no_texts_can_be_saved_and_is_a_row(tmp_path: Path) -> None:
    run = Run({"messages": [{"role": "user", "content": "hi"}]})
    event = {"message_type": "assistant_message", "id": {"a": 1}, "otid": [1], "content": "Hello"}
    run.receive(Received(1, "", json.dumps(event)))
    run.end(2)
    again = record.load_one(run.save(tmp_path / "a.jsonl"))
    assert frames.events_df(again).raw_json.tolist() == [json.dumps(event)]


def test_by_default_the_first_that_cannot_be_read_is_raised(folder: Path) -> None:
    with pytest.raises(InputError, match=r"broken\.jsonl, line 2"):
        frames.runs_df(str(folder / "*.jsonl"))


def test_nothing_is_said_where_all_could_be_read() -> None:
    with warnings.catch_warnings(action="error"):
        table = frames.runs_df(MODERN, on_error="collect")
    assert table.attrs["unread"] == []
    assert frames.runs_df(MODERN).attrs == {}


def test_a_folder_that_may_not_be_read_is_an_error_of_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(InputError, match=r"v1_hello_tok\.jsonl cannot be read: .*Permission denied"):
        frames.runs_df(folder / "v1_hello_tok.jsonl")


@pytest.mark.parametrize("grain", TABLES)
def test_runs_of_different_agents_with_and_without_usage_do_each_other_no_harm(grain: Grain) -> None:
    names = ("0.16.8/v1_multi_tok", "0.7.16/memgpt_multi_step", "0.16.8/v1_err500_tok", "0.16.8/v2_hello_step")
    runs = [load(name) for name in names]
    assert len({run.agent_id for run in runs}) == 3
    assert [run.usage is None for run in runs] == [False, False, True, False]
    alone = pd.concat([frames.frame(grain, run) for run in runs], ignore_index=True)
    pd.testing.assert_frame_equal(frames.frame(grain, runs), alone)


# -- many runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grain", TABLES)
def test_a_table_is_the_same_however_many_runs_are_held_at_once(grain: Grain, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {run.run_id or run.uid: run for run in map(record.load_one, ALL_STREAMS)}.values()
    whole = frames.frame(grain, runs)
    monkeypatch.setattr(frames, "_HELD_EVENTS", 20)
    pd.testing.assert_frame_equal(frames.frame(grain, runs), whole)


def test_runs_are_let_go_as_their_rows_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_HELD_EVENTS", 0)
    alive, counts = weakref.WeakSet[Run](), list[int]()

    def runs() -> object:
        for number in range(8):
            run = load("0.16.8/v1_hello_tok")
            run.run_id = f"run-{number}"
            alive.add(run)
            gc.collect()
            counts.append(len(alive))
            yield run

    assert len(frames.runs_df(runs())) == 8  # pyright: ignore[reportArgumentType]
    assert max(counts) <= 3


def test_runs_of_a_server_make_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    with letta_nb.serve() as server, letta_nb.Client(server.url) as client:
        for _ in range(2):
            with client.stream("demo", "hi") as stream:
                for _ in stream:
                    pass
        table = letta_nb.runs_df(client.runs("demo", since="1d"))
    assert table["run_id"].nunique() == 2
    assert table["status"].tolist() == ["completed"] * 2


@pytest.mark.parametrize("grain", ["steps", "tools", "usage", "messages", "events"])
def test_a_runs_own_tables_take_the_same_options(grain: Grain) -> None:
    run = load("0.16.8/v1_multi2_tok")
    options: frames.Options = {"columns": ["agent_id", "run_id"], "names": "otel", "backend": "pyarrow"}
    pd.testing.assert_frame_equal(getattr(run, f"{grain}_df")(**options), frames.frame(grain, run, **options))


def test_a_cut_off_run_from_a_pipe_is_read_once(tmp_path: Path) -> None:
    run = load("0.16.8/v1_multi_tok")
    whole = run.save(tmp_path / "run.jsonl").read_bytes()
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(whole[: len(whole) // 2],), daemon=True)
    writer.start()
    with warnings.catch_warnings(action="ignore"):
        assert len(letta_nb.runs_df(pipe, on_error="collect")) == 1


def test_a_cut_off_file_named_twice_is_not_longer_than_itself(tmp_path: Path) -> None:
    run = load("0.16.8/v1_multi_tok")
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(run.save(tmp_path / "run.jsonl").read_bytes()[:9000])
    with warnings.catch_warnings(action="ignore"):
        table = letta_nb.runs_df([torn, torn], on_error="collect")
    assert len(table) == 1
    told = [one["error"] for one in table.attrs["unread"]]
    assert "It is cut off, and the same run is there already." in told
    assert not any("longer" in one for one in told)
