"""Remarks on tokens: a cache that is no longer read, a context that grows, a step that costs most, reasoning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from letta_nb import figures, frames
from letta_nb.columns import Grain
from letta_nb.remarks import Facts, Note

# tokens that are worth a word, and of reasoning
_TOKENS, _REASONING = 1000, 200
# the least that a cache's hit rate falls, a context grows (times), and is of its window, and a step is of the cost
_LOST_RATE, _GREW, _NEAR_FULL, _MOST_COST, _MOST_REASONING = 0.2, 1.5, 0.75, 0.5, 0.5


def _cache_drop(facts: Facts) -> Iterator[Note]:
    """Steps that read less from the cache than the step of the same model before them had."""
    steps = facts.steps
    drops: list[tuple[int, int, int, float, float]] = []
    known = steps["cache_read_input_tokens"].notna() & (steps["input_tokens"] > 0).fillna(False)
    # the last step of each model: no model reads what is cached for another
    lasts: dict[str, tuple[int, int, int]] = {}
    for step in steps.index[known]:
        after, now = int(steps["cache_read_input_tokens"].iloc[step]), int(steps["input_tokens"].iloc[step])
        model = str(steps["model"].iloc[step])
        if model in lasts:
            earlier, before, of = lasts[model]
            lost = min(before, now) - after
            if lost >= _TOKENS and before / of - after / now >= _LOST_RATE:
                drops.append((lost, step, earlier, before / of, after / now))
        lasts[model] = (step, after, now)
    if not drops:
        return
    tokens = sum(lost for lost, *_ in drops)
    _, step, _, was, came_to = max(drops)
    times = f"{len(drops)} times, most " if len(drops) > 1 else ""
    said = f"The cache hit rate fell {times}from {was:.0%} to {came_to:.0%} in step {step + 1}: "
    said += f"{figures.count(tokens)} tokens that could have been read from the cache were not."
    indexes = sorted({index for _, step, earlier, *_ in drops for index in (earlier, step)})
    shown = ("step_index", "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "total_cost_usd")
    share = facts.part_of_tokens(tokens)
    yield Note("cache_drop", said, share, "steps", steps.iloc[indexes], shown, stake_tokens=tokens)


def _context_growth(facts: Facts) -> Iterator[Note]:
    """How the context grew from step to step, and how near it came to the window, where either is much."""
    steps, run = facts.steps, facts.run
    rows: list[int] = steps.index[steps["input_tokens"].notna()].tolist()
    if not rows:
        return
    read = [int(steps["input_tokens"].iloc[row]) for row in rows]
    peak = max(range(len(rows)), key=lambda i: read[i])
    window = run.steps[rows[peak]].server.get("context_window_limit")
    held = read[peak] + int(steps["output_tokens"].fillna(0).iloc[rows[peak]])
    filled = held / window if isinstance(window, int) and window > 0 else 0.0
    grew = read[peak] - read[0] >= _TOKENS and read[peak] >= _GREW * read[0]
    if not grew and filled < _NEAR_FULL:
        return
    said = f"The context was {figures.count(held)} tokens in step {rows[peak] + 1}"
    more = None
    if grew:
        more = sum(max(count - read[0], 0) for count in read)
        said = f"The context grew from {figures.count(read[0])} tokens in step {rows[0] + 1} to "
        said += (
            f"{figures.count(read[peak])} in step {rows[peak] + 1}, read as {figures.count(more)} tokens more in all"
        )
    said += f"; {filled:.0%} of the window of {figures.count(window)}" if isinstance(window, int) and filled else ""
    windows = [run.steps[row].server.get("context_window_limit") for row in rows]
    proof = steps.iloc[rows].assign(context_window=windows).astype({"context_window": "Int64"})
    shown = ("step_index", "input_tokens", "output_tokens", "context_window")
    share = max(facts.part_of_tokens(more), filled if filled >= _NEAR_FULL else 0.0)
    yield Note("context_growth", f"{said}.", share, "steps", proof, shown, stake_tokens=more)


def _costly_step(facts: Facts) -> Iterator[Note]:
    """One step that cost most of it: in dollars where a price is known, else in tokens."""
    steps = facts.steps
    for column in ("total_cost_usd", "total_tokens"):
        costs = steps[column]
        if len(costs) < 2 or costs.isna().any() or not costs.sum():
            continue
        step = int(costs.argmax())
        most, share = costs.iloc[step], float(costs.iloc[step] / costs.sum())
        # of few steps one always has a large part
        if share < max(_MOST_COST, 1.5 / len(costs)):
            return
        usd = float(most) if column == "total_cost_usd" else None
        tokens = facts.sum_of("total_tokens", [step])
        what = f"{figures.count(int(most))} tokens" if usd is None else figures.dollars(usd)
        total = figures.count(int(costs.sum())) if usd is None else figures.dollars(float(costs.sum()))
        said = f"Step {step + 1} cost {what}, {share:.0%} of what all {len(costs)} steps cost ({total})."
        shown = ("step_index", "model", "input_tokens", "output_tokens", "total_cost_usd")
        yield Note("costly_step", said, share, "steps", steps, shown, stake_tokens=tokens, stake_usd=usd)
        return


def _reasoning_share(facts: Facts) -> Iterator[Note]:
    """Output that is reasoning, by the steps where all of them tell, else by the usage reports."""
    tables: tuple[tuple[Grain, Any], ...] = (("steps", facts.steps), ("usage", frames.usage_df(facts.run)))
    for grain, table in tables:
        told = table[["reasoning_output_tokens", "output_tokens"]]
        if not len(told) or told.isna().any(axis=None):
            continue
        tokens, of = int(told["reasoning_output_tokens"].sum()), int(told["output_tokens"].sum())
        if tokens >= _REASONING and tokens >= _MOST_REASONING * of:
            part = f"{min(tokens / of, 1.0):.0%}"
            said = f"Reasoning is {figures.count(tokens)} of {figures.count(of)} output tokens ({part})."
            shown = ("step_index" if grain == "steps" else "report_index", "output_tokens", "reasoning_output_tokens")
            share = facts.part_of_tokens(tokens)
            yield Note("reasoning_share", said, share, grain, table, shown, stake_tokens=tokens)
        return


RULES: tuple[Callable[[Facts], Iterator[Note]], ...] = (_costly_step, _cache_drop, _context_growth, _reasoning_share)
