"""Pictures of the demo page: python js/demo/shoot.py [id ...]; to /tmp/lnb_*.png."""

from __future__ import annotations

import sys

from playwright.sync_api import sync_playwright

MODES = {
    "light": ("", 870),
    "dark": ("dark", 870),
    "narrow": ("narrow", 412),
    "narrow-dark": ("narrow,dark", 412),
}


def main() -> None:
    modes = [arg for arg in sys.argv[1:] if arg in MODES] or list(MODES)
    ids = [arg for arg in sys.argv[1:] if arg not in MODES]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for mode in modes:
            hash_, width = MODES[mode]
            page = browser.new_page(viewport={"width": width, "height": 900}, device_scale_factor=1.5)
            page.on("console", lambda message, mode=mode: print(mode, message.type, message.text))
            page.on("pageerror", lambda error, mode=mode: print(mode, "ERROR", error))
            page.goto(f"file:///tmp/letta_nb_demo.html#{hash_}")
            page.wait_for_function("window.ready === true")
            count = "document.querySelectorAll('{}').length"
            page.wait_for_function(f"{count.format('.lnb-host')} === {count.format('.cell')}")
            page.wait_for_timeout(300)
            if not ids:
                page.screenshot(path=f"/tmp/lnb_{mode}.png", full_page=True)
            for name in ids:
                page.locator(f"#{name} .cell").screenshot(path=f"/tmp/lnb_{mode}_{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
