"""A very large run as a saved page in Chromium: how soon it is seen, and how long any task holds up its reader.

`python page_saved.py calls 500` or `tokens 20000` prints its figures as JSON, `several 20` how soon so many small runs
of one notebook are seen. A task's time is what a reader waits for,
on this machine as busy as it is: the best of several openings is what the page itself needs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))

from big_runs import call_events, finished, token_events
from harness import running_chromium
from playwright.sync_api import Browser, Page

from letta_nb import static_html

Figures = dict[str, float]
VIEWPORT = {"width": 1100, "height": 900}
CATEGORIES = "devtools.timeline,disabled-by-default-devtools.timeline,blink.user_timing"
OPENINGS = 3
MARK = "<script>performance.mark('begun')</script>"

# the first frame in which the header, the lanes and what is seen of the transcript are drawn, all of them
WATCH = """window.lnbPainted = new Promise(done => {
  const look = () => {
    const root = document.querySelector('.lnb-host')?.shadowRoot;
    const lanes = root?.querySelector('.lanes canvas[width], .lanes .sg i');
    if (!root?.querySelector('.clock').textContent || !root.querySelector('.row .c')?.textContent || !lanes) {
      requestAnimationFrame(look);
      return;
    }
    // once this frame is on its way to the screen
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.mark('painted'));
    port2.postMessage(0);
  };
  requestAnimationFrame(look);
})"""
# when the browser first painted something, which is the run as plain HTML, when the page's own code began, and when the
# view was drawn; since the page was asked for
FIRST = """async () => {
  await lnbPainted;
  // it is told once the frame is on the screen
  while (!performance.getEntriesByName('first-contentful-paint').length) await new Promise(requestAnimationFrame);
  return ['first-contentful-paint', 'begun', 'painted'].map(name => performance.getEntriesByName(name)[0].startTime);
}"""

HELPERS = """() => {
  window.lnb = {
    root: document.querySelector('.lnb-host').shadowRoot,
    frame: () => new Promise(done => requestAnimationFrame(() => setTimeout(done))),
    async until(told) { while (!told()) await lnb.frame(); },
  };
}"""
SCRUB = """async () => {
  const rail = lnb.root.querySelector('.rail');
  const { left, top, width } = rail.getBoundingClientRect();
  const point = (type, at) => rail.dispatchEvent(
    new PointerEvent(type, { clientX: left + width * at, clientY: top + 9, pointerId: 1, bubbles: true }));
  rail.setPointerCapture = () => {};
  point('pointerdown', 1);
  for (let n = 0; n <= 120; n++) {
    point('pointermove', Math.abs(1 - n / 60));
    await lnb.frame();
  }
  point('pointerup', 1);
}"""
# all of it: every step, every row open, every text whole
OPEN = """async () => {
  await lnb.frame();
  lnb.root.querySelector('.middle button')?.click();
  await lnb.frame();
  lnb.root.querySelector('.tabs .all').click();
  await lnb.frame();
  for (const button of lnb.root.querySelectorAll('.tx .lk')) if (/^Show all/.test(button.textContent)) button.click();
  await lnb.frame();
}"""
SCROLL = """async () => {
  const box = lnb.root.querySelector('.box');
  for (box.scrollTop = 0; box.scrollTop + box.clientHeight < box.scrollHeight - 1; ) {
    box.scrollTop += box.clientHeight * 0.8;
    await lnb.frame();
  }
}"""
RAW = """async () => {
  const events = () => +lnb.root.querySelector('.chips b').textContent.replace(/\\D/g, '');
  lnb.root.querySelectorAll('[role=tab]')[1].click();
  await lnb.until(() => lnb.root.querySelector('.rw:not(.head)') && events() >= COUNT);
}"""
FILTER = """async () => {
  const input = lnb.root.querySelector('[aria-label="Filter events"]');
  const fold = lnb.root.querySelector('.find [type=checkbox]');
  for (let n = 0; n < 2; n++) {
    for (const text of ['a', 'ag', 'agent', 'agent 7', '', 'number 4', 'x', '']) {
      input.value = text;
      input.dispatchEvent(new Event('input'));
      for (let frame = 0; frame < 8; frame++) await lnb.frame();
    }
    fold.click();
  }
}"""


class Trace:
    """What a page's main thread did while a trace was taken; times in ms."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def at(self, mark: str) -> dict[str, Any]:
        return next(event for event in self.events if event["name"] == mark and event["ph"] in "IRn")

    def tasks(self, mark: str) -> list[dict[str, Any]]:
        """The tasks of the thread that made the mark, from that one on."""
        here = self.at(mark)
        thread = (here["pid"], here["tid"])
        return [
            event
            for event in self.events
            if event["name"] == "RunTask"
            and "dur" in event
            and (event["pid"], event["tid"]) == thread
            and event["ts"] + event["dur"] >= here["ts"]
        ]

    def longest(self, mark: str) -> float:
        return max(event["dur"] for event in self.tasks(mark)) / 1000

    def cpu(self, start: str, end: str) -> float:
        """CPU of all tasks from one mark to the other, what the first one did before its mark with it."""
        until = self.at(end)["ts"]
        return sum(event.get("tdur", event["dur"]) for event in self.tasks(start) if event["ts"] < until) / 1000


