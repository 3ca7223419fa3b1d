"""The built map, paths, glossary and index lead where they say."""

import outline
import pytest
from checks import WIDTHS, open_page, resize, soup
from conftest import HTML

BOOK = HTML / "book"
DOTS_AND_ENDS = """() => {
  const map = document.querySelector(".chapter-map");
  const middle = box => [box.x + box.width / 2, box.y + box.height / 2];
  const dots = Object.fromEntries([...map.querySelectorAll(".dot")].map(
    dot => [dot.dataset.chapter, middle(dot.getBoundingClientRect())]));
  return [...map.querySelectorAll("path")].map(path => {
    const end = path.getPointAtLength(path.getTotalLength());
    const {x, y} = end.matrixTransform(path.getScreenCTM());
    const [across, down] = dots[path.dataset.chapter];
    return Math.max(Math.abs(x - across), Math.abs(y - down));
  });
}"""
LIT = """() => [...document.querySelectorAll(".chapters > li:not(.aside) .dot")].map(
  dot => dot.dataset.chapter)"""


@pytest.fixture
def chapter_map(browser):
    page = open_page(browser, BOOK / "map.html")
    yield page
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_lines_of_the_map_end_at_their_chapters(chapter_map, width):
    resize(chapter_map, width)
    off = chapter_map.evaluate(DOTS_AND_ENDS)
    assert len(off) >= len(outline.chapters()) - 1
    assert max(off) < 2


def test_a_row_in_focus_lights_what_its_chapter_rests_on(chapter_map):
    for stem in ("ppo", "entropy"):
        chapter_map.locator(f'.chapters p:first-of-type a[href^="{stem}."]').focus()
        assert set(chapter_map.evaluate(LIT)) == {stem, *outline.rests_on(stem)}
    chapter_map.evaluate("() => document.activeElement.blur()")
    assert chapter_map.evaluate(LIT) == outline.pages()


def test_rows_of_the_map_are_links():
    rows = soup(BOOK / "map.html").select(".chapters > li")
    for row, stem in zip(rows, outline.pages(), strict=True):
        links = [a["href"].split("#")[0] for a in row.select("a")]
        assert links[0] == f"{stem}.html"
        assert set(links[1:]) == {f"{other}.html" for other in outline.needs(stem)}


def test_minutes_of_a_path_add_up():
    tables = soup(BOOK / "paths.html").select("table.path")
    assert len(tables) == 13
    for table in tables:
        *minutes, total = (int(r("td")[-1].text) for r in table.select("tbody tr"))
        assert sum(minutes) == total


def test_arrows_of_the_glossary_lead_to_words_in_bold():
    arrows = soup(BOOK / "glossary.html").select(".defined-in a")
    assert len(arrows) >= 100
    for arrow in arrows:
        page, anchor = arrow["href"].split("#")
        assert soup(BOOK / page).find(id=anchor).name == "strong"


@pytest.mark.parametrize(
    "entry, page",
    [
        ("baseline", "book/baselines.html"),
        ("Williams, Ronald J.", "book/reinforce.html"),
        ("CartPole", "book/ppo.html"),
        ("underflow", "book/trajectory_probability.html"),
        ("theorem", "book/trust_region.html"),
        ("algorithm", "book/ppo.html"),
        ("gae() (in module pgbook.advantages)", "book/api/advantages.html"),
    ],
)
def test_the_index_has_entries_of_every_kind(entry, page):
    entries = soup(HTML / "genindex.html").select(".indextable > tr > td > ul > li")
    (found,) = (item for item in entries if next(item.stripped_strings) == entry)
    assert [a for a in found.select("a") if a["href"].startswith(page)]
