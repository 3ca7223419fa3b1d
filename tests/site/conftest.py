"""One browser for all pages of the built book."""

import re
from pathlib import Path

from browsers import browser, browser_path  # noqa: F401
from readers import address, reader, served, visitor  # noqa: F401
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
REDIRECT = "index.html"  # leads to book/index.html


def pages() -> list[str]:
    """The pages of the book, relative to its folder; those that are generated, last."""
    found = (str(path.relative_to(HTML)) for path in HTML.rglob("*.html"))
    shown = (p for p in found if p != REDIRECT and not p.startswith("_static"))
    return sorted(shown, key=lambda page: (not page.startswith("book/"), page))


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