@contextmanager
def traced(page: Page) -> Iterator[Trace]:
    trace, done = Trace(), list[Any]()
    session = page.context.new_cdp_session(page)
    session.on("Tracing.dataCollected", lambda data: trace.events.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda data: done.append(data))
    session.send("Tracing.start", {"categories": CATEGORIES, "transferMode": "ReportEvents"})
    yield trace
    session.send("Tracing.end")
    while not done:
        page.wait_for_timeout(20)
    session.detach()


def open_page(browser: Browser, url: str) -> tuple[Page, Figures]:
    """The page, drawn: how long that took since it was asked for, and since its own code began."""
    page = browser.new_context(viewport=VIEWPORT).new_page()
    page.add_init_script(WATCH)
    with traced(page) as trace:
        page.goto(url)
        contentful, begun, painted = page.evaluate(FIRST)
    cpu = trace.cpu("begun", "painted")
    return page, {
        "contentful_ms": contentful,
        "opened_ms": painted,
        "view_ms": painted - begun,
        "view_cpu_ms": cpu,
    }


def longest(page: Page, work: str) -> float:
    """ms of the longest task while `work` is done."""
    with traced(page) as trace:
        page.evaluate("() => performance.mark('work')")
        page.evaluate(work)
        page.evaluate("() => performance.clearMarks()")
    return trace.longest("work")


def held(page: Page) -> Figures:
    """What the page holds once what nobody needs is gone."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {its["name"]: its["value"] for its in session.send("Performance.getMetrics")["metrics"]}
    return {"heap_mb": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"]}


def measured(browser: Browser, url: str, count: int) -> Figures:
    page, figures = open_page(browser, url)
    page.evaluate(HELPERS)
    figures["scrub_ms"] = longest(page, SCRUB)
    figures["open_ms"] = longest(page, OPEN)
    figures["scroll_ms"] = longest(page, SCROLL)
    figures["elements"] = page.evaluate("() => lnb.root.querySelectorAll('*').length")
    figures["raw_ms"] = longest(page, RAW.replace("COUNT", str(count)))
    figures["filter_ms"] = longest(page, FILTER)
    figures |= held(page)
    page.context.close()
    return figures


def opened(browser: Browser, url: str) -> Figures:
    page, figures = open_page(browser, url)
    page.context.close()
    return figures


def html_of(kind: str, count: int) -> tuple[str, int]:
    """A saved page, and the events in it."""
    if kind == "several":
        runs = [finished(call_events(4)) for _ in range(count)]
        return static_html.document("several", "\n".join(map(static_html.fragment, runs))), 0
    run = finished({"calls": call_events, "tokens": token_events}[kind](count))
    return static_html.to_html(run), len(run.log or ())


def marked(html: str) -> str:
    """The page, which notes when its own code begins."""
    return html.replace("<script>", f"{MARK}<script>", 1)


def main(kind: str, count: int) -> None:
    html, events = html_of(kind, count)
    with tempfile.TemporaryDirectory() as home, running_chromium() as browser:
        path = Path(home) / "run.html"
        path.write_text(marked(html), encoding="utf-8")
        url = path.as_uri()
        taken = [opened(browser, url) if kind == "several" else measured(browser, url, events) for _ in range(OPENINGS)]
    best = {name: min(figures[name] for figures in taken) for name in taken[0]}
    print(json.dumps({"cpu_s": best["view_cpu_ms"] / 1000, "kb": len(html) / 1000, **best}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
