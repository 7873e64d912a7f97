"""A run as bare HTML: a transcript in reading order that survives where scripts, styles and classes are stripped.

Only `p strong em br pre code details summary table tr th td span`, with inline style for margins and opacity: a colour
would be wrong in the other theme. An agent's output is hostile: everything that comes from data goes through
`words.escaped`, so that nothing of it becomes a tag or an attribute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from letta_nb import figures, phases, text, words
from letta_nb.entries import Entry, ToolCallEntry
from letta_nb.run import Run
from letta_nb.words import escaped

# a step and what it holds
Group = tuple[int | None, list[Entry]]

_SUMMARY = 80
_TEXT_MAX = 20_000
_BARE_MAX = 250_000
_CELLS = 44
_GAP = 'style="margin:8px 0 0"'
_TIGHT = 'style="margin:0"'


def html(run: Run) -> str:
    """The transcript in tags that survive everywhere, in reading order; inline style only for margins and opacity."""
    fall = phases.waterfall(run)
    parts = [_head(run, fall)]
    lanes = text.waterfall(run, cells=_CELLS)
    if lanes:
        parts.append(f'<pre style="line-height:1.5;margin:8px 0 12px">{escaped(lanes)}</pre>')
    times = {lane.step: figures.time(lane.end - lane.start) for lane in fall.lanes if lane.first}
    answer = words.last_answer(run)

    def part(group: Group) -> str:
        step, entries = group
        return "".join(_group(run, step, entries, times.get(-1 if step is None else step, ""), answer))

    return "".join([*parts, *_fitting(words.groups(run), part)])


def _fitting(groups: list[Group], part: Callable[[Group], str]) -> list[str]:
    """The parts of the first steps and of the last ones, where all of them would be too much; half of it each."""
    first, last, room = list[str](), list[str](), _BARE_MAX
    left = deque(groups)
    while left and room > 0:
        first_half = room > _BARE_MAX // 2
        made = part(left.popleft() if first_half else left.pop())
        room -= len(made)
        (first if first_half else last).append(made)
    if left:
        first.append(f"<p {_GAP}><em>… {figures.plural(len(left), 'step')} more, in run.entries</em></p>")
    return [*first, *reversed(last)]


def _head(run: Run, fall: phases.Waterfall) -> str:
    failed = sum(map(words.failed, run.tool_calls))
    status = words.STATUS[run.status] + (f", {figures.plural(failed, 'tool')} failed" if failed else "")
    who = ", ".join(filter(None, (run.agent_name or run.agent_id, run.model)))
    facts = [figures.time(run.ended_at)] if run.ended_at is not None else []
    tokens = words.tokens(run)
    facts += [figures.plural(len(run.steps), "step"), *tokens]
    if tokens:
        facts[-len(tokens)] = tokens[0].replace(" ", " tokens ", 1)
    lines = [f"<strong>{status}</strong> {escaped(who + '. ' if who else '')}{', '.join(facts)}."]
    totals = words.totals(fall)
    if totals:
        note = f" {words.STEP_WHOLE}." if run.delivery == "step" else ""
        lines.append(_dim(f"{totals[0].upper()}{totals[1:]}.{note}"))
    verdict = words.verdict(run)
    if verdict is not None:
        told = " ".join(filter(None, (escaped(f"{verdict.sentence} {verdict.more}".strip()), _way(verdict.way))))
        lines.append(told)
        if verdict.words:
            lines.append(f"<code>{_short(verdict.words, 2000)}</code>")
    lines += [_dim(part) for part in (words.connection(run), run.note) if part]
    return f"<p {_GAP}>{'<br>'.join(lines)}</p>"


def _group(run: Run, step: int | None, entries: list[Entry], time: str, answer: Entry | None) -> Iterator[str]:
    if step is not None:
        server = run.steps[step].server
        sides = ((server.get("prompt_tokens"), "in"), (server.get("completion_tokens"), "out"))
        tokens = [f"{figures.count(count)} {side}" for count, side in sides if isinstance(count, int)]
        facts = _dim(", ".join(filter(None, [time, *tokens])))
        yield f"<p {_GAP}><strong>Step {step + 1}</strong> {facts}</p>"
    for entry in entries:
        yield _call(run, entry) if isinstance(entry, ToolCallEntry) else _said(entry, entry is answer)


def _said(entry: Entry, is_answer: bool) -> str:
    here = f"run.entries[{entry.index}].text"
    if entry.kind == "hidden_reasoning":
        return f"<p {_TIGHT}><em>Reasoning hidden by the provider</em></p>"
    if entry.kind == "unknown":
        head = f"<code>{escaped(entry.message_type or 'event')}</code> not known to this version"
        return f"<details {_GAP}><summary>{head}</summary>{_pre(entry.text, here)}</details>"
    if entry.kind in ("compaction", "summary"):
        return f"<p {_GAP}>{words.compaction(entry)}</p>" + _prose(entry, here, "", "")
    if entry.kind in ("user", "system"):
        return _prose(entry, here, "", "", f"<strong>{'You' if entry.kind == 'user' else 'System'}</strong> ")
    if entry.kind == "reasoning":
        return _prose(entry, here, "<em>", "</em>")
    return _prose(entry, here, *(("<strong>", "</strong>") if is_answer else ("", "")))


def _prose(entry: Entry, here: str, before: str, after: str, start: str = "") -> str:
    """Paragraphs and line ends as tags, code and tables in `pre`: markdown stays as written, and still reads well."""
    capped = words.cap(entry.text + " …" * entry.cut, _TEXT_MAX, here)
    blocks = list(_blocks(words.clean(capped.text)))
    if start and (not blocks or blocks[0][0]):
        blocks.insert(0, (False, ""))
    html: list[str] = []
    for is_code, block in blocks:
        html.append(
            _pre_tag(block)
            if is_code
            else f"<p {_GAP if html or start else _TIGHT}>{start}{before}{_lines(block)}{after}</p>"
        )
        start = ""
    if capped.note:
        html.append(f"<p {_GAP}><em>{escaped(capped.note)}</em></p>")
    return "".join(html)


def _blocks(source: str) -> Iterator[tuple[bool, str]]:
    """A text cut at blank lines and at ``` fences: (is it code or a table, its text)."""
    lines: list[str] = []
    fenced = False
    for line in [*source.split("\n"), ""]:
        fence = line.lstrip().startswith("```")
        if fence or (not fenced and not line.strip()):
            if lines:
                yield fenced or all(row.lstrip().startswith("|") for row in lines), "\n".join(lines)
            lines, fenced = [], fenced != fence
        else:
            lines.append(line)
    if lines:
        yield True, "\n".join(lines)


