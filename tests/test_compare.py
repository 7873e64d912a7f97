"""Two runs side by side: which steps belong together, where they part, what that cost, and how it is shown."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from folded import fixtures, load
from hostile_corpus import PAYLOADS, hostile_run
from html_page import LOADER, Page, assert_harmless, squeezed
from hypothesis import given
from hypothesis import strategies as st
from recordings import FIXTURES

import letta_nb
from letta_nb import align, static_html
from letta_nb.comparison import Comparison, compare
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run

S = 1_000_000_000
Calls = list[tuple[str, Any, Any]]


def modern(name: str) -> Run:
    return load(f"0.16.8/v1_{name}")


def made(*steps: Calls | str, status: str = "success", end: str | None = "end_turn", thinks: str = "Hm.") -> Run:
    """A run of steps: calls with their arguments and results (None: no return), or an answer."""
    run = Run({"messages": [{"role": "user", "content": "Go."}]})
    at = 0
    for number, step in enumerate(steps):
        base = {"id": f"message-{number}", "step_id": f"step-{number}", "run_id": "run-1"}
        events: list[dict[str, Any]] = [base | {"message_type": "reasoning_message", "reasoning": thinks}]
        if isinstance(step, str):
            events.append(base | {"message_type": "assistant_message", "content": step})
        else:
            calls = [
                {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)}
                | {"tool_call_id": f"call-{number}-{place}"}
                for place, (name, given, _) in enumerate(step)
            ]
            events += [
                base | {"message_type": "tool_call_message", "tool_call": call, "tool_calls": call} for call in calls
            ]
            for call, (_, _, result) in zip(calls, step, strict=True):
                back = {"tool_return": result, "status": status, "tool_call_id": call["tool_call_id"]}
                if result is not None:
                    events.append(base | {"message_type": "tool_return_message"} | back)
        for event in events:
            at += S // 10
            run.receive(Received(at, "", json.dumps(event)))
    if end is not None:
        run.receive(Received(at, "", json.dumps({"message_type": "stop_reason", "stop_reason": end})))
    run.end(at)
    return run


def parting(a: Run, b: Run) -> str:
    return str(Comparison(a, b).divergence)


# -- which steps belong together ---------------------------------------------------------------------------------------

signatures = st.lists(st.sampled_from("abc").map(lambda name: (name,)), max_size=12)


def longest(a: list[Any], b: list[Any]) -> int:
    """The textbook's longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        row, before = [0], row
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(row[j], before[j + 1]))
    return row[-1]


@given(signatures, signatures)
def test_as_many_steps_as_possible_stand_beside_their_like(a: list[Any], b: list[Any]) -> None:
    found = list(align.matches(a, b))
    assert [i for i, _ in found if i is not None] == list(range(len(a)))
    assert [j for _, j in found if j is not None] == list(range(len(b)))
    alike = [(i, j) for i, j in found if i is not None and j is not None and a[i] == b[j]]
    assert len(alike) >= longest(a, b)


@pytest.mark.parametrize("extra", [0, 1, 700])
def test_thousands_of_steps_are_aligned_a_window_at_a_time(extra: int) -> None:
    a = [(f"tool{number % 7}",) for number in range(3000)]
    b = a[:1000] + [("other",)] * extra + a[1003:]
    found = list(align.matches(a, b))
    assert [i for i, _ in found if i is not None] == list(range(len(a)))
    assert [j for _, j in found if j is not None] == list(range(len(b)))
    assert all(x is not None and a[x] == b[y] for x, y in found[:1000] if y is not None)
    assert sum(x is not None and y is not None and a[x] == b[y] for x, y in found) >= 2 * len(a) // 3


def test_a_step_that_only_one_run_has_stands_alone() -> None:
    extra = made([("look", {}, "1")], [("think", {}, "2")], [("act", {}, "3")], "Done.")
    pairs = Comparison(extra, made([("look", {}, "1")], [("act", {}, "3")], "Done.")).pairs
    assert [(pair.a, pair.b) for pair in pairs] == [(0, 0), (1, None), (2, 1), (3, 2)]
    assert [pair.words for pair in pairs] == [
        "same call and result",
        "only in A",
        "same call and result",
        "same answer",
    ]


