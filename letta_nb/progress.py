"""A bar for what takes long: tqdm, shown only when somebody would wait."""

from __future__ import annotations

import importlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

_T = TypeVar("_T")
# s: what is quicker needs no bar
_DELAY = 2.0


def bar(what: str, total: int | None, progress: bool | None) -> Any:
    """A bar to be updated by hand: at once, or (None) once it takes longer than 2 s."""
    tqdm: Any = importlib.import_module("tqdm.auto").tqdm
    return tqdm(desc=what, total=total, unit=f" {what}", delay=0 if progress else _DELAY, leave=bool(progress))


class _Pulling(threading.local):
    """The bars of those who wait for an item at this moment, the outermost first; None is one who wants no bar."""

    def __init__(self) -> None:
        self.bars: list[Any] = []


_pulling = _Pulling()


def counted(items: Iterator[_T], what: str, total: int | None, progress: bool | None) -> Iterator[_T]:
    """The items, with a bar: always, never, or (None) once it takes longer than 2 s.

    Of two that count the same items, one as the other asks for them, one has a bar, with the total that either knows.
    """
    outer = _pulling.bars[-1] if _pulling.bars else None
    if _pulling.bars and progress is None:
        if outer is not None and outer.total is None:
            outer.total = total
        yield from items
    elif progress is False:
        yield from _pulled(items, None)
    else:
        if outer is not None:
            outer.disable = True  # somebody asked for the inner one
        with bar(what, total, progress) as shown:
            for item in _pulled(items, shown):
                yield item
                shown.update()


def _pulled(items: Iterator[_T], shown: Any) -> Iterator[_T]:
    while True:
        _pulling.bars.append(shown)
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            _pulling.bars.pop()
        yield item


async def acounted(items: AsyncIterator[_T], what: str, total: int | None, progress: bool | None) -> AsyncIterator[_T]:
    """`counted` for an asynchronous iterator."""
    if progress is False:
        async for item in items:
            yield item
        return
    with bar(what, total, progress) as shown:
        async for item in items:
            yield item
            shown.update()
