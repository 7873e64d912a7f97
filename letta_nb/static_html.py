"""A run as HTML that needs no kernel, no server and no network: a bare transcript that upgrades itself to the view.

Where scripts run (trusted JupyterLab, VS Code, nbconvert's HTML), the loader beside the bare part unpacks the view's
code and the run's data from the output itself. Both are base64: nothing of the data becomes script.
"""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from html import escape
from pathlib import Path

from letta_nb import bare, feed, page, text, words
from letta_nb.run import Run

_STATIC = Path(__file__).with_name("static")
_DATA_MAX = 2_000_000
_TEXT_CAPS = (200_000, 20_000, 2_000)
_NO_VIEW = "<p><em>This run is too large to keep its interactive view here; run.entries has all of it.</em></p>"
# nothing may be fetched from a saved page: what the agent wrote must not phone home when someone opens it
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def fragment(run: Run) -> str:
    """The output for `text/html`: the bare transcript, and the script that upgrades it where scripts may run."""
    script = _script(run)
    note = "" if script or run.log is None else _NO_VIEW
    return _output(bare.html(run) + note, script)


def running_fragment(run: Run) -> str:
    """What a notebook that is saved while the run goes on keeps: the bare transcript so far."""
    return _output(bare.html(run), "")


def to_html(run: Run, path: str | Path | None = None) -> str:
    """A complete page with the interactive view, which fetches nothing; written to `path` if one is given."""
    title = text.fit(words.clean(run.prompt), 60) or "Letta run"
    html = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>body{max-width:1100px;margin:24px auto;padding:0 16px;font:13px/20px system-ui,sans-serif}"
        "pre{white-space:pre-wrap}</style>\n</head>\n<body>\n"
        f"{fragment(run)}\n</body>\n</html>\n"
    )
    if path is not None:
        Path(path).write_text(html, encoding="utf-8")
    return html


def _output(inner: str, script: str) -> str:
    return f'<div class="lnb-out"><div class="lnb-bare">{inner}</div>{script}</div>'


# -- the interactive part ----------------------------------------------------------------------------------------------


def _script(run: Run) -> str:
    data = _data(run)
    if data is None:
        return ""
    loader, code = _bundle()
    return f"<script>{loader.replace('__DATA__', data).replace('__CODE__', code)}</script>"


@cache
def _bundle() -> tuple[str, str]:
    """The loader, and the view's code packed: the same for every run, and large."""
    loader = (_STATIC / "loader.js").read_text(encoding="utf-8")
    if "</" in loader or "<!--" in loader or loader.count("__CODE__") != 1 or loader.count("__DATA__") != 1:
        raise ValueError("static/loader.js cannot stand inside <script>, or lacks one __CODE__ and one __DATA__")
    return loader.strip(), _packed((_STATIC / "frozen.js").read_bytes())


def _packed(content: bytes) -> str:
    # no time in the gzip header: the same run is the same output
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


def _data(run: Run) -> str | None:
    """The run for the page, packed. A very large one with its texts capped; None if even that is too much."""
    if run.log is None:
        return None
    snapshot = feed.snapshot(run)
    packed = _packed(_json(snapshot))
    for limit in _TEXT_CAPS:
        if len(packed) > _DATA_MAX:
            changes = [_capped(change, limit) for change in snapshot["changes"]]
            packed = _packed(_json({**snapshot, "changes": changes}))
    return packed if len(packed) <= _DATA_MAX else None


def _json(snapshot: page.Snapshot) -> bytes:
    return json.dumps(snapshot, separators=(",", ":")).encode("ascii")


def _marks_to(length: int, marks: list[float]) -> list[float]:
    """The marks of a text that is cut to `length`; the last one still says when the whole had arrived."""
    kept = [mark for pair in zip(marks[::2], marks[1::2], strict=True) if pair[1] < length for mark in pair]
    return [*kept, marks[-2], length] if marks else []


def _capped(change: page.Change, limit: int) -> page.Change:
    """The same change with its texts cut to `limit` characters, each saying so."""
    if change["op"] == "text" and len(change["text"]) > limit:
        short = "\n".join(words.cap(change["text"], limit, f"run.entries[{change['entry']}].text"))
        return {**change, "text": short, "marks": _marks_to(len(short.encode("utf-16-le")) // 2, change["marks"])}
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
