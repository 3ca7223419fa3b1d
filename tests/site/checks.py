"""What can be wrong with a built page; each function returns what it found."""

import gzip
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

from bs4 import BeautifulSoup

from pgbook.reporting import with_minus

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = {".svg", ".png", ".gif", ".jpg"}
WIDTHS = WIDE, NARROW = 1400, 360
THEMES = "light", "dark"
CONTRAST, SCROLL = "color-contrast", "scrollable-region-focusable"
STILL = """*, *::before, *::after { transition: none !important }
section { content-visibility: visible !important }"""
ASK = """() => { window.answered = new Promise(done => requestAnimationFrame(
  () => setTimeout(done, 400)  // scripts answer a new width, or a changed page, in 300
)) }"""
ANSWERED = "() => window.answered"
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"
SET_THEME = "theme => { document.documentElement.dataset.theme = theme }"
VIOLATIONS = """async ({ sample, around, ...options }) => {
  const checks = { "color-contrast": { options: { ignoreLength: true } } };  // letters
  const frame = around ? { exclude: ["article"] } : document;
  const where = sample ? { include: sampled() } : frame;
  const { violations } = await axe.run(where, { ...options, checks, preload: false });
  return violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`));
}"""

# Most of a page looks like the rest of it. Of the elements with text that look the same
# (color, size, weight, what lies behind, where they belong), contrast needs three.
LOOKS = """
const written = element =>
  [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
const looks = elements => {
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
  return elements.map(element => {
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const shown = element.checkVisibility({ visibilityProperty: true })
      && !element.closest(".katex-mathml");
    const letter = element.textContent.trim().length === 1;
    return [color, fontSize, fontWeight, shown, letter, ground(element)].join();
  });
};
const threeOfEach = (elements, looks) => {
  const counts = {};
  return elements.filter((_, i) => {
    counts[looks[i]] = (counts[looks[i]] ?? 0) + 1;
    return counts[looks[i]] <= 3;
  });
};
const place = element => {
  const box = element.closest(".katex, pre") ?? element, around = box.parentElement;
  return [box.tagName, box.className, around.tagName, around.className].join();
};
const sampled = () => {
  const elements = [...document.body.querySelectorAll("*")].filter(written);
  const places = looks(elements).map((look, i) => look + place(elements[i]));
  return threeOfEach(elements, places);
};
"""

