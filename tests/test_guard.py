"""The regression guard: what counts as worse, how sure it is, and what it says; and the same as a pytest plugin."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from folded import RUNS
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_nb import bootstrap, guard
from letta_nb.bootstrap import MEAN, P95, SHARE, Sampling
from letta_nb.entries import TrialFacts
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
    tokens: int | None = 100,
    failed: int = 0,
    stop: str = "end_turn",
    took: Mapping[str, float] | None = None,
    agent: str | None = None,
    model: str = "gpt-4o-mini",
) -> Run:
    """A run of these tools, a list a step, which took so long and used so many tokens; `failed` calls failed, a tool
    took so many seconds."""
    run = Run({"messages": [{"role": "user", "content": prompt}], "stream_tokens": True}, agent_id=agent, model=model)
    ids = {"run_id": f"run-{next(numbers)}", "id": "message-0"}
    at, left = 0, failed
    for step, names in enumerate(tools):
        ids |= {"step_id": f"step-{ids['run_id']}-{step}", "id": f"message-{step}"}
        for place, name in enumerate(names):
            call = {"name": name, "arguments": "{}", "tool_call_id": f"call-{step}-{place}"}
            back = {"tool_return": "ok", "status": "error" if left > 0 else "success", **call}
            left -= 1
            for event, after in (
                ({"message_type": "tool_call_message", **ids, "tool_call": call, "tool_calls": call}, 0.01),
                ({"message_type": "tool_return_message", **ids, **back}, (took or {}).get(name, 0.01)),
            ):
                at += round(after * S)
                run.receive(Received(at, "", json.dumps(event)))
    end = round(seconds * S)
    events: list[dict[str, Any]] = [{"message_type": "stop_reason", "stop_reason": stop}]
    if tokens is not None:
        usage = {"prompt_tokens": tokens - 10, "completion_tokens": 10, "step_count": len(tools)}
        events.append({"message_type": "usage_statistics", "total_tokens": tokens, **usage})
    for event in events:
        run.receive(Received(end, "", json.dumps(event)))
    run.end(end)
    return run


def verdicts(found: guard.Check) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in found.findings}


def finding(found: guard.Check, name: str) -> guard.Finding:
    return next(its for its in found.findings if its.name == name)


# -- how sure one can be -----------------------------------------------------------------------------------------------

run_values = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=3)
values = st.lists(run_values, min_size=1, max_size=12)
groups = st.lists(st.tuples(values, values), min_size=1, max_size=4)


def alone(values: Any) -> list[list[float]]:
    """Runs of a value each."""
    return [[value] for value in values]


@given(groups, st.booleans())
@settings(max_examples=40)
def test_the_change_lies_in_its_interval_and_nothing_is_no_change(
    found: list[tuple[list[list[float]], list[list[float]]]], ratio: bool
) -> None:
    few = Sampling(confidence=0.999, resamples=200)
    its = bootstrap.change(found, MEAN._replace(ratio=ratio), few)
    assert its.change == pytest.approx(its.new / its.baseline if ratio else its.new - its.baseline)
    assert its.baseline == pytest.approx(np.mean([np.mean(list(chain(*base))) for base, _ in found]))
    fewest = min(len(side) for group in found for side in group)
    assert (its.low is None) == (fewest < 3 if len(found) == 1 else fewest == 1 and len(found) < 6)
    assert its.low is None or its.high is None or its.low <= its.high
    same = [(side, side) for side, _ in found]
    assert bootstrap.change(same, P95._replace(ratio=ratio), few).change == (1 if ratio else 0)


def test_a_prompt_that_ran_more_often_weighs_no_more() -> None:
    low, high = [[1.0]], [[100.0]]
    for figure in (MEAN, P95):
        once = bootstrap.change([(low, low), (high, high)], figure, SURE)
        more = bootstrap.change([(low, low * 50), (high * 50, high)], figure, SURE)
        assert more[:3] == pytest.approx(once[:3])


def test_p95_is_a_value_that_was_measured() -> None:
    hundred = np.arange(100.0, 0, -1)
    weights = np.array([[0.01] * 100, [0.5, *[0] * 98, 0.5]])
    assert bootstrap.p95(hundred, weights).tolist() == [95.0, 100.0]


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        a, b = rng.normal(100, 10, 30).tolist(), rng.normal(110, 10, 30).tolist()
        its = bootstrap.change([(alone(a), alone(b))], MEAN, Sampling(0.9, 400, seed))
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
            (alone(rng.normal(its, its / 10, runs)), alone(rng.normal(its * more, its / 10, runs)))
            for its, more in zip(base, ratio, strict=True)
        ]
        its = bootstrap.change(sides, MEAN, Sampling(0.9, 400, seed))
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
    sides = [(alone(range(40)), alone(range(5, 45)))]
    whole = bootstrap.change(sides, P95, SURE)
    monkeypatch.setattr(bootstrap, "_CELLS", 100)
    piecewise = bootstrap.change(sides, P95, SURE)
    assert piecewise[:3] == whole[:3]
    assert piecewise.low == pytest.approx(whole.low, rel=0.1)


def test_nothing_against_something_is_endless_and_not_an_error() -> None:
    assert bootstrap.change([([[0.0]], [[3.0]])], MEAN, SURE).change == math.inf


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
        sides = [([[value]], [[other]]) for value, other in rng.lognormal(0, 0.5, (11, 2)).tolist()]
        its = bootstrap.change(sides, MEAN, Sampling(resamples=400, seed=seed))
        assert its.low is not None
        worse += its.low > 1.1
    assert worse <= 5


@pytest.mark.parametrize(("baseline", "new"), [(5, 5), (5, 50), (5, 200), (20, 200), (200, 5)])
@pytest.mark.parametrize("figure", [P95, MEAN, SHARE])
def test_sides_of_other_sizes_are_not_worse_by_that(figure: bootstrap.Figure, baseline: int, new: int) -> None:
    """No true change: p95 of few runs is lower than that of many, and what is rare is not seen in few."""
    rng = np.random.default_rng(4)
    draw: Callable[[int], Any] = lambda n: rng.random(n) < 0.05 if figure.share else rng.lognormal(0, 0.4, n)  # noqa: E731
    worse = 0
    for seed in range(100):
        its = bootstrap.change([(alone(draw(baseline)), alone(draw(new)))], figure, Sampling(0.95, 400, seed))
        assert its.low is not None
        worse += its.low > (1.1 if figure.ratio else 0)
    # 2 or 3 of 100 are expected at the limit itself
    assert worse <= 6


@pytest.mark.parametrize("prompts", [2, 3, 5])
def test_few_prompts_that_ran_once_may_all_have_changed_by_chance(prompts: int) -> None:
    found = check([ran(f"{n}", tokens=200) for n in range(prompts)], [ran(f"{n}") for n in range(prompts)])
    assert finding(found, "tokens").verdict == "unclear"
    assert "2.00x (too few runs for an interval)" in finding(found, "tokens").words


def test_calls_of_one_run_are_not_so_many_runs() -> None:
    """One run on a slow network is no proof, however many calls it made."""
    rng = np.random.default_rng(5)
    worse = 0
    for seed in range(100):
        sides = [[(slow * rng.normal(1, 0.05, 20)).tolist() for slow in rng.lognormal(0, 0.3, 5)] for _ in range(2)]
        its = bootstrap.change([(sides[0], sides[1])], P95, Sampling(0.95, 400, seed))
        assert its.low is not None
        worse += its.low > 1.2
    assert worse <= 6


def test_what_never_happened_in_few_runs_may_happen() -> None:
    failing = [ran(stop="llm_api_error") for _ in range(10)]
    rare = finding(check([*(ran() for _ in range(190)), *failing], [ran() for _ in range(5)]), "error_rate")
    assert rare.verdict == "unclear"
    assert (rare.baseline, rare.new) == (0, 0.05)
    often = check([*(ran() for _ in range(10)), *failing], [ran() for _ in range(20)])
    assert finding(often, "error_rate").verdict == "worse"
    never = finding(check([ran() for _ in range(20)], [ran() for _ in range(20)]), "error_rate")
    assert never.verdict == "ok"
    assert (never.change, never.low) == (0, pytest.approx(-2 / 22))


def test_p95_of_many_runs_is_compared_as_that_of_few() -> None:
    its = finding(check([ran(seconds=1 + n / 100) for n in range(100)], [ran(seconds=1.5) for _ in range(5)]), "p95")
    # the greatest of five of 1.00 to 1.99, on average
    assert its.new == pytest.approx(1 + 0.995 * 5 / 6, abs=0.02)
    assert its.baseline == 1.5
    assert its.verdict == "unclear"
    assert "1.50 s to 1.83 s in 5 runs each, 1.22x" in its.words


def test_one_slow_prompt_hides_no_other() -> None:
    """p95 of all is that of the one which takes a minute."""
    seconds = {f"q{n}": 60.0 if n == 0 else 1.0 for n in range(10)}
    base = [ran(prompt, seconds=its + n / 100) for prompt, its in seconds.items() for n in range(5)]
    new = [
        ran(prompt, seconds=its * (2 if its < 60 else 1) + n / 100) for prompt, its in seconds.items() for n in range(5)
    ]
    its = finding(check(new, base), "p95")
    assert its.verdict == "worse"
    assert its.words.startswith('time of a run, p95: "q1" 1.04 s to 2.04 s, 1.96x (')
    assert its.words.endswith("allowed 1.20x, the most of 10 prompts")
    assert its.diff.splitlines()[-1] == "and 5 more"
    assert its.diff.startswith('worse: "q2" 1.04 s to 2.04 s')
    # of prompts that ran once, none by itself
    once = finding(check(new[::5], base[::5]), "p95")
    assert once.words.startswith("time of a run, geometric mean: ")
    assert (once.verdict, round(once.change or 0, 2)) == ("worse", round(2**0.9, 2))
    # the noise of one of them is no finding
    calm = [ran(prompt, seconds=its + n / 100) for prompt, its in seconds.items() for n in range(4)]
    odd = [ran("q3", seconds=1.5) if n == 13 else run for n, run in enumerate(calm)]
    assert finding(check(odd, base), "p95").words.startswith("time of a run, p95: 1:00 to 1:00")


def test_runs_that_failed_at_once_make_the_others_no_slower() -> None:
    base = [*(ran(tokens=1000) for _ in range(10)), *(ran(tokens=10, stop="llm_api_error") for _ in range(10))]
    found = check([ran(tokens=1000) for _ in range(20)], base)
    assert found
    words = finding(found, "tokens").words
    assert words == "tokens a run: 1,000 to 1,000, 1.00x, allowed 1.10x, of the 10 of 20 baseline runs that completed"


def test_a_group_is_named_by_what_makes_it_one() -> None:
    def its(seconds: float) -> list[Run]:
        both = [ran(agent=agent, seconds=9 if agent == "b" else seconds) for agent in "ab" for _ in range(5)]
        return [
            *both,
            *(ran("Once more.", agent="a") for _ in range(5)),
            *(ran("Once more.", agent="b") for _ in range(5)),
        ]

    words = finding(check(its(3.0), its(1.0)), "p95").words
    assert words.startswith('time of a run, p95: "Go.", a 1.00 s to 3.00 s, 3.00x')


def test_tools_are_compared_one_by_one() -> None:
    """One call of thirty became slow: p95 of all calls is what it was."""
    tools = [["fast"]] * 30 + [["slow"], ["rest"]]
    base = [ran(tools=tools, took={"slow": 0.1}, seconds=9) for _ in range(6)]
    new = [ran(tools=tools, took={"slow": 0.9, "rest": 0.04}, seconds=9) for _ in range(6)]
    its = finding(check(new, base), "tool_p95")
    assert its.verdict == "worse"
    assert its.words.endswith("p95: slow 100 ms to 900 ms, 9.00x, allowed 1.20x, the most of 3 tools")
    assert its.diff == "worse: rest 10 ms to 40 ms, 4.00x"
    # fewer calls of the fast one make no tool slower
    fewer = [ran(tools=[["fast"], ["slow"], ["rest"]], took={"slow": 0.1}, seconds=9) for _ in range(6)]
    assert finding(check(fewer, base), "tool_p95").verdict == "ok"


def test_agents_and_models_are_compared_with_themselves() -> None:
    def mix(small: int, large: int, **other: str) -> list[Run]:
        its = [{"agent": "a", "tokens": 100}] * small + [{"agent": "b", "tokens": 1000}] * large
        return [ran(**{**one, **other}) for one in its]  # pyright: ignore[reportArgumentType]

    found = check(mix(10, 40), mix(40, 10))
    assert verdicts(found)["tokens"] == "ok"
    assert found.note == ""
    # another agent is what may have changed
    changed = check(mix(20, 0, agent="c"), mix(20, 0))
    assert finding(changed, "tokens").change == 1
    assert changed.note == ""
    unlike = check(mix(5, 5), mix(5, 0))
    assert unlike.note == "the runs are of several agents, not of the same ones on both sides: they are taken as one"
    crossed = [ran(agent=agent, model=model) for agent, model in (("a", "m"), ("b", "n"))]
    other = [ran(agent=agent, model=model) for agent, model in (("a", "n"), ("b", "m"))]
    assert finding(check(crossed, other), "tokens").change == 1


def test_models_are_those_that_were_asked_for() -> None:
    """A fan-out's runs all have the agent's own model."""

    def mix(small: int, large: int, *, by_trial: bool) -> Iterator[Run]:
        for number, (model, tokens) in enumerate([("small", 100)] * small + [("large", 1000)] * large):
            run = ran(tokens=tokens)
            if by_trial:
                run.trial = TrialFacts("fan", number, model, 0)
            else:
                run.request = {**(run.request or {}), "override_model": model}
            yield run

    for by_trial in (True, False):
        found = check(list(mix(10, 30, by_trial=by_trial)), list(mix(30, 10, by_trial=by_trial)))
        assert verdicts(found)["tokens"] == "ok"


def test_what_only_some_runs_told_is_said() -> None:
    new = [ran(), *(ran(tokens=None) for _ in range(19))]
    its = finding(check(new, [ran() for _ in range(20)]), "tokens")
    assert its.words.endswith("allowed 1.10x, known of 1 of 20 new runs")
    assert "known of" not in finding(check([ran(tools=[]), ran()], [ran()]), "tool_error_rate").words


def test_what_a_person_took_to_answer_is_no_time_of_the_run() -> None:
    slow, quick = RUNS["answered_tok"], ran(RUNS["answered_tok"].prompt, seconds=2)
    waited = float(slow.runs_df()["approval_wait_s"][0])
    its = finding(check(slow, quick), "p95")
    assert waited > 1
    assert its.new == pytest.approx((slow.duration or 0) - waited)


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


def test_one_odd_run_of_the_baseline_makes_nothing_usual() -> None:
    base = [ran(tools=[]), *(ran() for _ in range(19))]
    its = finding(check([ran(tools=[]) for _ in range(20)], base), "tool_sequence")
    assert (its.verdict, its.diff.strip()) == ("worse", "(no tool)")
    assert its.words == "sequence of tools: 100% of the new runs do what 5% of the baseline's did"
    half = [ran(tools=[]) if n < 8 else ran() for n in range(20)]
    assert (
        finding(check([ran(tools=[]) for _ in range(10)] + [ran() for _ in range(10)], half), "tool_sequence").verdict
        == "ok"
    )


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
    assert "1 of the baseline's prompts is not in the new runs" in found.note
    assert "1 of the new runs' prompts is not in the baseline" in str(found)


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
    found = check([ran(tokens=tokens) for tokens in (200, 210, 220)], [ran() for _ in range(3)])
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