def test_parallel_calls_in_another_order_are_the_same() -> None:
    one = made([("look", {"at": 1}, "x"), ("look", {"at": 2}, "y"), ("act", {}, "z")], "Done.")
    two = made([("act", {}, "z"), ("look", {"at": 2}, "y"), ("look", {"at": 1}, "x")], "Done.")
    assert [pair.same for pair in Comparison(one, two).pairs] == [True, True]
    other = made([("act", {}, "z"), ("look", {"at": 2}, "y"), ("look", {"at": 3}, "x")], "Done.")
    assert parting(one, other) == "Step 1: A calls look with at 1, B calls look with at 3."


def test_what_only_one_server_adds_to_every_call_is_no_difference() -> None:
    """memgpt-style servers send `request_heartbeat` with the agent's own arguments; those of today do not have it."""
    old = made([("look", {"at": 1, "request_heartbeat": True}, "x")], "Done.")
    assert Comparison(old, made([("look", {"at": 1}, "x")], "Done.")).divergence is None
    other = Comparison(old, made([("look", {"at": 2}, "x")], "Done."))
    assert [pair.argument_keys for pair in other.pairs] == [["at"], []]
    both = Comparison(old, made([("look", {"at": 1, "request_heartbeat": False}, "x")], "Done."))
    assert [pair.argument_keys for pair in both.pairs] == [["request_heartbeat"], []]


# -- what differs, and where they part ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["multi_tok", "parallel2_tok", "err2_tok", "cancel_slowtok", "approve_tok_1request"])
def test_a_run_with_itself_is_the_same(name: str) -> None:
    run = modern(name)
    comparison = Comparison(run, run)
    assert comparison.divergence is None
    assert all(pair.same and pair.a == pair.b for pair in comparison.pairs)
    assert {its.difference for its in comparison.figures} <= {"0 ms", "0", ""}


@pytest.mark.parametrize(
    ("a", "b"), [("multi_tok", "multi2_tok"), ("multi_tok", "multi_step"), ("parallel2_tok", "parallel_step")]
)
def test_how_a_server_delivers_is_no_difference(a: str, b: str) -> None:
    assert Comparison(modern(a), modern(b)).divergence is None


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ("multi_tok", "err2_tok", "Step 2: A calls roll_die, B fails in the model call."),
        ("err2_tok", "multi_tok", "Step 2: A fails in the model call, B calls roll_die."),
        ("err2_tok", "err500_tok", "Step 1: A calls get_weather, B fails in the model call."),
        ("multi_tok", "toolerr_tok", "Step 1: A calls get_weather, B calls always_fails."),
        (
            "hello_tok",
            "multi_tok",
            'Step 1: A answers "Hello! I am a scripted agent. 2+2=4", B calls get_weather.',
        ),
        (
            "loop_maxsteps3_step",
            "parallel2_tok",
            "Step 1: A calls roll_die, B calls get_weather, get_weather and slow_lookup.",
        ),
        ("cancel_slowtok", "multi_tok", "Step 1: A is stopped in mid-answer, B calls get_weather."),
    ],
)
def test_recordings_part(a: str, b: str, sentence: str) -> None:
    assert parting(modern(a), modern(b)) == sentence


PARIS: Calls = [("weather", {"city": "Paris", "days": 2}, '{"city": "Paris", "temp_c": 21}')]


@pytest.mark.parametrize(
    ("other", "differs", "keys", "sentence"),
    [
        (
            [("weather", {"days": 2, "city": "Oslo"}, PARIS[0][2])],
            "arguments",
            "arguments.city",
            'Step 1: A calls weather with city "Paris", B calls weather with city "Oslo".',
        ),
        (
            [("weather", {"city": "Paris"}, PARIS[0][2])],
            "arguments",
            "arguments.days",
            "Step 1: A calls weather with days 2, B calls weather without days.",
        ),
        (
            [("weather", {"city": "Paris", "days": True}, PARIS[0][2])],
            "arguments",
            "arguments.days",
            "Step 1: A calls weather with days 2, B calls weather with days true.",
        ),
        (
            [("weather", '{"city": "Paris", "da', PARIS[0][2])],
            "arguments",
            "arguments",
            'Step 1: A calls weather with {"city": "Paris", "days": 2}, B calls weather with "{"city": "Paris", "da".',
        ),
        (
            [("weather", PARIS[0][1], '{"temp_c": 3, "city": "Paris"}')],
            "result",
            "result.temp_c",
            "Step 1: A gets temp_c 21 from weather, B gets temp_c 3 from weather.",
        ),
        (
            [("weather", PARIS[0][1], "no such city")],
            "result",
            "result",
            'Step 1: A gets {"city": "Paris", "temp_c": 21} from weather, B gets "no such city" from weather.',
        ),
        ([("weather", PARIS[0][1], '{"city":"Paris","temp_c":21}')], "", "", "None"),
    ],
)
def test_calls_differ_by_key(other: Calls, differs: str, keys: str, sentence: str) -> None:
    comparison = Comparison(made(PARIS, "Done."), made(other, "Done."))
    row = comparison.df.iloc[0]
    assert (row["differs"], row["changed_keys"]) == (differs, keys)
    assert str(comparison.divergence) == sentence


