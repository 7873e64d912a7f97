"""A run as text: the transcript for a terminal and for `text/plain`, and the waterfall in characters."""

from __future__ import annotations

import importlib.util
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from letta_nb import figures, phases, words
from letta_nb.entries import Entry, ToolCallEntry
from letta_nb.run import Run

if TYPE_CHECKING:
    from rich.text import Text as RichText

# as in the page: line for waiting and the model, bar for work, a broken line for what is not known
MARKS: dict[phases.PhaseKind, str] = {
    "wait": "·",
    "queue": "·",
    "pending": "·",
    "reasoning": "─",
    "arguments": "─",
    "answer": "─",
    "tool": "━",
    "failed": "×",
    "unattributed": "╌",
}
_HANG = 12
_TIME = 10  # the column of times at the right, with the space before it
_LANES = 40
LINES = 40
_COLUMNS = 68


class Line(NamedTuple):
    """One line of a transcript and how a terminal shows it: "", "dim", "bold", "red" or "bold red"."""

    text: str
    style: str = ""


def transcript(run: Run, *, width: int = 80, plain: bool = False, lines: int | None = LINES) -> str:
    """The whole run as text of `width` columns.

    `plain`: no time, no count of tokens and no id, so that it is the same on each run. `lines`: how many of one text
    are shown, None for all; what is left out is said, with where it is.
    """
    return "\n".join(line.text for line in _transcript(run, width, plain, lines))


def show(run: Run, *, width: int = 80, lines: int | None = LINES) -> None:
    """Print the transcript; dim, bold and red where `rich` is installed and stdout is a terminal."""
    if not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        print(transcript(run, width=width, lines=lines))
        return
    from rich.console import Console

    console = Console(soft_wrap=True)
    for line in styled(run, width=width, lines=lines):
        console.print(line)


def styled(run: Run, *, width: int = 80, lines: int | None = LINES) -> Iterator[RichText]:
    """The transcript's lines as `rich` shows them. Needs `rich`."""
    from rich.text import Text

    # never as markup: what the agent wrote in brackets is text
    return (Text(line.text, style=line.style) for line in _transcript(run, width, False, lines))


def waterfall(run: Run, *, cells: int | None = None, width: int = 80) -> str:
    """The run's lanes in characters, a line each, "" for a recording without times.

    `·` wait, `─` model, `━` tool, `╌` unattributed, `×` failed. `cells`: how many the time axis has, by default what
    `width` leaves: 44 to 53 of 80. Each shows what fills most of it.
    """
    return "\n".join(_lanes(phases.waterfall(run), cells, width))


def _lanes(fall: phases.Waterfall, cells: int | None, width: int) -> list[str]:
    if not fall.end:
        return []
    lanes, half = fall.lanes, _LANES // 2
    more = len(lanes) - 2 * half
    if more > 1:
        lanes = [*lanes[:half], *lanes[-half:]]
    labels = [fit(words.clean(lane.label), 20) for lane in lanes]
    room = max(13, 2 + max(map(_width, labels), default=0))
    cells = cells or max(width - 4 - room - _TIME, 8)
    lines = [
        f"{lane.step + 1 if lane.first else '':<4}{_pad(label, room)}{strip(lane.phases, fall.end, cells):<{cells}}"
        f"{figures.time(lane.end - lane.start) if lane.first else '':>{_TIME}}".rstrip()
        for lane, label in zip(lanes, labels, strict=True)
    ]
    if more > 1:
        lines.insert(half, f"    … {figures.plural(more, 'lane')} more")
    return lines


