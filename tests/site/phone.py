"""How a page arrives on a slow phone: when it is readable, and whether it moves.

`python tests/site/phone.py [PAGE …]` prints a table of the pages of the built book.
"""

import gzip
import sys
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from conftest import HTML, launch, pages
from playwright.sync_api import sync_playwright

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
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}
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


@cache
def compressed(path: Path, changed: float) -> bytes:
    """The file as a server sends it."""
    content = path.read_bytes()
    return gzip.compress(content, 6) if path.suffix in COMPRESSED else content


class Handler(SimpleHTTPRequestHandler):
    """Serves files compressed, as every web server does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        """Send a file, or say that there is none."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        body = compressed(path, path.stat().st_mtime)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(body)))
        if path.suffix in COMPRESSED:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def served(folder: Path):
    """The address under which a server shows the folder."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(folder))
    )
    Thread(target=server.serve_forever, daemon=True).start()
    with server:
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def arrive(browser, url: str) -> Arrival:
    """Open a page on the slow phone."""
    page = browser.new_page(viewport=SCREEN, device_scale_factor=2)
    page.add_init_script(RECORD)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    kinds, sizes = {}, {}
    session.on(
        "Network.responseReceived",
        lambda event: kinds.update({event["requestId"]: event["type"]}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto(url, wait_until="load", timeout=60_000)
    page.wait_for_function("() => window.readable")
    page.wait_for_timeout(SETTLED)
    readable, shift = page.evaluate("() => [window.readable / 1000, window.shift]")
    page.close()
    pictures = sum(size for i, size in sizes.items() if kinds.get(i) == "Image")
    weight = sum(sizes.values()) - pictures
    return Arrival(readable, shift, weight / 1000, pictures / 1000)


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
