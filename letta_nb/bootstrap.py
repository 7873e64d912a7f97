"""How sure one can be of a change: a figure of new runs against the same of a baseline, by resampling both.

Runs are resampled within their group (here: of one prompt), so that a prompt that one side ran more often does not
count as a change; a run is drawn with all its values (its tool calls), which are not independent of each other. Where
groups hold too few runs to tell how much they vary, the groups are resampled as well. Seeded: the same runs give the
same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

Array = Any
# the values of each run of the baseline and of each new run, in each group; nothing of it is empty
Values = Sequence[Sequence[float]]
Groups = Sequence[tuple[Values, Values]]
# as many runs of each group, on both sides, tell how much they vary; fewer do not
_ENOUGH = 5
# of fewer runs in the only group, or of fewer groups that ran once, all may have changed alike by chance alone
FEWEST_RUNS, _FEWEST_GROUPS = 3, 6
# what is less has no logarithm of any use: a nanosecond, in seconds
_LEAST = 1e-9
# cells that are resampled at once
_CELLS = 2_000_000


class Figure(NamedTuple):
    """A figure of values (n) by their weights (rows of n); how two of it compare.

    `ratio`: new over baseline; else new less baseline. `grows`: more runs make it greater, so that only as many of the
    one side as of the other compare. `share`: of values that are 0 or 1.
    """

    of: Callable[[Array, Array], Array]
    ratio: bool = True
    grows: bool = False
    share: bool = False


class Change(NamedTuple):
    """A figure of the baseline and of the new runs, how they compare, and between what that lies; None: not known.

    `runs`: where one side has more runs and that alone would change the figure, it is what so many of it show.
    """

    baseline: float
    new: float
    change: float
    low: float | None = None
    high: float | None = None
    runs: int | None = None


class Sampling(NamedTuple):
    """How sure an interval is to hold the change, by how many resamples, and what they are drawn by."""

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 0


def mean(values: Array, weights: Array) -> Array:
    """The mean by each row of weights."""
    return weights @ values / weights.sum(axis=1)


def geometric(values: Array, weights: Array) -> Array:
    """The geometric mean by each row of weights: a value that doubles counts the same, however large it is."""
    import numpy as np

    return np.exp(mean(np.log(np.maximum(values, _LEAST)), weights))


def p95(values: Array, weights: Array) -> Array:
    """For each row of weights the value that 95 % of the weight does not exceed."""
    import numpy as np

    order = np.argsort(values)
    reached = np.cumsum(weights[:, order], axis=1)
    reached = reached >= (0.95 - 1e-9) * reached[:, -1:]
    return values[order][reached.argmax(axis=1)]


MEAN = Figure(mean)
GEOMETRIC = Figure(geometric)
P95 = Figure(p95, grows=True)
SHARE = Figure(mean, ratio=False, share=True)


def change(groups: Groups, figure: Figure, sampling: Sampling) -> Change:
    """The change of a figure from baseline to new.

    Each group weighs the same, however many runs it has. What is asked is whether these groups changed, so each is in
    every drawing, and of its runs one less than there are: as many would vary too little (Rao and Wu 1988). With few
    runs that tells too little, and groups are drawn as well. There is no interval where so few cannot tell.
    """
    import numpy as np

    def compared(base: Array, new: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            # nothing against nothing is no change
            return np.where(new == base, 1.0, new / base) if figure.ratio else new - base

    rng = np.random.default_rng(sampling.seed)
    sides = [_Side([group[side] for group in groups]) for side in (0, 1)]
    fewer = np.minimum(*(side.runs for side in sides))
    uneven = figure.grows and any((side.runs != fewer).any() for side in sides)
    once = np.ones((sampling.resamples, len(groups)), dtype=int)
    base, new = (side.shown(figure, once, fewer, rng) if uneven else side.figure(figure) for side in sides)
    its = compared(np.float64(base), np.float64(new)).item()
    found = Change(base, new, its, runs=int(fewer.sum()) if uneven else None)
    if fewer.min() < FEWEST_RUNS if len(groups) == 1 else fewer.min() == 1 and len(groups) < _FEWEST_GROUPS:
        return found
    each = len(groups) == 1 or fewer.min() >= _ENOUGH
    # the same groups on both sides: they are compared with each other
    times = once if each else rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), sampling.resamples)
    drawn = [
        side.drawn(figure, times, (fewer if figure.grows else side.runs) - int(each), rng, again=True) for side in sides
    ]
    edges = (1 - sampling.confidence) / 2
    low, high = np.quantile(compared(*drawn), [edges, 1 - edges], method="nearest")
    return found._replace(low=low.item(), high=high.item())


class _Side:
    """The runs of one side: their values in one row, group by group."""

    def __init__(self, groups: list[Values]) -> None:
        import numpy as np

        self.runs: Array = np.array([len(its) for its in groups])
        self.values = np.array([value for its in groups for run in its for value in run], dtype=float)
        sizes = [len(run) for its in groups for run in its]
        self._run = np.repeat(np.arange(len(sizes)), sizes)
        lengths = [sum(map(len, its)) for its in groups]
        self._group = np.repeat(np.arange(len(groups)), lengths)
        self._starts = np.cumsum([0, *lengths[:-1]])

    def figure(self, figure: Figure) -> float:
        """What all runs show."""
        import numpy as np

        every = np.ones((1, self.runs.sum()), dtype=int)
        return figure.of(self.values, self._weights(every, np.ones((1, len(self.runs)), dtype=int))).item()

    def shown(self, figure: Figure, times: Array, counts: Array, rng: Array) -> float:
        """What so many runs of each group show, in the middle."""
        if (counts == self.runs).all():
            return self.figure(figure)
        return self.drawn(figure, times, counts, rng, again=False).mean().item()

    def drawn(self, figure: Figure, times: Array, counts: Array, rng: Array, *, again: bool) -> Array:
        """The figure in each drawing, of so many runs of each group, each of them so many `times`."""
        import numpy as np

        found: list[Array] = []
        step = max(_CELLS // len(self.values), 1)
        for start in range(0, len(times), step):
            some = times[start : start + step]
            picked = np.concatenate(list(self._picked(len(some), counts, rng, again=again)), axis=1)
            found.append(figure.of(self.values, self._weights(picked, some)))
        every = np.concatenate(found)
        if not figure.share:
            return every
        # two more values, which may be either: what never happened in so many may still happen (Agresti and Caffo 2000)
        known = len(self.values)
        return (every * known + rng.binomial(2, 0.5, len(every))) / (known + 2)

    def _picked(self, rows: int, counts: Array, rng: Array, *, again: bool) -> Iterator[Array]:
        """How often each run was drawn, group by group; `again`: the same one may be drawn twice."""
        import numpy as np

        for runs, count in zip(self.runs.tolist(), counts.tolist(), strict=True):
            if again:
                chosen = rng.integers(0, runs, (rows, count))
            else:
                chosen = rng.permuted(np.tile(np.arange(int(runs)), (rows, 1)), axis=1)[:, :count]
            cells = chosen + np.arange(rows)[:, None] * runs
            yield np.bincount(cells.ravel(), minlength=rows * runs).reshape(rows, runs)

    def _weights(self, picked: Array, times: Array) -> Array:
        """The weight of each value: those of a group weigh the same together, as often as it was drawn."""
        import numpy as np

        weights = picked[:, self._run]
        if len(self.runs) == 1:
            # whole numbers, so that equal runs have an equal figure
            return weights
        return weights * (times / np.add.reduceat(weights, self._starts, axis=1))[:, self._group]
