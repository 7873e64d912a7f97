"""What the pictures show: for each the cell that is run and how its view is posed; `screenshots.py` takes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Locator, expect

Pose = Callable[[Locator], None]
WIDTHS = (900, 380)

SETUP = """\
import sys
sys.path[:0] = {paths!r}
shown = f"{{sys.executable}} -c 'import letta_nb.cli as c; c.main()' show"
import letta_nb
from pictured_runs import *
from letta_nb.server.demo import demo_agent
%load_ext letta_nb
server, slow = letta_nb.serve(), letta_nb.serve({{"demo": demo_agent(pace=4)}})
weathers = letta_nb.Client(letta_nb.serve(fleet()).url)
letta_nb.connect(server.url)
"""


def still(view: Locator) -> None:
    """As it is when it is done, from its beginning: its end was followed."""
    expect(view.locator(".status")).not_to_have_text("Running")
    view.locator(".box").first.evaluate("box => { box.scrollTop = 0 }")


def whole(view: Locator) -> None:
    """Every row, by the menu's own "Full height"."""
    still(view)
    view.get_by_role("button", name="More").click()
    view.get_by_role("menuitem", name="Full height").click()


def running(call: str) -> Pose:
    """While a call runs, some seconds after it began."""

    def pose(view: Locator) -> None:
        expect(view.locator(".tx .nm").last).to_have_text(call)
        expect(view.locator(".tx .t.live")).to_have_text(re.compile(r"[3-9]\.\d s"))

    return pose


def arriving(call: str) -> Pose:
    """While the arguments of a call arrive."""

    def pose(view: Locator) -> None:
        expect(view.locator(".tx .nm").last).to_have_text(call)
        expect(view.locator(".tx .kv").last).to_contain_text("temperature_c")

    return pose


def waiting(view: Locator) -> None:
    """After it has waited for a person for some seconds."""
    expect(view.locator(".clock")).to_have_text(re.compile("0:0[4-9]"))


def stopped(view: Locator) -> None:
    """Stopped, once it has been seen."""
    view.get_by_role("button", name="Stop").click()


def denied(view: Locator) -> None:
    """Answered, so that the agent can be asked again."""
    view.get_by_role("button", name="Deny all").click()
    still(view)


def hovered(lane: int) -> Pose:
    """With the hover card of a lane."""

    def pose(view: Locator) -> None:
        whole(view)
        view.locator(".ln .tr").nth(lane).hover()
        expect(view.locator(".card").first).to_be_visible()

    return pose


def back(share: float) -> Pose:
    """Dragged back to a share of the run's time."""

    def pose(view: Locator) -> None:
        whole(view)
        rail = view.get_by_role("slider", name="Moment")
        box = rail.bounding_box()
        assert box is not None
        mouse = view.page.mouse
        mouse.move(box["x"] + box["width"] - 1, box["y"] + 10)
        mouse.down()
        mouse.move(box["x"] + box["width"] * share, box["y"] + 10, steps=4)
        mouse.up()
        expect(view.locator(".status")).to_have_text("Earlier moment")

    return pose


def tab(name: str, opens: str = "") -> Pose:
    """Another tab, with one of its rows open."""

    def pose(view: Locator) -> None:
        still(view)
        view.get_by_role("tab", name=name).click()
        if opens:
            view.get_by_role("tabpanel").get_by_role("button", name=opens).first.click()

    return pose


def sought(words: str, steps: int) -> Pose:
    """With a search, at one of its matches."""

    def pose(view: Locator) -> None:
        whole(view)
        view.get_by_role("button", name="Search").click()
        box = view.get_by_label("Search in this run")
        box.fill(words)
        for _ in range(steps):
            box.press("Enter")
        expect(view.locator(".nn")).to_contain_text(f"{steps + 1} of")

    return pose


def drawn(view: Locator) -> None:
    """Text, which is there at once."""
    expect(view).to_contain_text("slow_lookup")


def compared(view: Locator) -> None:
    """A comparison, when it is drawn."""
    expect(view).to_contain_text("First divergence")


