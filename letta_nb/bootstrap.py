"""How sure one can be of a change: a figure of new runs against the same of a baseline, by resampling both.

Runs are resampled within their group (here: of one prompt), so that a prompt that one side ran more often does not
count as a change. Where groups hold too few runs to tell how much they vary, the groups are resampled as well. Seeded:
the same runs give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Array = Any
# values of the baseline and of the new runs in each group; neither is empty
Groups = Sequence[tuple[Sequence[float], Sequence[float]]]
Figure = Callable[[Array, Array], Array]
# as many runs of each group, on both sides, tell how much they vary; fewer do not
_ENOUGH = 5
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
    """The mean of each row by its weights."""
    return (values * weights).sum(axis=1)


def p95(values: Array, weights: Array) -> Array:
    """In each row the value that 95 % of the weight does not exceed."""
    import numpy as np

    order = np.argsort(values, axis=1)
    reached = np.cumsum(np.take_along_axis(weights, order, 1), axis=1) >= 0.95 - 1e-9
    return np.take_along_axis(np.take_along_axis(values, order, 1), reached.argmax(axis=1)[:, None], 1)[:, 0]


def change(groups: Groups, figure: Figure, sampling: Sampling, *, ratio: bool) -> Change:
    """The change from baseline to new: new over baseline, or (not `ratio`) new less baseline.

    Each group weighs the same, however many runs it has. What is asked is whether these groups changed, so each is in
    every drawing, and of its runs one less than there are: as many would vary too little (Rao and Wu 1988). With few
    runs that tells too little, and groups are drawn as well. There is no interval for one group with one run on a side.
    """
    import numpy as np

    def compared(base: Array, new: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            # nothing against nothing is no change
            return np.where(new == base, 1.0, new / base) if ratio else new - base

    sides = [[np.array(group[side], dtype=float) for group in groups] for side in (0, 1)]
    once = np.ones((1, len(groups)), dtype=int)
    points = [figure(np.concatenate(side)[None, :], _weights([len(its) for its in side], once)) for side in sides]
    found = Change(points[0].item(), points[1].item(), compared(*points).item())
    if len(groups) == 1 and min(len(groups[0][0]), len(groups[0][1])) == 1:
        return found
    rng = np.random.default_rng(sampling.seed)
    each = len(groups) == 1 or min(min(len(base), len(new)) for base, new in groups) >= _ENOUGH
    if each:
        times = np.repeat(once, sampling.resamples, axis=0)
    else:
        # the same groups on both sides: they are compared with each other
        times = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=sampling.resamples)
    drawn = [_resampled(side, times, figure, rng, less=int(each)) for side in sides]
    edges = (1 - sampling.confidence) / 2
    low, high = np.quantile(compared(*drawn), [edges, 1 - edges], method="nearest")
    return found._replace(low=low.item(), high=high.item())


def _weights(sizes: list[int], times: Array) -> Array:
    """The weight of each run of groups of these sizes, where each group is drawn so many `times`, a row a drawing."""
    import numpy as np

    shares = [times[:, [n]] / (size * len(sizes)) for n, size in enumerate(sizes)]
    return np.concatenate([np.repeat(share, size, axis=1) for share, size in zip(shares, sizes, strict=True)], axis=1)


def _resampled(side: list[Array], times: Array, figure: Figure, rng: Array, *, less: int) -> Array:
    """The figure in each of as many drawings, of so many runs `less` than each group has."""
    import numpy as np

    found: list[Array] = []
    sizes = [len(its) - less for its in side]
    step = max(_CELLS // max(sum(map(len, side)), 1), 1)
    for start in range(0, len(times), step):
        some = times[start : start + step]
        columns = [its[rng.integers(0, len(its), (len(some), size))] for its, size in zip(side, sizes, strict=True)]
        found.append(figure(np.concatenate(columns, axis=1), _weights(sizes, some)))
    return np.concatenate(found)
