"""How sure one can be of a change: a figure of new runs against the same of a baseline, by resampling both.

Runs are resampled within their group (here: of one prompt), so that a prompt that one side ran more often does not
count as a change. Seeded: the same runs give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Array = Any
# values of the baseline and of the new runs in each group; neither is empty
Groups = Sequence[tuple[Sequence[float], Sequence[float]]]
Figure = Callable[[Array, Array], Array]
# cells that are resampled at once
_CELLS = 2_000_000


class Change(NamedTuple):
    """A figure of the baseline and of the new runs, how they compare, and between what that lies; None: not known."""

    baseline: float
    new: float
    change: float
    low: float | None = None
    high: float | None = None


class Sampling(NamedTuple):
    """How sure an interval is to hold the change, by how many resamples, and what they are drawn by."""

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 0


def mean(values: Array, weights: Array) -> Array:
    """The mean of each row; the columns have weights."""
    return values @ weights


def p95(values: Array, weights: Array) -> Array:
    """In each row the value that 95 % of the weight does not exceed."""
    import numpy as np

    order = np.argsort(values, axis=1)
    reached = np.cumsum(weights[order], axis=1) >= 0.95 - 1e-9
    return np.take_along_axis(np.take_along_axis(values, order, 1), reached.argmax(axis=1)[:, None], 1)[:, 0]


def change(groups: Groups, figure: Figure, sampling: Sampling, *, ratio: bool) -> Change:
    """The change from baseline to new: new over baseline, or (not `ratio`) new less baseline.

    Each group weighs the same, however many runs it has. There is no interval where no group has two runs on both
    sides.
    """
    import numpy as np

    def compared(base: Array, new: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            # nothing against nothing is no change
            return np.where(new == base, 1.0, new / base) if ratio else new - base

    sides = [[np.array(group[side], dtype=float) for group in groups] for side in (0, 1)]
    weights = [np.concatenate([np.full(len(its), 1 / len(its) / len(groups)) for its in side]) for side in sides]
    points = [figure(np.concatenate(side)[None, :], its) for side, its in zip(sides, weights, strict=True)]
    found = Change(points[0].item(), points[1].item(), compared(*points).item())
    if not any(len(base) > 1 and len(new) > 1 for base, new in groups):
        return found
    rng = np.random.default_rng(sampling.seed)
    drawn = [_resampled(side, its, figure, sampling.resamples, rng) for side, its in zip(sides, weights, strict=True)]
    edges = (1 - sampling.confidence) / 2
    low, high = np.quantile(compared(*drawn), [edges, 1 - edges], method="nearest")
    return found._replace(low=low.item(), high=high.item())


def _resampled(side: list[Array], weights: Array, figure: Figure, resamples: int, rng: Array) -> Array:
    import numpy as np

    found: list[Array] = []
    step = max(_CELLS // max(len(weights), 1), 1)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        columns = [its[rng.integers(0, len(its), (rows, len(its)))] for its in side]
        found.append(figure(np.concatenate(columns, axis=1), weights))
    return np.concatenate(found)
