"""What can be wrong with a built page; each function returns what it found."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"
CONTRAST = "color-contrast"  # the slow rule
VIOLATIONS = """async options => {
  const { violations } = await axe.run(options);
  return violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`));
}"""


@cache
def soup(path: Path) -> BeautifulSoup:
    """The page, parsed."""
    return BeautifulSoup(path.read_text("utf8"), "html.parser")


def bad_formulas(path: Path) -> list[str]:
    """Formulas that are not rendered, or rendered as an error, and stray dollars."""
    page = soup(path)
    raw = [f for f in page.select(".math") if not f.select_one(".katex")]
    red = page.select('[style*="#cc0000"], .katex-error')
    text = " ".join(
        string
        for string in (page.select_one("article") or page.body).strings
        if not string.find_parents(["pre", "code", "annotation"])
    )
    stray = re.findall(r"\$[^$\n]+\$|\\\(|\\\[", text)
    return [element.text[:80] for element in raw + red] + stray


def broken_links(path: Path, root: Path) -> list[str]:
    """Links, pictures, scripts and anchors that are not there."""
    broken = []
    for link in soup(path).select("a[href], img[src], link[href], script[src]"):
        url = link.get("href") or link.get("src")
        if re.match(r"[a-z]+:", url) or url == "#":
            continue
        file, anchor = urldefrag(url)
        file = unquote(file.split("?")[0])
        target = (path.parent / file).resolve() if file else path.resolve()
        lands = target.is_file() and target.is_relative_to(root.resolve())
        if lands and anchor and target.suffix == ".html":
            lands = soup(target).find(id=unquote(anchor)) is not None
        if not lands:
            broken.append(url)
    return broken


def duplicate_ids(path: Path) -> list[str]:
    """Ids that stand more than once on the page."""
    ids = [element["id"] for element in soup(path).select("[id]")]
    return sorted({i for i in ids if ids.count(i) > 1})


def pictures_without_words(path: Path) -> list[str]:
    """Pictures whose text alternative says nothing."""
    images = soup(path).select("article img")
    return [image["src"][:80] for image in images if len(image.get("alt", "")) < 20]


def open_page(browser, path: Path):
    """Open a page, and record its errors and what it asks for."""
    page = browser.new_page(
        viewport={"width": 1400, "height": 1000}, reduced_motion="reduce"
    )
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
    page.goto(path.as_uri(), wait_until="load")
    page.add_script_tag(path=AXE)
    return page


def requests_to_others(page) -> list[str]:
    """Requests that leave the machine."""
    return [u for u in page.requested if not u.startswith(("file:", "data:", "blob:"))]


def overflow(page, width: int) -> int:
    """By how many pixels the page is wider than the screen."""
    page.set_viewport_size({"width": width, "height": 800})
    return page.evaluate(OVERFLOW)


def violations(page, width: int, theme: str) -> list[str]:
    """What axe finds at a width in a theme.

    Contrast is looked at in the wide page only, since a width changes no color; of
    the dark page nothing else is, since a theme changes only colors.
    """
    options = {"runOnly": [CONTRAST]} if theme == "dark" else {}
    if width < 1000:
        options = {"rules": {CONTRAST: {"enabled": False}}}
    page.set_viewport_size({"width": width, "height": 1000})
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    page.wait_for_timeout(600)  # scripts and colors follow with a delay
    return page.evaluate(VIOLATIONS, options)
