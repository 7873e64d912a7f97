"""A run as HTML that needs no kernel, no server and no network: a bare transcript that upgrades itself to the view.

Where scripts run (trusted JupyterLab, VS Code, nbconvert's HTML), the loader beside the bare part unpacks the view's
code and the run's data from the output itself, and the rest of the code and the run file when somebody asks for them.
All of it is base64: nothing of the data becomes script.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from functools import cache
from html import escape
from pathlib import Path

from letta_nb import bare, feed, page, record, text, words
from letta_nb.run import Run

_STATIC = Path(__file__).with_name("static")
# characters of base64: a notebook that holds twenty runs must stay small, a page of its own may hold all of one
_DATA_MAX = 2_000_000
_RAW_MAX = 64_000
_RAW_MAX_PAGE = 8_000_000
_TEXT_CAPS = (200_000, 20_000, 2_000)
_NO_VIEW = "<p><em>This run is too large to keep its interactive view here; run.entries has all of it.</em></p>"
# nothing may be fetched from a saved page: what the agent wrote must not phone home when someone opens it
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
# a widget marks its element; one whose model is gone is, in JupyterLab, an output of bare text
_SPARE = (
    ":root:has(.lnb-live-%s) .lnb-spare-%s,"
    ".jp-OutputArea-child:has(+.jp-OutputArea-child .lnb-spare)>.jp-OutputArea-output:not(:has(*))"
    "{display:none}"
)
# what stands in the loader for: the view's code, the code of what a reader mostly does not ask for, the data, the file
_SLOTS = ("__CODE__", "__MORE__", "__DATA__", "__RAW__")


def fragment(run: Run, raw_max: int = _RAW_MAX) -> str:
    """The output for `text/html`: the bare transcript, and the script that upgrades it where scripts may run.

    `raw_max`: the run file is left out if it takes more characters than that.
    """
    if run.log is None:
        return running_fragment(run)
    return upgraded(bare.html(run), feed.snapshot(run), _NO_VIEW, packed_file(run, raw_max))


def running_fragment(run: Run) -> str:
    """What a notebook that is saved while the run goes on keeps: the bare transcript so far."""
    return upgraded(bare.html(run), None, "")


def spare(run: Run) -> str:
    """What stands beside a live widget: hidden while the widget is there, and in its place where it is not."""
    name = run.uid if run.uid.isascii() and run.uid.isalnum() else ""  # a file may hold any other
    return f'<div class="lnb-spare lnb-spare-{name}"><style>{_SPARE % (name, name)}</style>{fragment(run)}</div>'


def to_html(run: Run) -> str:
    """A complete page with the interactive view, which fetches nothing."""
    return document(text.fit(words.clean(run.prompt), 60) or "Letta run", fragment(run, _RAW_MAX_PAGE))


def document(title: str, inner: str) -> str:
    """A page of its own around an output."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>body{max-width:1100px;margin:24px auto;padding:0 16px;font:13px/20px system-ui,sans-serif}"
        # a long transcript is laid out where it is seen: it is there for a moment only if scripts may run
        "pre{white-space:pre-wrap}.lnb-bare>*{content-visibility:auto;contain-intrinsic-size:auto 20px}</style>\n"
        "</head>\n<body>\n<main>\n"
        f"{inner}\n</main>\n</body>\n</html>\n"
    )


def upgraded(inner: str, data: page.Snapshot | page.Comparison | None, too_large: str, raw: str = "") -> str:
    """An output: bare HTML, and beside it the data and a packed run file, which it becomes the view of.

    Without data it stays bare. `too_large` is the HTML that says that they were more than an output should hold.
    """
    packed = None if data is None else _fitting(data)
    note = too_large if data is not None and packed is None else ""
    script = "" if data is None or packed is None else _script(packed, raw, "compare" if "pairs" in data else "frozen")
    return f'<div class="lnb-out"><div class="lnb-bare">{inner}{note}</div>{script}</div>'


# -- the interactive part ----------------------------------------------------------------------------------------------


def _script(data: str, raw: str, name: str) -> str:
    loader, code, more = _bundle(name)
    for slot, packed in zip(_SLOTS, (code, more, data, raw), strict=True):
        loader = loader.replace(slot, packed)
    return f"<script>{loader}</script>"


