"""Nothing is left of the theme's defaults, and a page looks as the book wants it."""

from io import BytesIO

import pytest
from bs4 import BeautifulSoup
from checks import NARROW, WIDE, open_page, resize
from conftest import HTML
from matplotlib.image import imread

LEFTOVERS = {
    "place for an advertisement": "#ethical-ad-placement",
    "second table of contents": ".onlyprint, #jb-print-docs-body",
    "authors' line": ".component-author",
    "full screen": ".btn-fullscreen-button",
    "print button": ".btn-download-pdf-button",
    "banner for versions": "#bd-header-version-warning",
    "empty bar": "footer.bd-footer",
}
GROUND = (0x17, 0x17, 0x17)


@pytest.fixture(scope="module")
def soup(page_name):
    return BeautifulSoup((HTML / page_name).read_text("utf8"), "html.parser")


@pytest.fixture
def chapter(browser):
    page = open_page(browser, HTML / "book" / "objective.html")
    yield page
    page.close()


@pytest.mark.parametrize("selector", LEFTOVERS.values(), ids=LEFTOVERS)
def test_the_theme_left_nothing_behind(soup, selector):
    assert soup.select(selector) == []


def test_the_copyright_line_is_ours(soup):
    lines = [" ".join(line.text.split()) for line in soup.select(".copyright")]
    expected = "© 2026, The pgbook authors. Text and figures: CC BY 4.0. Code: MIT."
    assert lines == [expected]


def test_no_button_is_empty(soup):
    for button in soup.select("button, a.btn"):
        named = button.text.strip() or button.get("aria-label") or button.get("title")
        assert named, button


def test_the_mark_is_icon_and_logo(soup):
    icons = [link["href"].split("?")[0] for link in soup.select('link[rel~="icon"]')]
    logos = [image["src"] for image in soup.select(".navbar-brand img")]
    assert sorted(icon.rsplit("/")[-1] for icon in icons) == ["favicon.png", "mark.svg"]
    assert {logo.rsplit("/")[-1] for logo in logos} == {"mark.svg"}


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_one_way_to_search_is_shown(chapter, width):
    resize(chapter, width)
    assert chapter.locator("input[type=search]:visible").count() == 0
    assert chapter.locator(".search-button__button:visible").count() == 1


def test_text_is_set_in_the_typeface_of_the_book(chapter):
    faces = "[...document.fonts].filter(f => f.status == 'loaded').map(f => f.family)"
    assert "Literata" in {face.strip('"') for face in chapter.evaluate(faces)}


def test_lines_of_text_have_a_readable_length(chapter):
    characters = chapter.evaluate("""() => {
      const long = [...document.querySelectorAll("article > section > p")]
        .filter(p => p.textContent.length > 350 && !p.querySelector(".katex"));
      return long.map(p => p.textContent.length * parseFloat(
        getComputedStyle(p).lineHeight) / p.getBoundingClientRect().height);
    }""")
    assert characters and all(60 <= count <= 78 for count in characters)


def test_figures_stand_on_the_ground_of_the_page_in_the_dark(chapter):
    chapter.evaluate("document.documentElement.dataset.theme = 'dark'")
    figure = chapter.locator("figure img").first
    picture = imread(BytesIO(figure.screenshot())) * 255
    for corner in (picture[2, 2], picture[-3, -3]):
        assert max(abs(corner[:3] - GROUND)) <= 1.5


def test_nothing_moves_where_that_is_not_wanted(chapter):
    chapter.emulate_media(reduced_motion="reduce")
    moving = """() => [...document.querySelectorAll("body *")].filter(
      e => getComputedStyle(e).transitionDuration.split(", ").some(t => t != "0s"))
      .length"""
    assert chapter.evaluate(moving) == 0
