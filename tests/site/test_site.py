"""Every page, as a reader's browser sees it: wide and narrow, light and dark."""

import re

import pytest
import yaml
from checks import (
    NARROW,
    THEMES,
    WIDTHS,
    bad_formulas,
    broken_links,
    duplicate_ids,
    faults_of_the_head,
    hyphens_for_minus,
    mute_formulas,
    open_page,
    pictures_without_size,
    pictures_without_words,
    slider_faults,
    soup,
    visit,
)
from conftest import HTML, ROOT, pages
from keyboard import tab_through
from phone import arrive, styled_elements

LIGHT = 300  # kilobytes, compressed, without pictures
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["html"]["baseurl"]
BY_KEYBOARD = ["index", "objective", "advantages", "paths", "api"]


@pytest.fixture(scope="module")
def seen(visitor, page_name):
    """What the browser sees on the page."""
    return visit(visitor, HTML / page_name)


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


def test_no_hyphen_stands_for_a_minus(page_name):
    assert hyphens_for_minus(HTML / page_name) == []


def test_links_and_anchors_land(page_name):
    assert broken_links(HTML / page_name, HTML) == []


def test_ids_are_unique(page_name):
    assert duplicate_ids(HTML / page_name) == []


def test_images_have_text_alternatives(page_name):
    assert pictures_without_words(HTML / page_name) == []


def test_pictures_wait_and_keep_their_place(page_name):
    assert pictures_without_size(HTML / page_name) == []


def test_formulas_can_be_read_aloud(page_name):
    assert mute_formulas(HTML / page_name) == []


def test_machines_can_tell_what_the_page_is(page_name):
    assert faults_of_the_head(HTML / page_name, ADDRESS) == []


def test_the_page_is_light(seen):
    assert seen.weight <= LIGHT


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(seen, width):
    assert seen.overflow[width] <= 0


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_accessibility_violation(seen, width, theme):
    assert seen.violations[width, theme] == []


def test_sliders_follow_the_keyboard(browser, page_name):
    path = HTML / page_name
    assert not soup(path).select(".slider") or slider_faults(browser, path) == []


def test_the_cheat_sheet_prints_on_one_sheet(browser):
    page = open_page(browser, HTML / "book" / "cheat_sheet.html")
    sheet = page.pdf(format="A4", margin=dict.fromkeys(("top", "bottom"), "10mm"))
    assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
    page.close()


def test_seven_chapters_have_sliders():
    marked = 'class="slider"'
    with_slider = [p for p in pages() if marked in (HTML / p).read_text("utf8")]
    assert len(with_slider) >= 7


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "place",
    [
        "returns.html#exercises",
        "ppo.html#summary",
        "reinforce.html#equation-eq-adam-scale",
        "natural_gradient.html#fig-kl-balls",
    ],
)
def test_a_link_into_a_chapter_lands_where_it_leads(browser, place, width):
    page = browser.new_page(viewport={"width": width, "height": 740})
    page.goto((HTML / "book").as_uri() + f"/{place}")
    page.wait_for_timeout(500)
    there = page.locator(f"#{place.partition('#')[2]}")
    assert 0 <= there.evaluate("it => it.getBoundingClientRect().top") <= 200
    page.close()


@pytest.mark.parametrize("name", ["gaussian_policies", "baselines", "advantages"])
def test_nothing_moves_while_a_page_arrives(browser, served, name):
    assert arrive(browser, f"{served}/book/{name}.html").shift < 0.05


@pytest.mark.parametrize("name", ["actor_critic", "off_policy"])
def test_what_lies_below_the_screen_waits(browser, served, name):
    page = browser.new_page(viewport={"width": NARROW, "height": 740})
    styled = styled_elements(browser, page, f"{served}/book/{name}.html")
    assert styled < page.locator("*").count() / 2
    page.close()


def test_a_screen_reader_hears_of_every_section_soon(reader, served):
    page = reader(f"{served}/book/off_policy.html")
    tree = page.context.new_cdp_session(page)

    def headings():
        nodes = tree.send("Accessibility.getFullAXTree")["nodes"]
        roles = [n["role"]["value"] for n in nodes if not n["ignored"]]
        return roles.count("heading")

    page.wait_for_timeout(8_000)
    heard = headings()
    page.goto(f"{served}/book/off_policy.html#summary")
    assert heard == headings() > page.locator("h2").count()


