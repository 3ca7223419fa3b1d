"""The built book as readers have it: from a disk and from a server."""

from pathlib import Path

import pytest
import server
from checks import new_visitor

HTML = Path(__file__).parents[2] / "_build" / "html"


@pytest.fixture(scope="module")
def served():
    """The address under which the book is served."""
    with server.served(HTML) as address:
        yield address


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
            "console", lambda m: errors.append(m.text) if m.type == "error" else None
        )
        page.goto(url)
        opened.append(context)
        return page

    yield reader
    for context in opened:
        context.close()
    assert errors == []


@pytest.fixture(scope="session")
def visitor(browser):
    """A page that visits one after the other."""
    page = new_visitor(browser)
    yield page
    page.close()
