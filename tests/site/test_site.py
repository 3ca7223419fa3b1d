"""Every page, as a reader's browser sees it: wide and narrow, light and dark."""

import pytest
from checks import (
    WIDE,
    WIDTHS,
    bad_formulas,
    broken_links,
    duplicate_ids,
    pictures_without_words,
    slider_faults,
    soup,
    visit,
)
from conftest import HTML, ROOT, pages


@pytest.fixture(scope="module")
def seen(browser, page_name):
    """What the browser sees on the page."""
    return visit(browser, HTML / page_name)


def test_the_book_has_its_pages():
    sources = {path.stem for path in (ROOT / "book").glob("[!_]*.md")}
    built = {page.removeprefix("book/").removesuffix(".html") for page in pages()}
    assert sources <= built


def test_scripts_run_without_error(seen):
    assert seen.errors == []


def test_no_request_leaves_the_machine(seen):
    assert seen.strangers == []


def test_formulas_are_rendered(page_name):
    assert bad_formulas(HTML / page_name) == []


def test_links_and_anchors_land(page_name):
    assert broken_links(HTML / page_name, HTML) == []


def test_ids_are_unique(page_name):
    assert duplicate_ids(HTML / page_name) == []


def test_images_have_text_alternatives(page_name):
    assert pictures_without_words(HTML / page_name) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(seen, width):
    assert seen.overflow[width] <= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_no_accessibility_violation(seen, width):
    assert seen.violations[width, "light"] == []


def test_no_accessibility_violation_in_the_dark(seen):
    assert seen.violations[WIDE, "dark"] == []


def test_sliders_follow_the_keyboard(browser, page_name):
    path = HTML / page_name
    assert not soup(path).select(".slider") or slider_faults(browser, path) == []


def test_seven_chapters_have_sliders():
    with_slider = [page for page in pages() if soup(HTML / page).select(".slider")]
    assert len(with_slider) >= 7
