"""The checks of the site can fail: one page with a fault for each of them."""

import pytest
from checks import (
    bad_formulas,
    broken_links,
    duplicate_ids,
    open_page,
    overflow,
    pictures_without_words,
    requests_to_others,
    violations,
)

SOUND = """<!DOCTYPE html>
<html lang="en"><head><title>Seeded</title>
<link rel="icon" href="data:,"></head>
<body><main><article><h1 id="top">Seeded</h1>FAULT</article></main></body></html>"""


@pytest.fixture
def page(tmp_path):
    """Write the page with a fault."""

    def write(fault):
        path = tmp_path / "page.html"
        path.write_text(SOUND.replace("FAULT", fault), "utf8")
        return path

    return write


def test_the_page_without_a_fault_is_green(browser, page):
    path = page('<p>A <a href="#top">link</a>.</p>')
    opened = open_page(browser, path)
    assert opened.errors == requests_to_others(opened) == []
    assert violations(opened, 1400, "light") == []
    assert overflow(opened, 360) <= 0
    assert bad_formulas(path) == duplicate_ids(path) == []
    assert broken_links(path, path.parent) == pictures_without_words(path) == []


@pytest.mark.parametrize(
    "fault",
    [
        '<span class="math">\\(x^2\\)</span>',
        '<span class="katex" style="color:#cc0000">\\E</span>',
        "<p>A formula $x^2$ as text.</p>",
    ],
)
def test_a_bad_formula_is_found(page, fault):
    assert bad_formulas(page(fault)) != []


@pytest.mark.parametrize(
    "url", ["missing.html", "#nowhere", "page.html#nowhere", "../"]
)
def test_a_broken_link_is_found(page, url):
    path = page(f'<a href="{url}">there</a>')
    assert broken_links(path, path.parent) == [url]


def test_an_id_that_stands_twice_is_found(page):
    assert duplicate_ids(page('<p id="top">Again.</p>')) == ["top"]


def test_a_picture_without_words_is_found(page):
    assert pictures_without_words(page('<img src="data:," alt="plot">')) == ["data:,"]


@pytest.mark.parametrize("script", ["missing()", "console.error('wrong')"])
def test_a_script_error_is_found(browser, page, script):
    assert open_page(browser, page(f"<script>{script}</script>")).errors != []


def test_a_request_to_another_machine_is_found(browser, page):
    url = "http://127.0.0.1:9/picture.png"
    opened = open_page(browser, page(f'<img src="{url}" alt="">'))
    assert requests_to_others(opened) == [url]
    assert url in opened.errors


def test_a_page_wider_than_the_screen_is_found(browser, page):
    opened = open_page(browser, page('<p style="width:600px">Wide.</p>'))
    assert overflow(opened, 1400) <= 0 < overflow(opened, 360)


PALE = '<p style="color:#eee;background:#fff">Pale.</p>'
NAMELESS = "<button></button>"


@pytest.mark.parametrize(
    "fault, width, theme",
    [
        (PALE, 1400, "light"),
        (PALE, 1400, "dark"),
        (NAMELESS, 1400, "light"),
        (NAMELESS, 360, "light"),
    ],
)
def test_an_accessibility_violation_is_found(browser, page, fault, width, theme):
    assert violations(open_page(browser, page(fault)), width, theme) != []
