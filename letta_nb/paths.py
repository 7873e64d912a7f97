"""Files and folders that a person names: what cannot be used is said in a sentence, not in Python's own words."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from letta_nb.errors import InputError


def named(path: Any, what: str, example: str = "run.jsonl") -> Path:
    """A path that a caller without a type checker passed as `what`. Raises InputError for what is none."""
    try:
        text = os.fsdecode(path) if not isinstance(path, bytes) else None
    except TypeError:
        text = None
    if text is None:
        raise InputError(f"{what} takes a path, such as {example!r}, not {type(path).__name__}.")
    if "\0" in text:
        raise InputError(f"No file can be called {text!r:.80}: leave the null character out.")
    return Path(text)


def to_write(path: Any, what: str, example: str = "run.jsonl") -> Path:
    """The file to write, in a folder that is there. Raises InputError."""
    place = named(path, what, example)
    with writing(place):
        if place.is_dir():
            raise InputError(f"{place} is a folder. Name a file, such as {example}.")
        if not place.parent.is_dir():
            raise InputError(
                f"{place} cannot be written: there is no folder {place.parent}. Name a file, such as {example}."
            )
    return place


def told(text: str, path: Any, what: str, example: str) -> str | Path:
    """The text itself or, when a path is given, the file that it was written to. Raises InputError."""
    if path is None:
        return text
    file = to_write(path, what, example)
    with writing(file):
        file.write_text(text, encoding="utf-8")
    return file


@contextmanager
def writing(path: str | Path) -> Generator[None]:
    """What the system says against writing there, as an InputError that names the place."""
    try:
        yield
    except OSError as problem:
        raise InputError(f"{path} cannot be written: {problem.strerror or problem}. Name another place.") from problem