def _call(run: Run, call: ToolCallEntry) -> str:
    here = f"run.entries[{call.index}]"
    stderr, traceback = words.traceback_of(call)
    failed = words.failed(call)
    error = words.error_line(call) if failed else ""
    result = words.one_line((call.result or "")[: 10 * _SUMMARY]) if call.has_returned else ""
    line = f"{call.name or 'tool'} {_start(words.one_line(call.arguments))}".rstrip()
    line += f" → {_start(error or result)}" if call.has_returned else ""
    cut = call.cut and call.approval != "denied"
    notes = [words.took(call), *words.notes(run, call), "cut off" if cut else ""]
    rows = [
        ("Error", error, ""),
        ("Arguments", words.laid_out(call.arguments), ".arguments"),
        ("", words.CUT_JSON if cut and not words.is_json(call.arguments) else "", ""),
        ("Result", "" if words.unwrapped(call.result or "") == error else words.laid_out(call.result or ""), ".result"),
        ("Traceback", traceback, ".stderr"),
        ("stdout", "".join(call.stdout or []), ".stdout"),
        ("stderr", stderr, ".stderr"),
    ]
    table = "".join(
        f'<tr><th scope="row" style="text-align:left;vertical-align:top">{label}</th>'
        f'<td style="text-align:left">{_pre(value.rstrip(chr(10)), here + where)}</td></tr>'
        for label, value, where in rows
        if value.strip()
    )
    is_open = " open" if failed or call.approval == "pending" else ""
    summary = f"<code>{escaped(line)}</code> {_dim(', '.join(filter(None, notes)))}"
    return f"<details{is_open} {_TIGHT}><summary>{summary}</summary><table>{table}</table></details>"


# -- the only ways from data to HTML -----------------------------------------------------------------------------------


def _lines(value: str) -> str:
    return escaped(value).replace("\n", "<br>")


def _start(value: str) -> str:
    return value if len(value) <= _SUMMARY else value[:_SUMMARY] + "…"


def _short(value: str, limit: int) -> str:
    return escaped(value if len(value) <= limit else value[:limit] + "…")


def _way(value: str) -> str:
    """What the reader can do, with what they would type as code."""
    parts = enumerate(value.split("`"))
    return "".join(f"<code>{escaped(part)}</code>" if number % 2 else escaped(part) for number, part in parts)


def _dim(value: str) -> str:
    return f'<span style="opacity:.72">{escaped(value)}</span>' if value else ""


def _pre_tag(value: str) -> str:
    # the first line end inside <pre> is dropped by HTML: give it one to drop
    return f"<pre {_GAP}>\n{escaped(value)}</pre>"


def _pre(value: str, where: str) -> str:
    capped = words.cap(value, _TEXT_MAX, where)
    note = f"<em>{escaped(capped.note)}</em>" if capped.note else ""
    return f"<pre {_TIGHT}>\n{escaped(capped.text)}</pre>{note}"
