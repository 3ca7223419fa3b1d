"""Every page, as a reader's browser sees it: wide and narrow, light and dark."""

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
from conftest import HTML, ROOT, pages


@pytest.fixture(scope="module")
def opened(browser, page_name):
    """The page in the browser."""
    page = open_page(browser, HTML / page_name)
    yield page
    page.close()


def test_the_book_has_its_pages():
    sources = {path.stem for path in (ROOT / "book").glob("[!_]*.md")}
    built = {page.removeprefix("book/").removesuffix(".html") for page in pages()}
    assert sources <= built


def test_scripts_run_without_error(opened, page_name):
    assert opened.errors == []


def test_no_request_leaves_the_machine(opened, page_name):
    assert requests_to_others(opened) == []


def test_formulas_are_rendered(page_name):
    assert bad_formulas(HTML / page_name) == []


def test_links_and_anchors_land(page_name):
    assert broken_links(HTML / page_name, HTML) == []


def test_ids_are_unique(page_name):
    assert duplicate_ids(HTML / page_name) == []


def test_images_have_text_alternatives(page_name):
    assert pictures_without_words(HTML / page_name) == []


@pytest.mark.parametrize("width", [1400, 360])
def test_nothing_is_wider_than_the_screen(opened, page_name, width):
    assert overflow(opened, width) <= 0


@pytest.mark.parametrize("width", [1400, 360])
def test_no_accessibility_violation(opened, page_name, width):
    assert violations(opened, width, "light") == []


def test_no_accessibility_violation_in_the_dark(opened, page_name):
    assert violations(opened, 1400, "dark") == []


def test_a_slider_follows_the_keyboard(browser):
    page = open_page(browser, HTML / "book" / "advantages.html")
    knob, image = page.locator(".slider input"), page.locator(".slider img")

    def shown():
        said = knob.get_attribute("aria-valuetext")
        return said, image.get_attribute("alt"), image.get_attribute("src")

    knob.focus()
    knob.press("Home")
    first = shown()
    knob.press("ArrowRight")
    second = shown()
    knob.press("ArrowLeft")
    assert shown() == first
    assert all(a != b for a, b in zip(first, second, strict=True))
    page.close()