def test_what_became_of_a_call_is_a_difference() -> None:
    failing = made(PARIS, "Done.", status="error")
    assert parting(made(PARIS, "Done."), failing).endswith(
        'B sees weather fail with "{"city": "Paris", "temp_c": 21}".'
    )
    silent = made([("weather", PARIS[0][1], None)], end=None)
    assert parting(made(PARIS), silent).endswith("B does not hear back from weather.")
    waiting = modern("approve_tok_1request")
    answered = fixtures.answered("v1_approve_step", 42.4)
    assert parting(waiting, answered).startswith("Step 1: A waits for an approval of danger, B gets ")
    assert "B is denied danger" in parting(answered, fixtures.answered("v1_deny_step", 8.25))


def test_wording_beside_the_point_is_no_difference() -> None:
    one, two = made(PARIS, "It is\nwarm.", thinks="First."), made(PARIS, "It is warm.", thinks="Let me see.")
    assert Comparison(one, two).divergence is None
    assert parting(one, made(PARIS, "It is cold.")) == 'Step 2: A answers "It is warm", B answers "It is cold".'


def test_an_end_is_a_difference() -> None:
    assert parting(made(PARIS, "Done."), made(PARIS)) == 'Step 2: A answers "Done", B has ended.'
    hello = modern("hello_tok")
    assert parting(hello, fixtures.cut(hello, 0.366)) == "Step 1: A goes on, B loses the connection."
    assert str(Comparison(made(end=None), made()).divergence) == "Step 1: A loses the connection, B has ended."
    assert Comparison(made(), made()).pairs == []


def test_steps_that_count_differently_are_named_on_both_sides() -> None:
    a = made([("look", {}, "1")], [("act", {"n": 1}, "3")])
    b = made([("act", {"n": 2}, "3")])
    comparison = Comparison(a, b)
    assert [(pair.a, pair.b) for pair in comparison.pairs] == [(0, None), (1, 0)]
    assert str(comparison.divergence) == "Step 1: A calls look, B calls act."
    assert "\n2/1   A  act" in str(comparison)


# -- figures -----------------------------------------------------------------------------------------------------------


def test_figures_are_told_as_far_as_they_are_known() -> None:
    figures = Comparison(modern("multi_tok"), modern("err2_tok")).figures
    assert [tuple(its[:4]) for its in figures] == [
        ("Prompt", "SCN:multi please", "SCN:err2 please", ""),
        ("Time", "16.0 s", "6.10 s", "−9.89 s"),
        ("Tools", "15.0 s", "4.23 s", "−10.8 s"),
        ("Waiting", "537 ms", "1.72 s", "+1.18 s"),
        ("Steps", "4", "2", "−2"),
        ("Tokens in", "7,022", "not reported", ""),
        ("Tokens out", "56", "not reported", ""),
    ]
    assert [its.label for its in figures if its.strong] == ["Time"]


def test_what_a_step_that_came_whole_took_inside_is_not_told() -> None:
    figures = {its.label: its for its in Comparison(modern("multi_tok"), modern("multi_step")).figures}
    assert figures["Tools"][1:4] == ("15.0 s", "not timed", "")
    assert figures["Waiting"].b == "not timed"
    # a bound has no difference
    bound = {its.label: its for its in Comparison(modern("multi_tok"), modern("parallel2_tok")).figures}["Tools"]
    assert bound[1:4] == ("15.0 s", "≤ 10.6 s", "")


