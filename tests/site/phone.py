"""How a page arrives on a slow phone: when it is readable, and whether it moves.

`python tests/site/phone.py [PAGE …]` prints a table of the pages of the built book.
"""

import json
import sys
from dataclasses import astuple, dataclass

from browsers import launch
from conftest import HTML, pages
from playwright.sync_api import sync_playwright
from server import served

SCREEN = {"width": 360, "height": 740}
NETWORK = {  # a slow 4G: 1.6 Mbit/s down, 0.75 up, 150 ms
    "offline": False,
    "latency": 150,
    "downloadThroughput": 1.6e6 / 8,
    "uploadThroughput": 0.75e6 / 8,
}
SLOWDOWN = 4  # of the processor
SETTLED = 500  # ms after which nothing moves
TRIES = 3
RECORD = """(() => {
  window.shift = 0;
  new PerformanceObserver(list => {
    for (const entry of list.getEntries())
      if (!entry.hadRecentInput) window.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver(list => {
    const [{ startTime }] = list.getEntriesByName("first-contentful-paint");
    const missing = [...document.fonts].filter(font => font.status === "loading");
    Promise.all(missing.map(font => font.loaded)).then(() => {
      window.readable = missing.length ? performance.now() : startTime;
    });
  }).observe({ type: "paint", buffered: true });
})()"""


@dataclass
class Arrival:
    """How a page arrived."""

    readable: float  # seconds until text is seen, and its formulas have their fonts
    shift: float  # cumulative layout shift
    weight: float  # kilobytes over the network, compressed, without pictures
    pictures: float  # kilobytes of pictures that were fetched at once


def arrive(browser, url: str) -> Arrival:
    """Open a page on the slow phone."""
    page = browser.new_page(viewport=SCREEN, device_scale_factor=2)
    page.add_init_script(RECORD)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    kinds, sizes = {}, {}

    def note(event):
        if not event["response"]["url"].startswith("data:"):  # came with what holds it
            kinds[event["requestId"]] = event["type"]

    session.on("Network.responseReceived", note)
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto(url, wait_until="load", timeout=60_000)
    page.wait_for_function("() => window.readable")
    page.wait_for_timeout(SETTLED)
    readable, shift = page.evaluate("() => [window.readable / 1000, window.shift]")
    page.close()
    fetched = {i: size for i, size in sizes.items() if i in kinds}
    pictures = sum(size for i, size in fetched.items() if kinds[i] == "Image")
    weight = sum(fetched.values()) - pictures
    return Arrival(readable, shift, weight / 1000, pictures / 1000)


def styled_elements(browser, page, url: str) -> int:
    """How many elements a page styles until it has arrived; some more than once."""
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    page.goto(url)
    page.wait_for_timeout(SETTLED)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    styled = (e["args"] for e in events if e["name"] == "UpdateLayoutTree")
    return sum(args.get("elementCount", 0) for args in styled)


def main(names: list[str]) -> None:
    """Print a line per page: the best of some arrivals, since a machine has noise."""
    with sync_playwright() as playwright, served(HTML) as address:
        browser = launch(playwright)
        for name in names:
            tries = [arrive(browser, f"{address}/{name}") for _ in range(TRIES)]
            best = min(tries, key=lambda arrival: arrival.readable)
            print(name, *(f"{value:.3g}" for value in astuple(best)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or pages())