@pytest.mark.parametrize("width", WIDTHS)
def test_who_comes_back_finds_her_place(browser, served, width):
    page = browser.new_page(viewport={"width": width, "height": 740})
    page.goto(f"{served}/book/baselines.html")
    for _ in range(8):
        page.evaluate("scrollBy({ top: 900, behavior: 'instant' })")
        page.wait_for_timeout(100)
    (left,) = places = {page.evaluate(PLACE)}
    page.reload()
    page.wait_for_function("scrollY > 0")
    places.add(page.evaluate(PLACE))
    page.goto(f"{served}/book/ppo.html")
    page.go_back()
    page.wait_for_function("scrollY > 0")
    places.add(page.evaluate(PLACE))
    assert left and places == {left}
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["entropy", "off_policy"])
def test_no_line_begins_with_the_mark_behind_a_formula(browser, name, width):
    page = open_page(browser, HTML / "book" / f"{name}.html")
    page.set_viewport_size({"width": width, "height": 740})
    assert page.evaluate(TORN_OFF) == []
    page.close()


def test_a_formula_wider_than_the_screen_scrolls_by_keyboard(reader, served):
    page = reader(f"{served}/book/policy_gradient_theorem.html#x")
    page.set_viewport_size({"width": NARROW, "height": 740})
    wide = page.locator("#equation-not-states-frozen")
    wide.scroll_into_view_if_needed()
    page.wait_for_function("it => it.tabIndex === 0", arg=wide.element_handle())
    wide.press("ArrowRight")
    page.wait_for_function("it => it.scrollLeft > 0", arg=wide.element_handle())


def test_the_contents_of_a_page_mark_what_is_read(reader, served):
    page = reader(f"{served}/book/returns.html#exercises")
    marked = page.locator(".page-toc .active")
    marked.first.wait_for()
    assert marked.evaluate_all("them => them.map(a => a.hash)") == ["#exercises"]


def test_the_folder_of_the_book_opens_its_cover(reader, served):
    page = reader(f"{served}/index.html")
    page.wait_for_url(f"{served}/book/index.html")


@pytest.mark.parametrize("name", BY_KEYBOARD)
def test_the_keyboard_reaches_everything_once_and_is_seen(browser, name):
    page = open_page(browser, HTML / "book" / f"{name}.html")
    assert tab_through(page) == []
    page.close()


def test_the_search_opens_and_closes_by_keyboard(browser):
    page = open_page(browser, HTML / "book" / "index.html")
    page.keyboard.press("Control+k")
    dialog = page.locator("#pst-search-dialog")
    assert dialog.evaluate(
        "dialog => dialog.open && dialog.contains(document.activeElement)"
    )
    page.keyboard.press("Escape")
    assert not dialog.evaluate("dialog => dialog.open")
    page.close()


def test_the_theme_follows_the_keyboard(browser):
    page = open_page(browser, HTML / "book" / "index.html")
    themes = []
    for _ in range(3):
        page.locator(".theme-switch-button:visible").press("Enter")
        themes.append(page.evaluate("document.documentElement.dataset.mode"))
    assert sorted(themes) == ["auto", "dark", "light"]
    page.close()


def test_a_solution_opens_by_keyboard_and_on_paper(browser):
    page = open_page(browser, HTML / "book" / "objective.html")
    box = page.locator("details.solution").first
    box.locator("summary").press("Enter")
    assert box.evaluate("box => box.open")
    box.locator("summary").press("Enter")
    assert not box.evaluate("box => box.open")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not box.evaluate("box => box.open")
    page.close()


def test_nothing_moves_for_those_who_asked_for_rest(browser):
    page = browser.new_page(reduced_motion="reduce")
    page.goto((HTML / "book" / "advantages.html").as_uri())
    assert page.evaluate(MOVING) == []
    page.close()


PLACE = """() => {
  const pieces = [...document.querySelectorAll("article p, article pre")];
  return pieces.find(p => p.getBoundingClientRect().top > 100).textContent;
}"""
TORN_OFF = """() => [...document.querySelectorAll("span.math")].filter(formula => {
  const mark = formula.nextSibling, end = [...formula.querySelectorAll(".base")].pop();
  if (mark?.nodeType !== 3 || !/^[^\\s\\w]/.test(mark.data)) return false;
  const range = document.createRange();
  range.setStart(mark, 0);
  range.setEnd(mark, 1);
  return range.getBoundingClientRect().left < end.getBoundingClientRect().left;
}).map(formula => formula.parentElement.textContent.slice(0, 80))"""
MOVING = """() => [...document.querySelectorAll("*")].filter(element => {
  const style = getComputedStyle(element);
  return style.scrollBehavior === "smooth" || parseFloat(style.transitionDuration) > 0
    || style.animationName !== "none";
}).map(element => element.outerHTML.slice(0, 80))"""
