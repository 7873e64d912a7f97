"""Text from a server, made fit to show: it is hostile, and a terminal obeys control characters."""

from __future__ import annotations

import re

# C0 but tab and newline as control pictures; C1, what reorders the text around it and lone surrogates cannot be shown
_SHOWN = {
    **{code: 0x2400 + code for code in range(32) if code not in (9, 10)},
    0x7F: 0x2421,
    **dict.fromkeys(
        [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)], 0xFFFD
    ),
}
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without what a terminal would obey or a file could not hold; such characters are shown, not dropped."""
    if not _UNSAFE.search(text):
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN)
