"""References show what they point to, and ticks open their checks."""

import pytest
from checks import soup
from conftest import HTML

CHAPTER = "book/advantages.html"
LEDGER = "book/ledger.html"
PREVIEW = "#preview"


def by_keyboard(page, link):
    """Focus a link as the Tab key does."""
    page.keyboard.press("Tab")
    link.focus()
    return page.locator(PREVIEW)


def number_of(label):
    """The number that an equation bears on its page."""
    return (
        soup(HTML / CHAPTER).find(id=f"equation-{label}").select_one(".eqno").text[:-1]
    )


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_a_reference_shows_an_equation_of_its_page(reader, address, how):
    page = reader(f"{address}/{CHAPTER}")
    link = page.locator('article a.internal[href="#equation-eq-biased-by-hand"]').first
    link.hover() if how == "hover" else by_keyboard(page, link)
    shown = page.locator(f"{PREVIEW} .math .katex")
    shown.wait_for()
    assert number_of("eq-biased-by-hand") in page.locator(PREVIEW).inner_text()
    assert link.get_attribute("aria-describedby") == "preview"
    assert page.locator(f"{PREVIEW} [id]").count() == 0


@pytest.mark.parametrize(
    "here, link, words",
    [
        (LEDGER, 'a[href="advantages.html#equation-eq-biased-by-hand"]', "take"),
        (LEDGER, 'a[href="advantages.html#verify-eq-biased-by-hand"]', "two_decisions"),
        (CHAPTER, 'a[href="returns.html#ch-returns"]', "game"),
        (CHAPTER, 'a[href^="references.html#"]', "High-dimensional continuous"),
        (CHAPTER, 'a.api[href$="#pgbook.advantages.gae"]', "Generalized advantage"),
        ("book/api/advantages.html", '.chapters-of a[href$="-gae"]', "trace_t"),
        ("book/notation.html", 'a[href="advantages.html#sym-td-error"]', "δ"),
    ],
)
def test_a_reference_shows_what_is_on_another_page(reader, address, here, link, words):
    page = reader(f"{address}/{here}")
    page.locator(f"article {link}").first.hover()
    page.locator(PREVIEW).wait_for()
    assert words in page.locator(PREVIEW).inner_text()


def test_nothing_is_loaded_before_a_reader_points_at_a_link(reader, served):
    requested = []
    page = reader(f"{served}/book/index.html")
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{served}/{LEDGER}")
    page.wait_for_load_state("networkidle")
    assert not [url for url in requested if "previews" in url]
    page.locator('article a[href*="#verify-"]').first.hover()
    page.locator(PREVIEW).wait_for()
    assert len([url for url in requested if "previews" in url]) == 1


def test_escape_closes_and_the_pointer_may_enter(reader, address):
    page = reader(f"{address}/{CHAPTER}")
    tick = page.locator("a.tick").first
    told = tick.get_attribute("title")
    tick.hover()
    page.locator(f"{PREVIEW} .cell_input").hover()
    page.wait_for_timeout(600)
    assert page.locator(PREVIEW).is_visible() and not tick.get_attribute("title")
    page.keyboard.press("Escape")
    assert page.locator(PREVIEW).count() == 0
    assert tick.get_attribute("title") == told
    assert not tick.get_attribute("aria-describedby")


def test_leaving_closes(reader, address):
    page = reader(f"{address}/{CHAPTER}")
    page.locator("a.tick").first.hover()
    page.locator(PREVIEW).wait_for()
    page.mouse.move(700, 5)
    page.locator(PREVIEW).wait_for(state="detached")


def test_a_tick_shows_and_opens_its_check(reader, address):
    page = reader(f"{address}/{CHAPTER}")
    tick = page.locator("a.tick").first
    label = tick.get_attribute("href").removeprefix("#verify-")
    shown = by_keyboard(page, tick)
    shown.wait_for()
    text = shown.inner_text()
    assert f'"{label}"' in text and "✓" in text and number_of(label) in text
    page.keyboard.press("Enter")
    cell = page.locator(f".cell:has(#verify-{label}), .cell#verify-{label}")
    page.wait_for_url(f"**#verify-{label}")
    assert cell.evaluate("cell => getComputedStyle(cell).outlineStyle") == "solid"
    top = cell.evaluate("cell => cell.getBoundingClientRect().top")
    assert 0 <= top < 900
    assert page.locator(PREVIEW).count() == 0
    back = cell.locator(f'.verified-line a[href="#equation-{label}"]')
    back.click()
    page.wait_for_url(f"**#equation-{label}")


@pytest.mark.parametrize("inside", [".cell details", ".solution.dropdown"])
def test_a_followed_link_opens_what_hides_its_target(reader, address, inside):
    page = reader(f"{address}/{CHAPTER}")
    hidden = page.locator(f"{inside} .cell_input").first
    assert not hidden.is_visible()
    hidden.evaluate("input => { input.closest('.cell').id = 'seeded' }")
    page.evaluate("location.hash = '#seeded'")
    hidden.wait_for(state="visible")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_preview_stays_on_a_narrow_screen(reader, address, theme):
    size = {"width": 360, "height": 640}
    page = reader(f"{address}/{CHAPTER}", viewport=size, color_scheme=theme)
    for link in ("a.tick", 'a[href^="references.html#"]', "a.api"):
        by_keyboard(page, page.locator(f"article {link}").first).wait_for()
        box = page.locator(PREVIEW).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_tap_follows_the_link_at_once(reader, address):
    page = reader(f"{address}/{CHAPTER}", has_touch=True, is_mobile=True)
    page.locator("a.tick").first.tap()
    page.wait_for_url("**#verify-*")
    assert page.locator(PREVIEW).count() == 0


def test_a_preview_is_never_printed(reader, address):
    page = reader(f"{address}/{CHAPTER}")
    by_keyboard(page, page.locator("a.tick").first).wait_for()
    page.emulate_media(media="print")
    assert not page.locator(PREVIEW).is_visible()


ROWS = soup(HTML / "book/notation.html").select("table")[0].select("tbody tr")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.text.strip()[:20])
def test_a_symbol_leads_to_where_it_enters(row):
    *symbols, chapter = row.select("a.internal")
    assert symbols
    home = chapter["href"].split("#")[0]
    for symbol in symbols:
        file, anchor = symbol["href"].split("#")
        assert file == home
        node = soup(HTML / "book" / file).find(id=anchor)
        node = node.find_parent("div", class_="math") or node
        assert core(symbol) in node.text


def core(symbol) -> str:
    """The first sign of a formula, or a name in code."""
    formula = symbol.select_one(".katex-html")
    signs = formula.select(".mord, .mop") if formula else []
    leaves = [s.text for s in signs if not s.select(".mord, .mop") and s.text.strip()]
    return (leaves or [symbol.text])[0]