def filled(parts: Iterable[phases.Phase], end: int, cells: int) -> list[phases.PhaseKind | None]:
    """The time from 0 to `end` in so many cells, each with what fills most of it; by integers, the same everywhere."""
    times: list[Counter[phases.PhaseKind]] = [Counter() for _ in range(cells)]
    for phase in parts:
        for cell in range(phase.start * cells // end, min(-(-phase.end * cells // end), cells)):
            # times cells, so that the border of a cell is whole
            overlap = min(phase.end * cells, (cell + 1) * end) - max(phase.start * cells, cell * end)
            times[cell][phase.kind] += overlap
    return [counts.most_common(1)[0][0] if counts else None for counts in times]


def strip(parts: Iterable[phases.Phase], end: int, cells: int) -> str:
    """`filled` in characters."""
    return "".join(" " if kind is None else MARKS[kind] for kind in filled(parts, end, cells)).rstrip()


# -- the transcript ----------------------------------------------------------------------------------------------------


def _transcript(run: Run, width: int, plain: bool, lines: int | None) -> Iterator[Line]:
    yield from _head(run, width, plain)
    fall = phases.Waterfall() if plain else phases.waterfall(run)
    lanes = _lanes(fall, None, width)
    if lanes:
        yield Line("")
        yield from (Line(lane, "red" if MARKS["failed"] in lane else "") for lane in lanes)
        yield Line("")
        note = f", {words.STEP_WHOLE[0].lower()}{words.STEP_WHOLE[1:]}" if run.delivery == "step" else ""
        yield from (Line(line) for line in _hang("    ", words.totals(fall, least=0.02) + note, width, 4))
    times = {lane.step: figures.time(lane.end - lane.start) for lane in fall.lanes if lane.first}
    answer = words.last_answer(run)
    for step, entries in words.groups(run):
        yield Line("")
        first, time = ("", "") if step is None else (str(step + 1), times.get(step, ""))
        for entry in entries:
            for row in _rows(run, entry, lines, plain):
                style = row.style or ("bold" if entry is answer else "")
                text = _hang(f"{first:<4}{row.word:<8}", row.text, width - (_TIME if time else 0), _HANG)
                if time:
                    text[0] = _pad(text[0], width - _width(time)) + time
                yield from (Line(line.rstrip(), style) for line in text)
                first = time = ""
    if run.stop_reason:
        yield Line("")
        yield Line(words.clean(run.stop_reason))


def _head(run: Run, width: int, plain: bool) -> Iterator[Line]:
    agent = run.agent_name or ("" if plain else run.agent_id or "")
    failed = sum(map(words.failed, run.tool_calls))
    facts = ["letta", words.STATUS[run.status].lower()]
    facts += [f"{figures.plural(failed, 'tool')} failed"] * bool(failed) + [agent, run.model or ""]
    bad = run.status in ("failed", "interrupted")
    style = "bold red" if bad else "bold"
    yield from (Line(line, style) for line in _hang("", words.clean("  ".join(filter(None, facts))), width, 0))
    if not plain:
        time = [] if run.ended_at is None else [figures.time(run.ended_at)]
        told = "  ".join([*time, figures.plural(len(run.steps), "step"), *words.tokens(run)])
        yield from (Line(line) for line in _hang("", told, width, 0))
    verdict = words.verdict(run, plain=plain)
    asides = [] if plain else [part for part in (words.connection(run), run.note) if part]
    said: list[tuple[str, str]] = []
    if verdict is not None:
        said = [(f"{verdict.sentence} {verdict.more}".rstrip(), ""), (verdict.words, "dim")]
        # on a line of its own: it is there to be copied
        said.append((verdict.way.replace("`", ""), ""))
    said += [(part, "dim") for part in asides]
    if said:
        yield Line("")
    for part, style in said:
        yield from (Line(line, style) for line in (_hang("    ", words.clean(part), width, 4) if part else []))


class _Row(NamedTuple):
    word: str
    text: str
    style: str = ""


def _rows(run: Run, entry: Entry, lines: int | None, plain: bool) -> Iterator[_Row]:
    if isinstance(entry, ToolCallEntry):
        yield from _call_rows(run, entry, lines, plain)
    elif entry.kind == "reasoning" or entry.kind == "hidden_reasoning":
        text = entry.text if entry.kind == "reasoning" else "Reasoning hidden by the provider"
        yield _Row("think", _shown(text, f"run.entries[{entry.index}].text", lines), "dim")
    elif entry.kind == "unknown":
        yield _Row("note", f"{words.clean(entry.message_type) or 'event'}: not known to this version")
    elif entry.kind == "compaction" or entry.kind == "summary":
        text = words.compaction(entry) + (f"\n{entry.text}" if entry.text else "")
        yield _Row("note", _shown(text, f"run.entries[{entry.index}].text", lines))
    else:
        word = {"user": "you", "system": "system"}.get(entry.kind, "answer")
        yield _Row(word, _shown(entry.text, f"run.entries[{entry.index}].text", lines) + " …" * entry.cut)


def _call_rows(run: Run, call: ToolCallEntry, lines: int | None, plain: bool) -> Iterator[_Row]:
    here = f"run.entries[{call.index}]"
    arguments = words.one_line(call.arguments) if words.is_json(call.arguments) else call.arguments
    name = words.clean(call.name or "tool")
    yield _Row("call", f"{name} {_shown(arguments, here + '.arguments', lines)}".rstrip())
    notes = ", ".join(words.notes(run, call, plain=plain))
    if notes:
        yield _Row("", words.clean(notes), "bold" if call.approval == "pending" else "dim")
    if call.cut and call.approval != "denied":
        yield _Row("", words.CUT_TEXT if words.is_json(call.arguments) else words.CUT_JSON, "dim")
    if not call.has_returned:
        return
    if words.failed(call):
        yield _Row("error", words.clean(words.error_line(call)), "bold red")
    else:
        yield _Row("return", _shown(words.lettered(call.result or ""), here + ".result", lines))
    for word, parts in (("stdout", call.stdout), ("stderr", call.stderr)):
        text = "".join(parts or []).rstrip("\n")
        if text:
            yield _Row(word, _shown(text, f"{here}.{word}", lines))


def _shown(text: str, where: str, lines: int | None) -> str:
    """The text fit for a terminal, capped to so many lines, and to so many lines' worth of characters."""
    if lines is None:
        return words.clean(text)
    limit = len("\n".join(text[: lines * _COLUMNS].split("\n", lines)[:lines]))
    return "\n".join(filter(None, words.cap(words.clean(text), limit, where)))


# -- columns -----------------------------------------------------------------------------------------------------------


def _width(text: str) -> int:
    """Columns that a terminal gives a text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def fit(text: str, width: int) -> str:
    """The start of a text on one line of at most `width` columns."""
    text = " ".join(text[:200].split())
    while _width(text) > width:
        text = text[:-2] + "…"
    return text


def _hang(start: str, text: str, width: int, indent: int) -> list[str]:
    """`text` after `start`, wrapped at `width`; every further line is indented. Line ends and indents are kept."""
    lines = [line for part in text.split("\n") for line in _wrap(part, max(width - indent, 20))]
    return [(start if number == 0 else " " * indent) + line for number, line in enumerate(lines)]


def _wrap(text: str, width: int) -> Iterator[str]:
    at = 0
    while True:
        line = text[at : at + width + 1]
        while _width(line) > width:
            line = line[:-1]
        if at + len(line) >= len(text):
            yield line
            return
        space = text.rfind(" ", at + 1, at + len(line) + 1)
        # at a space if one is near, so that a long word does not leave most of a line empty
        end = space if space - at > len(line) // 2 else at + len(line)
        yield text[at:end]
        at = end + (end == space)
