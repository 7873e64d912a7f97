"""What a live page grows by while a run streams into it: the widget on its own in Chromium, told what a kernel tells.

`python page_grows.py tokens 50000` (or `calls`) prints its figures as JSON: what the page holds more after so many
events than after a tenth of them, once what nobody needs is gone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))

from big_runs import MS, call_events, token_events
from harness import running_chromium
from page_saved import VIEWPORT, held

import letta_nb
from letta_nb.feed import ChangeLog
from letta_nb.log import Received
from letta_nb.run import Run

WIDGET, MORE = (Path(letta_nb.__file__).parent / "static" / name for name in ("widget.js", "more.js"))
FLUSH_MS = 33
# as many batches as a page is given in one go, before it has drawn
AT_ONCE = 30

PAGE = """async ([code, more]) => {
  const widget = (await import(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})))).default;
  const heard = [];
  const traits = {uid: 'live', snapshot: null};
  const model = {
    get: name => traits[name],
    on: (event, callback) => event === 'msg:custom' && heard.push(callback),
    off: () => {},
    // as the kernel does, a little later
    send: ({ type, what }) => {
      if (type !== 'ask' || what !== 'more') return;
      setTimeout(() => heard.forEach(callback => callback({ what, have: 0, lines: [more], more: false })));
    },
  };
  window.longest = 0;
  new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
  }).observe({ type: 'longtask' });
  const signal = new AbortController().signal;
  widget.initialize({ model, signal });
  widget.render({ model, el: document.body, signal });
  const drawn = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  window.tell = async batches => {
    for (const batch of batches) for (const callback of heard) callback(batch);
    await drawn();
  };
}"""


def batches(run: Run, events: Iterable[Received]) -> Iterator[dict[str, Any]]:
    """What a kernel tells a page of these events: what came within 33 ms in one message."""
    log, seq, flushed = ChangeLog(), 0, 0
    log.add(run, run.opening())
    for received in events:
        at = received.at or 0
        if at - flushed >= FLUSH_MS * MS:
            flushed = at
            if changes := log.take():
                seq += 1
                yield {"seq": seq, "changes": changes}
        log.add(run, run.receive(received)[1])
    yield {"seq": seq + 1, "changes": log.take()}


def main(kind: str, count: int) -> None:
    run = Run({"messages": [{"role": "user", "content": "go"}], "stream_tokens": True})
    events = call_events(count // 3) if kind == "calls" else token_events(count)
    told, waiting = 0, list[dict[str, Any]]()
    before: dict[str, float] = {}
    with running_chromium() as browser:
        page = browser.new_context(viewport=VIEWPORT).new_page()
        page.evaluate(PAGE, [code.read_text(encoding="utf-8") for code in (WIDGET, MORE)])
        for batch in batches(run, events):
            waiting.append(batch)
            if len(waiting) == AT_ONCE or len(run.log or ()) == count:
                page.evaluate("batches => tell(batches)", waiting)
                told += len(json.dumps(waiting, separators=(",", ":")))
                waiting.clear()
            if not before and len(run.log or ()) >= count // 10:
                before, told = held(page), 0
        after = held(page)
        longest = page.evaluate("longest")
    grown = {f"{name}_grown": after[name] - before[name] for name in after}
    print(json.dumps({"cpu_s": 0.0, **after, **grown, "told_mb": told / 1e6, "longest_ms": longest}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
