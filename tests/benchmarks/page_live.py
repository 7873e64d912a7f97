"""Kernel to page, in a real JupyterLab and Chromium: what is lost, how late it is seen, stutter, and Stop.

Every tenth token says when it was made. The page notes how old it is when it is drawn, the kernel how old it was when
it came from the agent's server: the difference is the way from kernel to page. Prints its figures as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))

from harness import Notebook, new_notebook, running_chromium, running_jupyter

SETUP = """
%load_ext letta_nb
import asyncio, time, letta_nb
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel

def talker(count, rate):
    async def talk(messages, info):
        start = time.perf_counter()
        for number in range(count):
            word = "word " if number % 99 else "end.\\n\\n"
            yield f"{number}:{time.time() * 1000:.0f} " if number % 10 == 0 else word
            if rate:
                await asyncio.sleep(max(0, start + number / rate - time.perf_counter()))
    return Agent(FunctionModel(stream_function=talk))

server = letta_nb.serve({"steady": talker(STEADY, 400), "burst": talker(5000, 0), "endless": talker(10**7, 100)})
letta_nb.connect(server.url)
"""

# how old each token was when the client had it
RECEIVED = """
import json, re
run, ages = letta_nb.last_run(), {}
for received in run.log:
    if token := re.search(r'"content":"(\\d+):(\\d{13}) "', received.data):
        ages[token[1]] = run.started.timestamp() * 1000 + received.at / 1e6 - int(token[2])
print(json.dumps(ages))
"""

# in each frame: the ages of the tokens that are new in the page; and every task over 50 ms since the start
WATCH = """() => {
  window.__ages = []; window.__long = []; window.__seen = -1;
  new PerformanceObserver(list => window.__long.push(...list.getEntries().map(task => task.duration)))
    .observe({type: 'longtask'});
  const look = () => {
    for (const host of document.querySelectorAll('.lnb-host')) {
      const answers = host.shadowRoot.querySelectorAll('.ans');
      if (!answers.length) continue;
      const text = answers[answers.length - 1].textContent;
      for (const [, number, at] of text.slice(-900).matchAll(/(\\d+):(\\d{13})/g)) {
        if (+number > window.__seen) { window.__seen = +number; window.__ages.push([number, Date.now() - +at]); }
      }
    }
    // after the frame: a frame callback of ours would run before the view's own and see its words one frame late
    window.__frame = requestAnimationFrame(() => setTimeout(look));
  };
  look();
}"""
STOP = """() => new Promise(done => {
  const root = [...document.querySelectorAll('.lnb-host')].at(-1).shadowRoot;
  const button = [...root.querySelectorAll('button')].find(it => it.textContent.trim() === 'Stop');
  const start = performance.now();
  const look = () => {
    const roots = [...document.querySelectorAll('.lnb-host')].map(host => host.shadowRoot);
    const stopped = roots.some(it => it.querySelector('.status')?.textContent.includes('Stopped'));
    stopped ? done(performance.now() - start) : requestAnimationFrame(look);
  };
  button.click();
  look();
})"""


WORDS = "its => [...its.querySelectorAll('p, li, pre')].map(part => part.textContent).join(' ')"


def lost(notebook: Notebook, cell: int) -> int:
    """Tokens of the run that the page does not show, once all is unfolded."""
    view = notebook.widget(cell)
    view.locator(".status", has_text="Completed").wait_for()
    more = view.get_by_role("button", name="Show all")
    while more.count():
        more.first.click()
        more.first.wait_for(state="detached")
    # what lies far off is not laid out, and so no part of the rendered text
    shown = view.locator(".ans").last.evaluate(WORDS).split()
    return len(notebook.evaluate_in_kernel("print(letta_nb.last_run().text)").split()) - len(shown)


def measure(notebook: Notebook) -> dict[str, float]:
    figures: dict[str, float] = {}
    notebook.run(0)
    notebook.page.evaluate(WATCH)
    notebook.run(1)
    drawn: list[tuple[str, float]] = notebook.page.evaluate("window.__ages")
    received = json.loads(notebook.evaluate_in_kernel(RECEIVED))
    ages = sorted(age - received[number] for number, age in drawn)
    tasks: list[Any] = notebook.page.evaluate("window.__long")
    notebook.page.evaluate("cancelAnimationFrame(window.__frame)")
    figures["p50_ms"], figures["p95_ms"] = ages[len(ages) // 2], ages[int(len(ages) * 0.95)]
    figures["long_tasks"], figures["longest_ms"] = len(tasks), max(tasks, default=0)
    figures["lost"] = lost(notebook, 1)
    notebook.run(2)
    figures["burst_lost"] = lost(notebook, 2)
    notebook.start(3)
    notebook.widget(3).get_by_text("20:").first.wait_for()
    figures["stop_ms"] = notebook.page.evaluate(STOP)
    notebook.wait_done(3)
    return figures


def main(steady: int) -> None:
    runs = (f"%letta -a {name} go" for name in ("steady", "burst", "endless"))
    sources = [SETUP.replace("STEADY", str(steady)), *runs]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        running_jupyter(Path(home)) as jupyter,
        running_chromium() as browser,
    ):
        jupyter.write("bench.ipynb", *sources)
        figures = measure(new_notebook(browser, jupyter, "bench.ipynb").open())
    print(json.dumps({"cpu_s": 0.0, **figures}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
