"""One browser for all pages of the built book."""

import functools
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
REDIRECT = "index.html"  # leads to book/index.html
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking "
    "--disable-component-update --disable-sync --no-first-run"
).split()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def pages() -> list[str]:
    """The pages of the book, relative to its folder; those that are generated, last."""
    found = (str(path.relative_to(HTML)) for path in HTML.rglob("*.html"))
    shown = (p for p in found if p != REDIRECT and not p.startswith("_static"))
    return sorted(shown, key=lambda page: (not page.startswith("book/"), page))


def browser_path() -> str:
    """Where the system's browser is."""
    found = [shutil.which(name) for name in BROWSERS]
    found += [MACOS] if Path(MACOS).exists() else []
    if not any(found):
        raise pytest.UsageError(
            "Missing: a browser. Install Chromium (Debian: apt install chromium; "
            "Ubuntu: snap install chromium; macOS: brew install --cask google-chrome)."
        )
    return next(path for path in found if path)


def pytest_sessionstart(session):
    """Say what is missing before anything runs."""
    browser_path()


def pytest_generate_tests(metafunc):
    """Every test of a page runs on every page."""
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", pages(), scope="module")


class PageScheduling(LoadScopeScheduling):
    """All tests of a page run in one process, which opens the page once."""

    def _split_scope(self, nodeid):
        page = re.search(r"\[(.*\.html)", nodeid)
        return page[1] if page else nodeid


def pytest_xdist_make_scheduler(config, log):
    """Hand out the tests by pages."""
    return PageScheduling(config, log)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        yield browser
        browser.close()


class Silent(SimpleHTTPRequestHandler):
    """A server that reports nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def served():
    """The address under which the book is served."""
    handler = functools.partial(Silent, directory=HTML)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["file", "http"])
def address(request, served):
    """The book, from a disk and from a server."""
    return HTML.as_uri() if request.param == "file" else served


@pytest.fixture
def reader(browser):
    """Open a page; at the end it must have had no error."""
    opened, errors = [], []

    def reader(url, **options):
        options.setdefault("viewport", {"width": 1400, "height": 900})
        context = browser.new_context(reduced_motion="reduce", **options)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda m: (
                errors.append(m.text)
                if m.type == "error" and "favicon" not in m.location["url"]
                else None
            ),
        )
        page.goto(url)
        opened.append(context)
        return page

    yield reader
    for context in opened:
        context.close()
    assert errors == []
