"""The incremental decoder gives what `json.loads` gives, wherever the arguments are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_nb.server.partial_json import StringField, string_field

TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['"', "\\", "\\u00e9", "🤔", "\u2028", "{}[]:,"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.just("message"), inner, max_size=3),
    max_leaves=6,
)


def fed(text: str, cuts: list[int], key: str = "message") -> tuple[bool, str]:
    field = StringField(key)
    edges = [0, *sorted(cuts), len(text)]
    out = "".join(field.feed(text[a:b]) for a, b in pairwise(edges))
    return field.found, out


@given(
    before=st.dictionaries(TEXT.filter(lambda key: key != "message"), VALUES, max_size=2),
    message=TEXT,
    after=st.dictionaries(TEXT.filter(lambda key: key != "message"), VALUES, max_size=2),
    ascii_only=st.booleans(),
    indent=st.none() | st.integers(0, 2),
)
def test_every_cut_gives_the_same_text(before: Any, message: str, after: Any, ascii_only: bool, indent: Any) -> None:
    after = {key: value for key, value in after.items() if key not in before}
    text = json.dumps(before | {"message": message} | after, ensure_ascii=ascii_only, indent=indent)
    for cut in range(len(text) + 1):
        assert fed(text, [cut]) == (True, message)
    assert fed(text, list(range(len(text)))) == (True, message)


@given(value=VALUES.filter(lambda value: not isinstance(value, str)), deep=VALUES)
def test_only_a_top_level_string_counts(value: Any, deep: Any) -> None:
    text = json.dumps({"other": {"message": "deep", "x": deep}, "list": [{"message": "m"}], "message": value})
    assert fed(text, list(range(len(text)))) == (False, "")


@given(message=TEXT, data=st.data())
def test_what_was_sent_is_a_prefix_of_the_whole(message: str, data: st.DataObject) -> None:
    text = json.dumps({"message": message})
    cut = data.draw(st.integers(0, len(text)))
    _, out = fed(text[:cut], [])
    assert message.startswith(out)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"message": "\ud83e\udd14"}', "🤔"),
        (r'{"message": "\ud83e"}', "\ufffd"),
        (r'{"message": "\ud83ex"}', "\ufffdx"),
        (r'{"message": "\udd14"}', "\ufffd"),
        (r'{"message": "\ud83e\ud83e\udd14"}', "\ufffd🤔"),
        (r'{"mess\u0061ge": "escaped key"}', "escaped key"),
        ('{"message": "cut', "cut"),
        ('{"message"  :\n "space"}', "space"),
        ('{"message": "raw\nnewline"}', "raw\nnewline"),
        ('{"x": "message", "message": "value named as the key"}', "value named as the key"),
        ('["message", "no"]', None),
        ('"message"', None),
        ("", None),
        ("{}", None),
    ],
)
def test_odd_arguments(text: str, expected: str | None) -> None:
    assert string_field(text, "message") == expected
    assert fed(text, list(range(len(text)))) == (expected is not None, expected or "")


@given(st.text(max_size=40))
def test_garbage_does_no_harm(text: str) -> None:
    string_field(text, "message")
