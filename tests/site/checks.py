"""What can be wrong with a built page; each function returns what it found."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = WIDE, NARROW = 1400, 360
THEMES = "light", "dark"
CONTRAST, SCROLL = "color-contrast", "scrollable-region-focusable"
SETTLED = 600  # ms: scripts answer a new width, or a changed page, 300 ms later
STILL = "*, *::before, *::after { transition: none !important }"
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"
SET_THEME = "theme => { document.documentElement.dataset.theme = theme }"
VIOLATIONS = """async options => {
  const checks = { "color-contrast": { options: { ignoreLength: true } } };  // letters
  const { violations } = await axe.run({ ...options, checks, preload: false });
  return violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`));
}"""

# Nine in ten elements are pieces of formulas and of highlighted code. Of those that
# look the same in each theme (color, size, weight, what lies behind), axe needs three.
THIN = """themes => {
  const pieces = [...document.querySelectorAll(
    ".katex-html, .katex-html *, .katex-mathml *, .highlight span, .sig span, code span"
  )];
  const written = pieces.filter(piece =>
    [...piece.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const looks = new Map(written.map(piece => [piece, ""]));
  for (const theme of themes) {
    document.documentElement.dataset.theme = theme;
    const grounds = new Map([[null, ""]]);
    const ground = element => {
      if (!grounds.has(element)) {
        const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
        const own = `${backgroundColor} ${backgroundImage} ${opacity}`;
        const behind = ground(element.parentElement);
        const clear = own === "rgba(0, 0, 0, 0) none 1";
        grounds.set(element, clear ? behind : `${behind}/${own}`);
      }
      return grounds.get(element);
    };
    for (const piece of written) {
      const { color, fontSize, fontWeight } = getComputedStyle(piece);
      const shown = piece.checkVisibility({ visibilityProperty: true })
        && !piece.closest(".katex-mathml");
      const letter = piece.textContent.trim().length === 1;
      const look = [color, fontSize, fontWeight, shown, letter, ground(piece)];
      looks.set(piece, looks.get(piece) + look);
    }
  }
  document.documentElement.dataset.theme = themes[0];
  const counts = {}, kept = new Set();
  for (const [piece, look] of looks) {
    counts[look] = (counts[look] ?? 0) + 1;
    if (counts[look] > 3) continue;
    for (let node = piece; node; node = node.parentElement) kept.add(node);
  }
  for (const piece of pieces) {
    if (kept.has(piece) || !piece.isConnected) continue;
    if (piece.id || piece.querySelector("[id], a, button, input")) continue;
    const text = piece.textContent;
    piece.replaceWith(piece.closest(".katex-html") ? text.slice(0, 2) : text);
  }
}"""


@dataclass
class Visit:
    """What a browser sees on a page."""

    errors: list[str]
    strangers: list[str]  # requests that leave the machine
    overflow: dict[int, int]  # by how many pixels the page is wider than the screen
    violations: dict[tuple[int, str], list[str]]  # what axe finds


@cache
def soup(path: Path) -> BeautifulSoup:
    """The page, parsed."""
    return BeautifulSoup(path.read_text("utf8"), "html.parser")


@cache
def ids(path: Path) -> list[str]:
    """The ids of a page, read without parsing it."""
    return re.findall(r'<[^<>]*\sid="([^"]*)"', path.read_text("utf8"))


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
            lands = unquote(anchor) in ids(target)
        if not lands:
            broken.append(url)
    return broken


def duplicate_ids(path: Path) -> list[str]:
    """Ids that stand more than once on the page."""
    return sorted(i for i, times in Counter(ids(path)).items() if times > 1)


def pictures_without_words(path: Path) -> list[str]:
    """Pictures whose text alternative says nothing."""
    images = soup(path).select("article img")
    return [image["src"][:80] for image in images if len(image.get("alt", "")) < 20]


def open_page(browser, path: Path):
    """Open a page, and record its errors and what it asks for."""
    page = browser.new_page(
        viewport={"width": WIDE, "height": 1000}, reduced_motion="reduce"
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
    page.add_style_tag(content=STILL)  # a color in transition is not that of the theme
    page.add_script_tag(path=AXE)
    return page


def slider_faults(browser, path: Path) -> list[str]:
    """What the sliders of a page do not do: moved, printed, and without scripts."""
    page = open_page(browser, path)
    page.set_viewport_size({"width": NARROW, "height": 1000})
    sliders = page.locator(".slider").all()
    faults = [fault for slider in sliders for fault in faults_when_moved(slider)]
    page.emulate_media(media="print")
    faults += ["printed" for slider in sliders if slider.locator("input").is_visible()]
    faults += page.errors
    page.close()
    still = browser.new_page(java_script_enabled=False)
    still.goto(path.as_uri())
    faults += ["without scripts: a control"] * still.locator(".slider input").count()
    for image in still.locator(".slider img").all():
        if not image.evaluate("image => image.alt && image.naturalWidth"):
            faults.append("without scripts: no picture")
    still.close()
    return faults


def faults_when_moved(slider) -> list[str]:
    """What a slider does not do when it is moved with the keyboard and the mouse."""
    knob, image = slider.locator("input"), slider.locator("img")

    def shown():
        return {
            "value": knob.get_attribute("aria-valuetext"),
            "label": slider.locator("b").inner_text(),
            "alternative": image.get_attribute("alt"),
            "picture": image.get_attribute("src"),
        }

    def after(key):
        knob.press(key)
        return shown()

    knob.focus()
    frames = [after("Home")]
    frames += [after("ArrowRight") for _ in range(int(knob.get_attribute("max")))]
    first, last = frames[0], frames[-1]
    expected = {"End": last, "ArrowRight": last, "ArrowLeft": frames[-2], "Home": first}
    faults = [key for key, frame in expected.items() if after(key) != frame]
    faults += ["PageUp"] * (after("PageUp") == first)
    faults += ["mouse"] * (after("Home") == (knob.click(), shown())[1])
    for part in first:
        if len({frame[part] for frame in frames}) < len(frames):
            faults.append(f"{part}: the same for two values")
    if min(len(frame["alternative"]) for frame in frames) < 40:
        faults.append("alternative: too short")
    if not image.evaluate("image => image.decode().then(() => image.naturalWidth)"):
        faults.append("picture: none")
    look = knob.evaluate("knob => getComputedStyle(knob).outlineStyle")
    box, width = knob.bounding_box(), image.bounding_box()["width"]
    faults += ["focus: not seen"] * (look == "none")
    faults += ["target: small"] * (box["height"] < 24)
    faults += ["wide"] * (max(box["x"] + box["width"], width) > NARROW)
    return faults


def visit(browser, path: Path) -> Visit:
    """Look at a page once: wide, narrow, and with its repeated pieces taken out.

    What scrolls is looked for before that, since a formula without its pieces does not.
    Contrast is measured in the wide page only, since a width changes no color; of the
    dark page nothing else is, since a theme changes only colors.
    """
    page = open_page(browser, path)
    overflow, found = {WIDE: page.evaluate(OVERFLOW)}, {}
    resize(page, NARROW)
    overflow[NARROW] = page.evaluate(OVERFLOW)
    scrolling = page.evaluate(VIOLATIONS, {"runOnly": [SCROLL]})
    page.evaluate(THIN, THEMES)
    options = {"rules": {CONTRAST: {"enabled": False}, SCROLL: {"enabled": False}}}
    found[NARROW, "light"] = scrolling + page.evaluate(VIOLATIONS, options)
    resize(page, WIDE)
    found[WIDE, "light"] = page.evaluate(VIOLATIONS, {})
    page.evaluate(SET_THEME, "dark")
    found[WIDE, "dark"] = page.evaluate(VIOLATIONS, {"runOnly": [CONTRAST]})
    ours = ("file:", "data:", "blob:")
    strangers = [url for url in page.requested if not url.startswith(ours)]
    page.close()
    return Visit(page.errors, strangers, overflow, found)


def resize(page, width: int) -> None:
    """Give the page another width, and its scripts the time to follow."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.wait_for_timeout(SETTLED)
