"""Pictures of few colours: text on a flat ground needs no more, and such a PNG has a third of the bytes."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

Colour = tuple[int, ...]
COLOURS = 128
# Pillow drops two bits of eight before it looks for the nearest colour: closer ones would be taken for each other
APART = 8


def save(picture: bytes, path: Path) -> None:
    """Write a picture as a PNG with a palette."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    palette = Image.new("P", (1, 1))
    palette.putpalette(bytes(part for colour in _chosen(image) for part in colour))
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.stat().st_size // 1024:5} kB  {path}", flush=True)


def _chosen(image: Image.Image) -> list[Colour]:
    """The ground first, then what has a meaning, however small its bar, then what there is most of."""
    counts = sorted(image.getcolors(1 << 24) or [], reverse=True)
    bright = [colour for count, colour in counts if count > 20 and max(colour) - min(colour) > 40]
    chosen = [counts[0][1]]
    for colour in [*bright[: COLOURS // 2], *(colour for _, colour in counts)]:
        if len(chosen) < COLOURS and all(_apart(colour, its) >= APART for its in chosen):
            chosen.append(colour)
    return chosen


def _apart(one: Colour, other: Colour) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
