"""The regression guard: what counts as worse, how sure it is, and what it says; and the same as a pytest plugin."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_nb import bootstrap, guard
from letta_nb.bootstrap import Sampling
from letta_nb.errors import InputError
from letta_nb.guard import Regression, check
from letta_nb.log import Received
from letta_nb.run import Run

numbers = count()
S = 1_000_000_000
SURE = Sampling()


def ran(
    prompt: str = "Go.",
    tools: Sequence[Sequence[str]] = (("look",), ("act",)),
    *,
    seconds: float = 1.0,
    tokens: int = 100,
    failed: int = 0,
    stop: str = "end_turn",
) -> Run:
    """A run of these tools, a list a step, which took so long and used so many tokens; `failed` calls failed."""
    run = Run({"messages": [{"role": "user", "content": prompt}], "stream_tokens": True}, model="gpt-4o-mini")
    ids = {"run_id": f"run-{next(numbers)}", "id": "message-0"}
    at, left = 0, failed
    for step, names in enumerate(tools):
        ids |= {"step_id": f"step-{ids['run_id']}-{step}", "id": f"message-{step}"}
        for place, name in enumerate(names):
            call = {"name": name, "arguments": "{}", "tool_call_id": f"call-{step}-{place}"}
            back = {"tool_return": "ok", "status": "error" if left > 0 else "success", **call}
            left -= 1
            for event in (
                {"message_type": "tool_call_message", **ids, "tool_call": call, "tool_calls": call},
                {"message_type": "tool_return_message", **ids, **back},
            ):
                at += S // 100
                run.receive(Received(at, "", json.dumps(event)))
    end = round(seconds * S)
    usage = {"total_tokens": tokens, "prompt_tokens": tokens - 10, "completion_tokens": 10, "step_count": len(tools)}
    for event in (
        {"message_type": "stop_reason", "stop_reason": stop},
        {"message_type": "usage_statistics", **usage},
    ):
        run.receive(Received(end, "", json.dumps(event)))
    run.end(end)
    return run


def verdicts(found: guard.Check) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in found.findings}


# -- how sure one can be -----------------------------------------------------------------------------------------------

values = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=12)
groups = st.lists(st.tuples(values, values), min_size=1, max_size=4)


@given(groups, st.booleans())
@settings(max_examples=40)
def test_the_change_lies_in_its_interval_and_nothing_is_no_change(
    found: list[tuple[list[float], list[float]]], ratio: bool
) -> None:
    few = Sampling(confidence=0.999, resamples=200)
    its = bootstrap.change(found, bootstrap.mean, few, ratio=ratio)
    assert its.change == pytest.approx(its.new / its.baseline if ratio else its.new - its.baseline)
    assert (its.low is None) == (len(found) == 1 and min(map(len, found[0])) == 1)
    assert its.low is None or its.high is None or its.low <= its.high
    same = [(side, side) for side, _ in found]
    assert bootstrap.change(same, bootstrap.p95, few, ratio=ratio).change == (1 if ratio else 0)


def test_a_prompt_that_ran_more_often_weighs_no_more() -> None:
    base, new = [([1.0], [1.0] * 50), ([100.0] * 50, [100.0])], [([1.0], [1.0]), ([100.0], [100.0])]
    for figure in (bootstrap.mean, bootstrap.p95):
        once = bootstrap.change(new, figure, SURE, ratio=True)
        assert bootstrap.change(base, figure, SURE, ratio=True)[:3] == pytest.approx(once[:3])


def test_p95_is_a_value_that_was_measured() -> None:
    hundred = [float(n) for n in range(1, 101)]
    weights = np.full((2, 100), 0.01)
    assert bootstrap.p95(np.array([hundred, hundred[::-1]]), weights).tolist() == [95.0, 95.0]


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        a, b = rng.normal(100, 10, 30).tolist(), rng.normal(110, 10, 30).tolist()
        its = bootstrap.change([(a, b)], bootstrap.mean, Sampling(0.9, 400, seed), ratio=True)
        assert its.low is not None
        assert its.high is not None
        held += its.low <= 1.1 <= its.high
    # 180 of 200 are expected; the generator is seeded
    assert 165 <= held <= 195


@pytest.mark.parametrize(("prompts", "runs"), [(1, 5), (3, 5), (3, 30), (20, 5)])
def test_prompts_that_ran_often_are_judged_by_themselves(prompts: int, runs: int) -> None:
    """However much prompts differ, and however differently they change, the interval holds the change of these."""
    rng = np.random.default_rng(3)
    base, ratio = rng.lognormal(0, 1, prompts), rng.choice([1.0, 2.0], prompts)
    truth = (base * ratio).sum() / base.sum()
    held = 0
    for seed in range(200):
        sides = [
            (rng.normal(its, its / 10, runs).tolist(), rng.normal(its * more, its / 10, runs).tolist())
            for its, more in zip(base, ratio, strict=True)
        ]
        its = bootstrap.change(sides, bootstrap.mean, Sampling(0.9, 400, seed), ratio=True)
        assert its.low is not None
        assert its.high is not None
        held += its.low <= truth <= its.high
    # 180 of 200 are expected; the generator is seeded
    assert 165 <= held <= 195


def test_a_prompt_that_did_not_change_does_not_hide_the_ones_that_did() -> None:
    slower = {"Where?": 1.0, "How?": 2.0, "Why?": 2.0}
    new = [ran(prompt, seconds=seconds + n / 100) for prompt, seconds in slower.items() for n in range(30)]
    base = [ran(prompt, seconds=1 + n / 100) for prompt in slower for n in range(30)]
    assert verdicts(check(new, base))["p95"] == "worse"


def test_many_runs_are_resampled_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [([float(n) for n in range(40)], [float(n + 5) for n in range(40)])]
    whole = bootstrap.change(sides, bootstrap.p95, SURE, ratio=True)
    monkeypatch.setattr(bootstrap, "_CELLS", 100)
    piecewise = bootstrap.change(sides, bootstrap.p95, SURE, ratio=True)
    assert piecewise[:3] == whole[:3]
    assert piecewise.low == pytest.approx(whole.low, rel=0.1)


def test_nothing_against_something_is_endless_and_not_an_error() -> None:
    assert bootstrap.change([([0.0], [3.0])], bootstrap.mean, SURE, ratio=True).change == math.inf


# -- what is worse -----------------------------------------------------------------------------------------------------


def test_equal_runs_pass() -> None:
    found = check([ran() for _ in range(4)], [ran() for _ in range(4)])
    assert found
    assert found.passed
    assert found.raise_for_regression() is found
    assert verdicts(found) == {
        "tool_sequence": "ok",
        "p95": "ok",
        "tool_p95": "ok",
        "tokens": "ok",
        "cost": "ok",
        "error_rate": "ok",
        "tool_error_rate": "ok",
    }
    assert str(found).startswith("No regression.")


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("p95", {"seconds": 2.0}),
        ("tokens", {"tokens": 150}),
        ("error_rate", {"stop": "llm_api_error"}),
        ("tool_error_rate", {"failed": 2}),
        ("tool_sequence", {"tools": [["look"], ["think"], ["act"]]}),
    ],
)
def test_each_limit_fails_by_itself(name: str, worse: dict[str, object]) -> None:
    found = check([ran(**worse) for _ in range(6)], [ran() for _ in range(6)])  # pyright: ignore[reportArgumentType]
    assert verdicts(found)[name] == "worse"
    assert not found
    with pytest.raises(Regression) as caught:
        found.raise_for_regression()
    assert caught.value.check is found
    assert isinstance(caught.value, AssertionError)
    off = check([ran(**worse)], [ran()], **dict.fromkeys(verdicts(found)))  # pyright: ignore[reportArgumentType]
    assert off.findings == []
    assert off.passed


def test_what_more_runs_would_have_to_tell_is_unclear() -> None:
    new = [ran(tokens=tokens) for tokens in (100, 100, 100, 180)]
    found = check(new, [ran() for _ in range(4)])
    (tokens,) = (finding for finding in found.findings if finding.name == "tokens")
    assert tokens.verdict == "unclear"
    assert tokens.low is not None
    assert tokens.high is not None
    assert tokens.change == pytest.approx(1.2)
    assert tokens.low <= 1.1 < tokens.high
    assert found.passed
    assert str(found).startswith("2 of 7 unclear: more runs of each prompt, on both sides, would tell.\n")
    assert not check(new, [ran() for _ in range(4)], strict=True).passed


def test_one_run_each_is_compared_by_itself_and_says_so() -> None:
    found = check(ran(tokens=120), ran())
    (tokens,) = (finding for finding in found.findings if finding.name == "tokens")
    assert (tokens.verdict, tokens.low, tokens.high) == ("unclear", None, None)
    assert "100 to 120, 1.20x (too few runs for an interval), allowed 1.10x" in tokens.words
    assert not check(ran(tokens=120), ran(), strict=True)


def test_equal_rates_are_equal_whatever_their_fractions_add_up_to() -> None:
    """A third of the runs fails on both sides, in other prompts."""
    fails = [{"stop": "llm_api_error"} if n < 6 else {} for n in range(18)]
    base = [ran(prompt=f"{n}", **its) for n, its in enumerate(fails)]  # pyright: ignore
    new = [ran(prompt=f"{n}", **its) for n, its in enumerate(reversed(fails))]  # pyright: ignore
    assert verdicts(check(new, base))["error_rate"] == "ok"


def test_prompts_that_ran_once_do_not_make_it_sure() -> None:
    """No true change; with one run each, only what prompts vary among themselves tells how sure one may be."""
    rng = np.random.default_rng(2)
    worse = 0
    for seed in range(100):
        sides = [([value], [other]) for value, other in rng.lognormal(0, 0.5, (11, 2)).tolist()]
        its = bootstrap.change(sides, bootstrap.mean, Sampling(resamples=400, seed=seed), ratio=True)
        assert its.low is not None
        worse += its.low > 1.1
    assert worse <= 5


def test_long_sequences_are_shown_in_part() -> None:
    (finding,) = (
        its for its in check(ran(tools=[["a"]] * 300), ran(tools=[["b"]] * 300)).findings if its.name == "tool_sequence"
    )
    assert "and 100 more steps" in finding.diff
    assert len(finding.diff.splitlines()) < 410


def test_what_is_not_known_on_both_sides_is_not_compared() -> None:
    untimed = Run({"input": "Go."}, timed=False)
    untimed.receive(Received(-1, "", json.dumps({"message_type": "assistant_message", "id": "m", "content": "Hm."})))
    untimed.end(None)
    found = verdicts(check(untimed, ran(tools=[])))
    assert [found[name] for name in ("p95", "tool_p95", "tokens", "cost", "tool_error_rate")] == ["not compared"] * 5
    assert found["tool_sequence"] == "ok"


# -- the sequence of tools ---------------------------------------------------------------------------------------------


def test_the_diff_shows_the_nearest_sequence_step_by_step() -> None:
    base = [ran(tools=[["act"], ["ask"]]), ran(tools=[["look"], ["act"]])]
    new = [ran(tools=[["look"], ["look", "ask"], ["act"]])]
    (finding,) = (its for its in check(new, base).findings if its.name == "tool_sequence")
    assert finding.diff.splitlines() == [
        "Go.  (1 of 1 new runs)",
        "      look",
        "    + ask and look",
        "      act",
    ]
    assert "1 of 1 new runs" in finding.words


def test_calls_at_once_have_no_order_and_any_sequence_of_the_baseline_will_do() -> None:
    base = [ran(tools=[["a", "b"]]), ran(tools=[["c"]])]
    assert check([ran(tools=[["b", "a"]]), ran(tools=[["c"]])], base).passed
    assert not check([ran(tools=[["a"], ["b"]])], base).passed


def test_many_prompts_are_told_in_short() -> None:
    base = [ran(prompt=f"Prompt {n}") for n in range(9)]
    new = [ran(prompt=f"Prompt {n}", tools=[["other"]]) for n in range(9)]
    assert "and 6 more prompts" in str(check(new, base))


def test_what_a_tool_is_called_does_nothing_to_a_terminal() -> None:
    said = str(check(ran(prompt="\x1b[2J", tools=[["\x1b]0;x\x07"]]), ran(prompt="\x1b[2J")))
    assert "\x1b" not in said
    assert "<script>" not in check(ran(tools=[["<script>"]]), ran())._repr_html_()


# -- what is given -----------------------------------------------------------------------------------------------------


def test_runs_are_compared_with_those_of_their_prompt() -> None:
    base = [ran("short", seconds=1.0), ran("long", seconds=9.0), ran("gone")]
    new = [*(ran("long", seconds=9.0) for _ in range(5)), ran("short", seconds=1.0), ran("fresh")]
    found = check(new, base)
    assert found.passed
    assert "1 of the baseline's prompts are not in the new runs" in found.note
    assert "1 of the new runs' prompts are not in the baseline" in str(found)


def test_no_prompt_in_common_is_an_error() -> None:
    with pytest.raises(InputError, match="no prompt in common"):
        check(ran("a"), ran("b"))


@pytest.mark.parametrize("options", [{"confidence": 0}, {"confidence": 1.0}, {"resamples": 0}])
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        check(ran(), ran(), **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "limit",
    [{"p95": "a"}, {"p95": -1}, {"tokens": math.nan}, {"cost": True}, {"error_rate": 5}, {"tool_error_rate": -0.1}],
)
def test_a_limit_that_cannot_be_one_is_told(limit: dict[str, Any]) -> None:
    (name,) = limit
    with pytest.raises(InputError, match=f"^{name}=.*: a limit is a number"):
        check(ran(), ran(), **limit)


def test_a_side_without_runs_is_told_by_its_name() -> None:
    with pytest.raises(InputError, match="no runs in new"):
        check([], ran())
    with pytest.raises(InputError, match="no runs in baseline"):
        check(ran(), [])


def test_the_table_has_a_row_a_finding() -> None:
    found = check([ran(tokens=200), ran(tokens=220)], [ran(), ran()])
    table = found.df
    assert table["name"].tolist() == [finding.name for finding in found.findings]
    row = table.set_index("name").loc["tokens"]
    assert (row["verdict"], row["baseline"], row["new"], row["limit"]) == ("worse", 100, 210, 1.1)
    assert pd.isna(table.set_index("name").loc["tool_sequence", "baseline"])


# -- pytest ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(pytester: pytest.Pytester) -> Iterator[Path]:
    for folder, tokens in (("base", 100), ("new", 150)):
        (pytester.path / folder).mkdir()
        for number in range(3):
            ran(tokens=tokens).save(pytester.path / folder / f"{number}.jsonl")
    return pytester.path


def test_each_limit_is_a_test(pytester: pytest.Pytester, files: Path) -> None:
    found = pytester.runpytest("--letta-new=new/*.jsonl", "--letta-baseline=base/*.jsonl", "-rA")
    found.assert_outcomes(passed=5, failed=2)
    found.stdout.fnmatch_lines(["*worse: tokens a run: 100 to 150, 1.50x, allowed 1.10x"])
    assert "guard.py" not in found.stdout.str()


def test_limits_can_be_set_and_left_out(pytester: pytest.Pytester, files: Path) -> None:
    given = ["--letta-limit=tokens=1.6", "--letta-limit=cost=off", "--letta-limit=tool_sequence=off"]
    found = pytester.runpytest("--letta-new=new/*.jsonl", "--letta-baseline=base/*.jsonl", *given)
    found.assert_outcomes(passed=5)


def test_what_is_unclear_does_not_look_as_if_it_had_passed(pytester: pytest.Pytester, files: Path) -> None:
    for number in (1, 2):
        (files / f"base/{number}.jsonl").unlink()
    command = ["--letta-new=new/*.jsonl", "--letta-baseline=base/*.jsonl", "-rs"]
    found = pytester.runpytest(*command)
    found.assert_outcomes(passed=5, skipped=2)
    found.stdout.fnmatch_lines(["*unclear, more runs would tell: tokens a run: 100 to 150, 1.50x (too few*"])
    pytester.runpytest(*command, "--letta-strict").assert_outcomes(passed=5, failed=2)


def test_a_limit_that_is_none_is_told(pytester: pytest.Pytester, files: Path) -> None:
    for wrong in ("token=1", "tokens=much", "tokens"):
        found = pytester.runpytest("--letta-new=new/*.jsonl", "--letta-baseline=base/*.jsonl", "--letta-limit", wrong)
        found.stderr.fnmatch_lines([f"*--letta-limit {wrong}: say NAME=NUMBER or NAME=off, of tool_sequence, p95*"])
    alone = pytester.runpytest("--letta-new=new/*.jsonl")
    alone.stderr.fnmatch_lines(["*--letta-new and --letta-baseline go together*"])


def test_files_that_cannot_be_read_are_one_line(pytester: pytest.Pytester, files: Path) -> None:
    found = pytester.runpytest("--letta-new=none/*.jsonl", "--letta-baseline=base/*.jsonl")
    found.assert_outcomes(failed=7)
    found.stdout.fnmatch_lines(["*No file matches none/*.jsonl."])
    pytester.makepyfile("def test_none(letta_check): letta_check('none/*.jsonl', 'base/*.jsonl')")
    found = pytester.runpytest()
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["No file matches none/*.jsonl."])
    found.stdout.no_fnmatch_line("*Error*")


def test_the_fixture_fails_the_test_with_the_findings(pytester: pytest.Pytester, files: Path) -> None:
    pytester.makepyfile(
        """
        def test_worse(letta_check):
            letta_check("new/*.jsonl", "base/*.jsonl")

        def test_allowed(letta_check):
            assert letta_check("new/*.jsonl", "base/*.jsonl", tokens=2.0, cost=None).passed
        """
    )
    found = pytester.runpytest()
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(["2 of 7 got worse than the baseline allows.", "  worse         tokens a run*"])
    assert "pytest_plugin.py" not in found.stdout.str()