def test_cost_is_told_where_a_price_is_known() -> None:
    runs: list[Run] = []
    for model, tokens in (("gpt-4o-mini", 100_000), ("gpt-4o-mini", 200_000), (None, 5)):
        run = made(PARIS)
        run.model = model
        usage = {"message_type": "usage_statistics", "prompt_tokens": tokens, "completion_tokens": 0}
        again = run.blank(record=True)
        for received in run.log or ():
            again.receive(received)
        again.receive(Received(S, "", json.dumps(usage | {"total_tokens": tokens})))
        again.end(S)
        runs.append(again)
    a, b = (run.cost for run in runs[:2])
    assert a is not None
    assert b is not None
    cost = Comparison(runs[0], runs[1]).figures[-1]
    assert (cost.label, cost.a, cost.difference) == ("Cost", f"${a.usd:.4f}", f"+${b.usd - a.usd:.4f}")
    assert Comparison(runs[0], runs[2]).figures[-1][1:4] == (f"${a.usd:.4f}", "not known", "")
    assert Comparison(runs[2], runs[2]).figures[-1].label == "Tokens out"


def test_the_table_has_a_row_a_pair() -> None:
    runs = [modern(f"{name}_tok") for name in ("multi2", "parallel2")]
    for run, name in zip(runs, ("v1_multi2", "v1_parallel2"), strict=True):
        run.join_server({"steps": fixtures.server_rows(name)})
    comparison = Comparison(*runs)
    df = comparison.df
    assert list(df.columns[:7]) == (
        "step_index_a step_index_b tool_names_a tool_names_b same differs changed_keys".split()
    )
    assert len(df) == len(comparison.pairs) == 4
    steps = [letta_nb.steps_df(run) for run in runs]
    for side, table in zip("ab", steps, strict=True):
        mine = df.dropna(subset=[f"step_index_{side}"])
        for name in ("duration_s", "input_tokens", "output_tokens"):
            assert mine[f"{name}_{side}"].tolist() == table[name].tolist()
    both = df.dropna(subset=["step_index_a", "step_index_b"])
    assert (both["input_tokens_delta"] == both["input_tokens_b"] - both["input_tokens_a"]).all()
    alone = df[df["step_index_b"].isna()]
    assert len(alone) == 2
    assert alone[["tool_names_b", "duration_s_b", "duration_s_delta", "input_tokens_b"]].isna().all(axis=None)
    assert df["tool_names_b"].iloc[0] == "get_weather, get_weather, slow_lookup"


def test_the_table_has_the_same_types_whatever_is_in_it() -> None:
    full, empty = Comparison(modern("multi_tok"), modern("err2_tok")).df, Comparison(made(), made()).df
    assert full.dtypes.astype(str).to_dict() == empty.dtypes.astype(str).to_dict()
    assert full["input_tokens_a"].isna().all()
    assert isinstance(full.dtypes["same"], pd.BooleanDtype)


# -- what is handed over -----------------------------------------------------------------------------------------------


def test_runs_and_files_of_runs_are_compared(tmp_path: Path) -> None:
    saved = modern("multi2_tok").save(tmp_path / "run.jsonl")
    comparison = letta_nb.compare(FIXTURES / "0.16.8/v1_multi_tok.sse", str(saved))
    assert comparison.divergence is None
    with pytest.raises(InputError, match="was expected, not int"):
        compare(modern("multi_tok"), 3)  # pyright: ignore[reportArgumentType]
    modern("multi_tok").save(tmp_path / "other.jsonl")
    with pytest.raises(InputError, match="holds 2 runs"):
        compare(modern("multi_tok"), tmp_path / "*.jsonl")


def test_the_name_stays_a_function_whatever_is_imported() -> None:
    code = "import letta_nb.comparison, letta_nb\nassert callable(letta_nb.compare)\nletta_nb.compare.__doc__"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- how it is shown ---------------------------------------------------------------------------------------------------


