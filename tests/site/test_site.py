"""Every page, as a reader's browser sees it: wide and narrow, light and dark."""

import re
from functools import cache
from urllib.parse import unquote, urldefrag

import pytest
from bs4 import BeautifulSoup
from conftest import HTML, ROOT, pages

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
DARK = "() => { document.documentElement.dataset.theme = 'dark' }"
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"
VIOLATIONS = """async () => {
  const { violations } = await axe.run();
  return violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`));
}"""


@cache
def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / page).read_text("utf8"), "html.parser")


@pytest.fixture(scope="module")
def opened(browser, page_name):
    """The page in the browser, and what its loading gave rise to."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.errors, page.requested = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on(
        "console",
        lambda m: (
            page.errors.append(m.text) if m.type in ("error", "warning") else None
        ),
    )
    page.on("requestfailed", lambda request: page.errors.append(request.url))
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto((HTML / page_name).as_uri(), wait_until="load")
    page.add_script_tag(path=AXE)
    yield page
    context.close()


def test_the_book_has_its_pages():
    chapters = {path.stem for path in (ROOT / "book").glob("[!_]*.md")}
    built = {page.removeprefix("book/").removesuffix(".html") for page in pages()}
    assert chapters <= built


def test_scripts_run_without_error(opened, page_name):
    assert opened.errors == []


def test_no_request_leaves_the_machine(opened, page_name):
    assert [u for u in opened.requested if not u.startswith(("file:", "data:"))] == []


def test_formulas_are_rendered(page_name):
    page = soup(page_name)
    for formula in page.select(".math"):
        assert formula.select_one(".katex"), f"not rendered: {formula.text[:80]}"
    red = page.select('[style*="#cc0000"], .katex-error')
    assert [element.text for element in red] == []
    text = " ".join(
        string
        for string in page.select_one("article").strings
        if not string.find_parents(["pre", "code", "annotation"])
    )
    assert re.findall(r"\$[^$\n]+\$|\\\(|\\\[", text) == []


def test_links_and_anchors_land(page_name):
    broken = []
    for link in soup(page_name).select("a[href], img[src], link[href], script[src]"):
        url = link.get("href") or link.get("src")
        if re.match(r"[a-z]+:", url) or url == "#":
            continue
        path, anchor = urldefrag(url.split("?")[0] if "#" not in url else url)
        target = ((HTML / page_name).parent / unquote(path or "")).resolve()
        target = (HTML / page_name).resolve() if not path else target
        if not target.exists():
            broken.append(url)
        elif anchor and target.suffix == ".html":
            other = soup(str(target.relative_to(HTML.resolve())))
            if not other.find(id=unquote(anchor)):
                broken.append(url)
    assert broken == []


def test_ids_are_unique(page_name):
    ids = [element["id"] for element in soup(page_name).select("[id]")]
    assert sorted({i for i in ids if ids.count(i) > 1}) == []


def test_images_have_text_alternatives(page_name):
    images = soup(page_name).select("article img")
    assert [image["src"] for image in images if len(image.get("alt", "")) < 20] == []


@pytest.mark.parametrize("width", [1400, 360])
def test_nothing_is_wider_than_the_screen(opened, page_name, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate(OVERFLOW) <= 0


@pytest.mark.parametrize(
    "width, theme", [(1400, "light"), (360, "light"), (1400, "dark")]
)
def test_no_accessibility_violation(opened, page_name, width, theme):
    opened.set_viewport_size({"width": width, "height": 1000})
    opened.wait_for_timeout(600)  # scripts react to a new width with a delay
    opened.evaluate(DARK.replace("dark'", f"{theme}'"))
    assert opened.evaluate(VIOLATIONS) == []
