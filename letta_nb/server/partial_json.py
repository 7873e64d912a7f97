"""Reads one string field out of a JSON object that arrives in pieces, cut anywhere."""

from __future__ import annotations

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_REPLACEMENT = "\ufffd"


class StringField:
    """The decoded text of the top-level string field `key`; `found` once its value has begun.

    Only the first such field counts, as its text is gone out by the time a second one could come. A value that is no
    string is not found. Half a surrogate pair without the other half reads as U+FFFD: it has no UTF-8.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.found = False
        self._depth = 0
        self._expects_key = False
        self._in_string = False
        self._is_key = False
        self._wanted = False
        self._escape = ""
        self._high = 0
        self._name: list[str] = []
        self._last_name: str | None = None

    def feed(self, piece: str) -> str:
        """The part of the field's text that `piece` completes."""
        out: list[str] = []
        for char in piece:
            if self._in_string:
                self._string_char(char, out)
            else:
                self._structure_char(char)
        return "".join(out)

    def _structure_char(self, char: str) -> None:
        if char == '"':
            self._in_string = True
            self._is_key = self._depth == 1 and self._expects_key
            self._wanted = self._depth == 1 and not self._is_key and self._last_name == self.key and not self.found
            self.found = self.found or self._wanted
            self._name.clear()
        elif char in "{[":
            self._depth += 1
            self._expects_key = char == "{" and self._depth == 1
        elif char in "}]":
            self._depth -= 1
        elif self._depth == 1 and char == ":":
            self._expects_key = False
        elif self._depth == 1 and char == ",":
            self._expects_key, self._last_name = True, None

    def _string_char(self, char: str, out: list[str]) -> None:
        if self._escape:
            self._escape_char(char, out)
        elif char == "\\":
            self._escape = char
        elif char == '"':
            self._end_string(out)
        else:
            self._text(char, out)

    def _escape_char(self, char: str, out: list[str]) -> None:
        self._escape += char
        if self._escape[1] != "u":
            self._escape = ""
            self._text(_ESCAPES.get(char, char), out)
        elif len(self._escape) == 6:
            digits, self._escape = self._escape[2:], ""
            self._code_unit(int(digits, 16) if digits.isalnum() and digits.isascii() else 0xFFFD, out)

    def _code_unit(self, unit: int, out: list[str]) -> None:
        if self._high and 0xDC00 <= unit <= 0xDFFF:
            pair = 0x10000 + ((self._high - 0xD800) << 10) + (unit - 0xDC00)
            self._high = 0
            self._text(chr(pair), out)
            return
        self._flush_half(out)
        if 0xD800 <= unit <= 0xDBFF:
            self._high = unit
        else:
            self._text(_REPLACEMENT if 0xDC00 <= unit <= 0xDFFF else chr(unit), out)

    def _flush_half(self, out: list[str]) -> None:
        if self._high:
            self._high = 0
            self._text(_REPLACEMENT, out)

    def _text(self, text: str, out: list[str]) -> None:
        self._flush_half(out)
        if self._is_key:
            self._name.append(text)
        elif self._wanted:
            out.append(text)

    def _end_string(self, out: list[str]) -> None:
        self._flush_half(out)
        if self._is_key:
            self._last_name = "".join(self._name)
        self._in_string = self._is_key = self._wanted = False


def string_field(arguments: str, key: str) -> str | None:
    """The text of the field in complete arguments; None if there is no such string."""
    field = StringField(key)
    text = field.feed(arguments)
    return text if field.found else None