# Nine in ten elements are pieces of formulas and of highlighted code: taken out, but
# three of those that look the same in each theme.
THIN = """themes => {
  const pieces = [...document.querySelectorAll(
    ".katex-html, .katex-html *, .katex-mathml *, .highlight span, .sig span, code span"
  )];
  const texts = pieces.filter(written);
  const [first, second] = themes.map(theme => {
    document.documentElement.dataset.theme = theme;
    return looks(texts);
  });
  document.documentElement.dataset.theme = themes[0];
  const kept = new Set();
  for (const piece of threeOfEach(texts, first.map((look, i) => look + second[i]))) {
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
    weight: float  # kilobytes that the page fetches, without pictures
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


def hyphens_for_minus(path: Path) -> list[str]:
    """Numbers in the text whose sign is a hyphen, which is short and not read aloud."""
    verbatim = ["pre", "code", "annotation", "script", "style", "dt"]
    texts = soup(path).body.find_all(string=lacks_minus)
    images = soup(path).find_all("img", alt=lacks_minus)
    written = [text for text in texts if not text.find_parents(verbatim)]
    return written + [image["alt"] for image in images]


def lacks_minus(text: str | None) -> bool:
    """Whether a number in a text has a hyphen for its sign."""
    return bool(text) and with_minus(text) != text


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


def pictures_without_size(path: Path) -> list[str]:
    """Pictures that are fetched before they are seen, or that move what follows."""
    images = soup(path).select("article img")
    needed = "width", "height", "loading"
    return [i["src"][:80] for i in images if not all(i.get(n) for n in needed)]


def mute_formulas(path: Path) -> list[str]:
    """Formulas that a screen reader does not get, or gets twice, and lost numbers."""
    page, columns = soup(path), set(soup(path).select("th[aria-label] .katex"))
    mute = [
        formula.text[:80]
        for formula in page.select(".katex")
        if not formula.select_one(".katex-mathml > math annotation")
        or (formula not in columns and not formula.select_one("[aria-hidden=true]"))
    ]
    displays = page.select("div.math[id]")
    return mute + [d["id"] for d in displays if not d.select_one(".eqno")]


def faults_of_the_head(path: Path, address: str) -> list[str]:
    """What machines read of a page: one title, one description, a card, a language."""
    page = soup(path)
    said = {
        tag.get("name") or tag.get("property"): tag["content"]
        for tag in page.select("meta[name], meta[property]")
    }
    needed = "description", "og:title", "og:description", "og:image", "twitter:card"
    faults = [f"no {name}" for name in needed if not said.get(name)]
    if not 30 <= len(said.get("description", "")) <= 200:
        faults.append(f"length of the description: {said.get('description')!r}")
    texts = [page.title.text, *(said.get(name, "") for name in needed[:3])]
    faults += [f"raw: {text}" for text in texts if re.search(r"[\\${}<>`*]|\n", text)]
    if page.html.get("lang") != "en":
        faults.append("no language")
    if len(page.select("title, meta[name=description]")) != 2:
        faults.append("more than one title or description")
    addresses = bool(page.select("link[rel=canonical]")), "og:url" in said
    return faults + (["a wrong address"] if addresses != (bool(address),) * 2 else [])


def weight(requested: list[str]) -> float:
    """Kilobytes of a page and what it fetched, compressed, without its pictures."""
    files = {
        Path(unquote(urlparse(url).path)) for url in requested if "data:" != url[:5]
    }
    return sum(compressed(file) for file in files if file.suffix not in PICTURES) / 1000


@cache
def compressed(file: Path) -> int:
    """Bytes of a file on its way through the network."""
    content = file.read_bytes()
    return len(content if file.suffix == ".woff2" else gzip.compress(content, 6))


def new_page(browser):
    """A page that keeps its errors, and what it asked for."""
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
    page.on("requestfailed", lambda request: page.errors.extend(failure(request)))
    page.on("request", lambda request: page.requested.append(request.url))
    return page


def open_page(browser, path: Path):
    """Open a page of its own."""
    page = new_page(browser)
    show(page, path)
    return page


def show(page, path: Path) -> None:
    """Go to a page, and still what moves."""
    page.goto(path.as_uri(), wait_until="load")
    page.add_style_tag(content=STILL)  # a color in transition is not that of the theme


def failure(request) -> list[str]:
    """What failed; that a moved slider needs its picture no more is no fault."""
    aborted = request.failure == "net::ERR_ABORTED"
    return [] if aborted else [request.url]


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


def new_visitor(browser):
    """A page that visits one after the other, with what measures them."""
    page = new_page(browser)
    page.add_init_script(path=AXE)
    return page


def visit(page, path: Path) -> Visit:
    """Look at a page once: narrow and wide, with its repeated pieces taken out.

    What scrolls is looked for before that, since a formula without its pieces does not.
    Of the dark page contrast alone is measured, since a theme changes only colors; of
    the wide one contrast and what stands around the article, which else stays the same.
    """
    page.errors.clear()
    page.requested.clear()
    page.set_viewport_size({"width": WIDE, "height": 1000})
    show(page, path)
    page.add_script_tag(content=LOOKS)
    overflow = {WIDE: page.evaluate(OVERFLOW)}
    resize(page, NARROW)
    overflow[NARROW] = page.evaluate(OVERFLOW)
    scrolling = page.evaluate(VIOLATIONS, {"runOnly": [SCROLL]})
    page.evaluate(THIN, THEMES)
    found = contrast_violations(page, NARROW)
    found[NARROW, "light"] += scrolling + page.evaluate(VIOLATIONS, without(SCROLL))
    ask(page, WIDE)
    found |= contrast_violations(page, WIDE)
    page.evaluate(ANSWERED)
    found[WIDE, "light"] += page.evaluate(VIOLATIONS, without() | {"around": True})
    ours = ("file:", "data:", "blob:")
    strangers = [url for url in page.requested if not url.startswith(ours)]
    load = weight(page.requested)
    return Visit([*page.errors], load, strangers, overflow, found)


def contrast_violations(page, width: int) -> dict[tuple[int, str], list[str]]:
    """What axe says of the contrast in each theme; the page is light afterwards."""
    found = {}
    for theme in reversed(THEMES):
        page.evaluate(SET_THEME, theme)
        contrast = {"runOnly": [CONTRAST], "sample": True}
        found[width, theme] = page.evaluate(VIOLATIONS, contrast)
    return found


def without(*rules: str) -> dict:
    """The options of axe for all rules but these, which are measured by themselves."""
    return {"rules": dict.fromkeys((CONTRAST, *rules), {"enabled": False})}


def resize(page, width: int) -> None:
    """Give the page another width, and its scripts the time to follow."""
    ask(page, width)
    page.evaluate(ANSWERED)


def ask(page, width: int) -> None:
    """Give the page another width; its scripts are about to follow."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.evaluate(ASK)