def half_done(view: Locator) -> None:
    """A fan-out, when most of its runs are over."""
    expect(view).to_contain_text(re.compile(r"[678] of 10 done"), timeout=60_000)


def all_done(view: Locator) -> None:
    """A fan-out when it is over."""
    expect(view).to_contain_text("10 runs", timeout=60_000)


@dataclass(frozen=True)
class Picture:
    """One of the pictures.

    `view` is what is photographed, in Lab with a kernel, saved and opened again without one, or untrusted (no scripts);
    `cell` with its input, `bottom` down to a part of it only. `runs`: it is posed while the cell runs.
    """

    name: str
    source: str
    pose: Pose = still
    after: Pose | None = None
    host: Literal["kernel", "saved", "untrusted"] = "kernel"
    view: str = ".lnb"
    runs: bool = False
    cell: bool = False
    bottom: str = ""
    widths: tuple[int, ...] = WIDTHS


WEATHER = "%letta What is the weather in Oslo, and should I bike?"
SLOWLY = f"letta_nb.connect(slow.url)\nletta_nb.send({WEATHER[7:]!r})\nletta_nb.connect(server.url)"
RENT = "%letta Rent a bike in Oslo and in Bergen for 2 hours"
FAN = """\
question = "Which of Oslo, Lima and Pune is coolest?"
letta_nb.fan_out(question, "weather", ["function/swift-1", "function/thorough-2"], repeats=5, client=weathers)"""
TEN = "Oslo, Paris, Tokyo, Cairo, Lima, Delhi, Berlin, Madrid, Dublin and Prague"
MULTI = "timed('v1_multi2').show()"
WIDE = (900,)

PICTURES = (
    Picture("hero", WEATHER, whole, cell=True, widths=WIDE),
    Picture("ask", RENT, waiting, denied, runs=True, cell=True, widths=WIDE),
    Picture("live", "modern('v1_multi_tok').replay()", running("slow_lookup"), stopped, runs=True),
    Picture("arguments", SLOWLY, arriving("bike_score"), stopped, runs=True, widths=WIDE),
    Picture("done", MULTI, whole),
    Picture("error", "modern('v1_toolerr_tok').show()", whole),
    Picture("approval", RENT, waiting, denied, runs=True),
    Picture("hover", MULTI, hovered(2)),
    Picture("time-travel", MULTI, back(0.5)),
    Picture("compare", "letta_nb.compare(modern('v1_multi_tok'), modern('v1_err2_tok'))", compared),
    Picture("parallel", "timed('v1_parallel2').show()", whole, widths=WIDE),
    Picture("interrupted", "cut(modern('v1_multi_tok'), 9.514).show()", whole, widths=WIDE),
    Picture("failed", "modern('v1_disc_tok').show()", widths=WIDE),
    Picture("search", MULTI, sought("die", 1), widths=WIDE),
    Picture("fan-out", FAN, all_done, view=".jp-RenderedHTMLCommon", cell=True, widths=WIDE),
    Picture("fan-out-live", FAN, half_done, runs=True, view=".jp-RenderedHTMLCommon", widths=WIDE),
    Picture("raw", "modern('v1_toolerr_tok').show()", tab("Raw", "tool_return_message"), widths=WIDE),
    Picture("memory", "%letta Remember that I ride a red bike to work", tab("Memory"), widths=WIDE),
    Picture("context", "long_talk().show()", tab("Context"), widths=WIDE),
    Picture("twenty-one-lanes", f"%letta Weather in {TEN}: should I bike?", bottom=".tx .row", widths=WIDE),
    Picture("five-hundred-calls", "five_hundred().show()", bottom=".middle", widths=WIDE),
    Picture("saved", "modern('v1_approve_parallel_step_1request').show()", host="saved", widths=WIDE),
    Picture("bare", MULTI, drawn, host="untrusted", view=".lnb-bare", widths=WIDE),
    Picture("terminal", "!{shown} RECORDED/0.16.8/v1_multi2_tok.sse", drawn, view="pre", widths=WIDE),
)