def test_its_text_is_a_transcript_of_both() -> None:
    comparison = Comparison(modern("multi_tok"), modern("err2_tok"))
    assert repr(comparison) == "<Comparison: Step 2: A calls roll_die, B fails in the model call.>"
    assert str(comparison) == (
        "letta compare  A completed, B failed\n"
        "\n"
        "    First divergence, step 2: A calls roll_die, B fails in the model call.\n"
        "\n"
        '1     get_weather {"city": "Paris"} → {"city": "Paris", "temp_c": 21}\n'
        "      same call and result\n"
        '2     A  roll_die {"sides": 20} → 4\n'
        "      B  llm_api_error\n"
        '3     A  slow_lookup {"key": "alpha", "seconds": 1.5} → value of alpha\n'
        "      B  no such step\n"
        "4     A  Done: weather, die and lookup complete.\n"
        "      B  no such step"
    )
    assert repr(Comparison(made("Done."), made("Done."))) == "<Comparison: no divergence in 1 step>"


def test_its_text_is_the_same_on_each_run() -> None:
    multi = modern("multi_tok")
    assert str(Comparison(multi, modern("multi2_tok"))) == str(Comparison(multi, modern("multi_step")))


def test_many_equal_steps_are_one_line() -> None:
    comparison = fixtures.comparisons()["many"]
    rows = str(comparison).splitlines()[5:]
    assert [row for row in rows if "same step" in row] == ["1-9  9 same steps", "11-16  6 same steps"]
    assert len(rows) == 6


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in for the built bundle."""
    (tmp_path / "loader.js").write_text(LOADER + "\n")
    (tmp_path / "compare.js").write_text("the code </script>")
    monkeypatch.setattr(static_html, "_STATIC", tmp_path)
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    static_html._bundle.cache_clear()  # pyright: ignore[reportPrivateUsage]


def parts(html: str) -> tuple[str, list[str]]:
    """The bare part, and what the loader is given, unpacked."""
    match = re.fullmatch(r'(.*)<script>boot\("(.*)", "(.*)", "(.*)", "(.*)"\)</script></div>', html, re.DOTALL)
    assert match is not None
    bare, *packed = match.groups()
    return bare + "</div>", [gzip.decompress(base64.b64decode(part)).decode() if part else "" for part in packed]


@pytest.mark.usefixtures("bundle")
def test_its_html_is_readable_bare_and_holds_the_view_beside_it() -> None:
    comparison = Comparison(modern("multi_tok"), modern("err2_tok"))
    bundle = comparison._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]
    assert bundle["text/plain"] == str(comparison)
    bare, (code, more, data, raw) = parts(bundle["text/html"])
    assert (code, more, raw) == ("the code </script>", "", "")
    assert json.loads(data) == comparison.words_for_page()
    page = Page(bare)
    assert_harmless(page)
    for text in ("A calls roll_die, B fails in the model call.", "−9.89 s", "not reported", "value of alpha"):
        assert squeezed(text) in page.text


@pytest.mark.usefixtures("bundle")
def test_a_page_of_its_own_fetches_nothing(tmp_path: Path) -> None:
    comparison = Comparison(modern("multi_tok"), modern("multi2_tok"))
    html = str(comparison.to_html())
    path = tmp_path / "both.html"
    assert comparison.to_html(path) == path
    assert path.read_text("utf-8") == html
    assert html.startswith("<!doctype html>")
    assert "default-src 'none'" in html


@pytest.mark.usefixtures("bundle")
def test_runs_that_kept_no_events_are_compared_bare() -> None:
    bare = modern("multi_tok").blank(record=False)
    for received in modern("multi_tok").log or ():
        bare.receive(received)
    bare.end(16 * S)
    comparison = Comparison(bare, modern("multi_tok"))
    assert comparison.divergence is None
    assert "<script>" not in comparison._repr_mimebundle_()["text/html"]  # pyright: ignore[reportPrivateUsage]


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_an_agent_wrote_stays_text(payload: str) -> None:
    comparison = Comparison(hostile_run(payload), modern("multi_tok"))
    bare, _ = parts(comparison._repr_mimebundle_()["text/html"])  # pyright: ignore[reportPrivateUsage]
    assert_harmless(Page(bare))
    shown = str(comparison) + repr(comparison)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", shown)


def test_the_page_is_told_the_pairs_in_order() -> None:
    told = Comparison(modern("multi_tok"), modern("err2_tok")).words_for_page()
    assert told["divergence"] == {"pair": 1, "a": "calls roll_die", "b": "fails in the model call"}
    assert [pair["difference"] for pair in told["pairs"]] == ["−405 ms", "−2.97 s", "", ""]
    assert [(pair["a"], pair["b"]) for pair in told["pairs"]] == [(0, 0), (1, 1), (2, None), (3, None)]
