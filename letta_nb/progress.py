"""A bar for what takes long: tqdm, shown only when somebody would wait."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

_T = TypeVar("_T")
# s: what is quicker needs no bar
_DELAY = 2.0


def bar(what: str, total: int | None, progress: bool | None) -> Any:
    """A bar to be updated by hand: at once, or (None) once it takes longer than 2 s."""
    tqdm: Any = importlib.import_module("tqdm.auto").tqdm
    return tqdm(desc=what, total=total, unit=f" {what}", delay=0 if progress else _DELAY, leave=bool(progress))


def counted(items: Iterator[_T], what: str, total: int | None, progress: bool | None) -> Iterator[_T]:
    """The items, with a bar: always, never, or (None) once it takes longer than 2 s."""
    if progress is False:
        yield from items
        return
    with bar(what, total, progress) as shown:
        for item in items:
            yield item
            shown.update()


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