@cache
def _bundle(name: str) -> tuple[str, str, str]:
    """The loader, and the view's code in two parts, packed: the same for every run, and large.

    `name`: the "frozen" run's, or the one to "compare" two, which is all in one part.
    """
    loader = (_STATIC / "loader.js").read_text(encoding="utf-8")
    if "</" in loader or "<!--" in loader or any(loader.count(slot) != 1 for slot in _SLOTS):
        raise ValueError(f"static/loader.js cannot stand inside <script>, or does not hold each of {_SLOTS} once")
    more = _packed((_STATIC / "more.js").read_bytes()) if name == "frozen" else ""
    return loader.strip(), _packed((_STATIC / f"{name}.js").read_bytes()), more


def _packed(content: bytes) -> str:
    # no time in the gzip header: the same run is the same output
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


def packed_file(run: Run, limit: int = _RAW_MAX) -> str:
    """The run file, packed; "" if it takes more than `limit` characters, found out before it is all written."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: with the header of gzip, without a time
    parts: list[bytes] = []
    size = 0
    for line in record.encoded(run):
        parts.append(packer.compress(line))
        size += len(parts[-1])
        if size * 4 > limit * 3:
            return ""
    packed = base64.b64encode(b"".join([*parts, packer.flush()])).decode("ascii")
    return packed if len(packed) <= limit else ""


def _fitting(data: page.Snapshot | page.Comparison) -> str | None:
    """The data for the page, packed. If they are very large with their texts capped; None if even that is too much."""
    packed = _packed(_json(data))
    for limit in _TEXT_CAPS:
        if len(packed) > _DATA_MAX:
            packed = _packed(_json(_shortened(data, limit)))
    return packed if len(packed) <= _DATA_MAX else None


def _json(data: page.Snapshot | page.Comparison) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def _shortened(data: page.Snapshot | page.Comparison, limit: int) -> page.Snapshot | page.Comparison:
    if "changes" in data:
        return _capped_all(data, limit)
    return {**data, "a": _capped_all(data["a"], limit), "b": _capped_all(data["b"], limit)}


def _capped_all(snapshot: page.Snapshot, limit: int) -> page.Snapshot:
    return {**snapshot, "changes": [_capped(change, limit) for change in snapshot["changes"]]}


def _marks_to(length: int, marks: list[float]) -> list[float]:
    """The marks of a text that is cut to `length`; the last one still says when the whole had arrived."""
    kept = [mark for pair in zip(marks[::2], marks[1::2], strict=True) if pair[1] < length for mark in pair]
    return [*kept, marks[-2], length] if marks else []


def _capped(change: page.Change, limit: int) -> page.Change:
    """The same change with its texts cut to `limit` characters, each saying so."""
    if "text" in change:
        if len(change["text"]) <= limit:
            return change
        short = "\n".join(words.cap(change["text"], limit, f"run.entries[{change['entry']}].text"))
        made: page.TextChange = {**change, "text": short}
        if "marks" in change:
            made["marks"] = _marks_to(len(short.encode("utf-16-le")) // 2, change["marks"])
        return made
    if change["op"] == "run" and change["set"].get("memory"):
        memory = [_capped_block(block, limit) for block in change["set"].get("memory") or ()]
        return {**change, "set": {**change["set"], "memory": memory}}
    if change["op"] != "entry":
        return change
    facts = change["set"].copy()
    result, here = facts.get("result", ""), f"run.entries[{change['entry']}]"
    if len(result) > limit:
        facts["result"] = "\n".join(words.cap(result, limit, here + ".result"))
    for name in ("stdout", "stderr"):
        whole = "".join(facts.get(name, []))
        if len(whole) > limit:
            facts[name] = ["\n".join(words.cap(whole, limit, f"{here}.{name}"))]
    return {**change, "set": facts}


def _capped_block(block: page.MemoryBlock, limit: int) -> page.MemoryBlock:
    def capped(text: str | None) -> str | None:
        return text if text is None or len(text) <= limit else "\n".join(words.cap(text, limit, "run.memory"))

    edits: list[page.MemoryEdit] = [{**edit, "text": capped(edit["text"])} for edit in block["edits"]]
    return {**block, "before": capped(block["before"]), "after": capped(block["after"]), "edits": edits}
