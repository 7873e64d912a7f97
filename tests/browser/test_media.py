"""What only a browser shows of a saved run: paper, and a reader's own colours. No kernel, no server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from letta_nb import page as words
from letta_nb import static_html

ANSWER = "A **quiet** road, and a quiet road again.\n\n| name | km |\n|:--|--:|\n| Paris | 12 |\n"
# what a dark theme of JupyterLab gives to what stands in it
DARK = "body{background:#111;--jp-layout-color0:#111;--jp-content-font-color1:#eee;--jp-border-color2:#333}"
WHITE, INK = "rgb(255, 255, 255)", "rgb(27, 31, 36)"


def snapshot(steps: int) -> words.Snapshot:
    changes: list[Any] = [{"op": "run", "at": 0, "set": {"status": "completed", "timed": True, "ended": steps * 100}}]
    for n in range(steps):
        changes.append({"op": "open", "at": n * 100, "entry": n, "kind": "assistant", "step": n})
        changes.append({"entry": n, "text": ANSWER, "at": n * 100 + 50})
    return {"seq": 0, "now": steps * 100, "changes": cast("list[words.Change]", changes)}


def shown(browser: Browser, steps: int, **options: Any) -> tuple[Page, Locator]:
    """A saved run on a page of its own, on a dark one."""
    page = browser.new_context(**options).new_page()
    html = static_html.document("A run", static_html.upgraded("", snapshot(steps), ""))
    page.set_content(html.replace("</head>", f"<style>{DARK}</style></head>"))
    view = page.locator(".lnb")
    expect(view.locator(".status")).to_have_text("Completed")
    return page, view


@pytest.fixture
def dark(browser: Browser) -> Iterator[tuple[Page, Locator]]:
    page, view = shown(browser, 30)
    expect(view).to_have_attribute("data-theme", "dark")
    yield page, view
    page.context.close()


def colours(at: Locator) -> tuple[str, str]:
    return tuple(at.evaluate("its => [getComputedStyle(its).backgroundColor, getComputedStyle(its).color]"))


def test_a_dark_page_is_printed_light(dark: tuple[Page, Locator]) -> None:
    page, view = dark
    assert colours(view) == ("rgb(17, 17, 17)", "rgb(238, 238, 238)")
    canvas = view.locator(".lanes canvas")
    expect(canvas).to_have_css("filter", "none")
    page.emulate_media(media="print")
    assert colours(view) == (WHITE, INK)
    expect(view).to_have_css("color-scheme", "normal")
    # what was drawn for the dark page is turned round
    expect(canvas).to_have_css("filter", "invert(1) hue-rotate(180deg)")
    expect(view.locator(".tabs .ico").first).to_be_hidden()


def test_the_current_match_is_another_in_forced_colours(browser: Browser) -> None:
    page, view = shown(browser, 2, forced_colors="active")
    view.get_by_role("button", name="Search", exact=True).click()
    page.keyboard.type("quiet road")
    page.wait_for_function(
        "CSS.highlights.get('lnb-match')?.size === 3 && CSS.highlights.get('lnb-current').size === 1"
    )
    line = "its => getComputedStyle(its, '::highlight(%s)').textDecorationLine"
    row = view.locator(".md").first
    assert row.evaluate(line % "lnb-current") == "underline"
    assert row.evaluate(line % "lnb-match") == "none"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(view.locator(".r:focus-visible")).to_have_css("outline-style", "solid")
    page.context.close()


def test_a_part_of_the_time_is_drawn_out(browser: Browser) -> None:
    page, view = shown(browser, 4)
    track = view.locator(".grid")
    box = track.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    # what a pointer can do there comes with the pointer
    expect(view.locator(".card:not(.keys)")).to_be_visible()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2, steps=4)
    expect(view.locator(".drawn")).to_be_visible()
    page.mouse.up()
    expect(view.locator(".drawn")).to_have_count(0)
    expect(view.locator(".zoom")).to_contain_text("0.100 s to 0.300 s")
    page.keyboard.press("Escape")
    page.context.close()
