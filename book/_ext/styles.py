"""One stylesheet for all pages, with the rules and the glyphs that they use."""

import logging
import re
from base64 import b64encode
from io import BytesIO
from os.path import relpath
from pathlib import Path

import tinycss2
from fontTools import subset

logging.getLogger("fontTools").setLevel(logging.WARNING)  # of each table a line

ADDRESS = re.compile(r"""url\(["']?(?!data:|#)([^"')?#]+)[^)]*\)""")
NAME = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
ICON = re.compile("[\ue000-\uf8ff]")  # fonts of icons use codes without a meaning
# Seen on the first screen of a chapter, so they stand in the stylesheet itself.
EMBEDDED = {
    "KaTeX_Main-Regular": "1em KaTeX_Main",
    "KaTeX_Math-Italic": "italic 1em KaTeX_Math",
    "Literata-Regular": "1em Literata",
    "Literata-SemiBold": "600 1em Literata",
    "fa-solid-900": "900 1em 'Font Awesome 6 Free'",
}


def gather(sheets: list[Path], words: set[str], letters: set[str]) -> str:
    """The rules of some stylesheets whose classes and ids are among the words.

    Fonts are cut in place to the letters, and fonts of icons to those that are left.
    """
    folder = sheets[0].parents[1]
    rules = [rule for sheet in sheets for rule in parse(sheet, folder)]
    used = [text for rule in rules if (text := keep(rule, words))]
    icons = set(ICON.findall("".join(used)))
    faces = [
        face(
            rule,
            folder,
            icons if "Awesome" in tinycss2.serialize(rule.content) else letters,
        )
        for rule in rules
        if rule.type == "at-rule" and rule.at_keyword == "font-face"
    ]
    return "\n".join(['@charset "utf-8";', *filter(None, faces + used)])


def parse(sheet: Path, folder: Path) -> list:
    """The rules of a stylesheet, with addresses as seen from the folder."""

    def seen_from_folder(match):
        return f"url({relpath(sheet.parent / match[1], folder)})"

    text = ADDRESS.sub(seen_from_folder, sheet.read_text("utf8"))
    rules = []
    for rule in tinycss2.parse_stylesheet(
        text, skip_comments=True, skip_whitespace=True
    ):
        if rule.type == "at-rule" and rule.at_keyword == "import":
            (imported,) = (t.value for t in rule.prelude if t.type in ("string", "url"))
            rules += parse(sheet.parent / imported, folder)
        else:
            rules.append(rule)
    return rules


def keep(rule, words: set[str]) -> str:
    """The text of a rule, with those of its selectors that can match; or nothing."""
    if rule.type == "qualified-rule":
        selectors = [s for s in split(rule.prelude) if names(s) <= words]
        head = ",".join(tinycss2.serialize(s).strip() for s in selectors)
        return f"{head}{{{compact(rule.content)}}}" if head else ""
    head = f"@{rule.at_keyword}{compact(rule.prelude)}"
    if rule.at_keyword in ("media", "supports"):
        inner = tinycss2.parse_rule_list(
            rule.content, skip_comments=True, skip_whitespace=True
        )
        body = "".join(keep(one, words) for one in inner)
        return f"{head}{{{body}}}" if body else ""
    if rule.at_keyword in ("font-face", "charset"):
        return ""
    return f"{head}{{{compact(rule.content)}}}" if rule.content else f"{head};"


def split(prelude: list) -> list[list]:
    """The selectors of a rule."""
    selectors = [[]]
    for token in prelude:
        if token == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return selectors


def names(selector: list) -> set[str]:
    """The classes and ids that an element must have; those in :not(…) need not be."""
    needed = [t for t in selector if t.type not in ("function", "[] block")]
    return set(NAME.findall(tinycss2.serialize(needed)))


def compact(tokens: list) -> str:
    """The text of tokens, without comments and line breaks."""
    text = tinycss2.serialize([t for t in tokens if t.type != "comment"])
    return re.sub(r"\s+", " ", text)


def face(rule, folder: Path, letters: set[str]) -> str:
    """A font's rule, with its file cut to the letters; nothing if it has none."""
    text = compact(rule.content)
    files = (folder / address for address in ADDRESS.findall(text))
    file = next((f for f in files if f.suffix == ".woff2" and f.exists()), None)
    if file is None or not (font := cut(file, letters)):
        return ""
    address = f"url({relpath(file, folder)})"
    if file.stem in EMBEDDED:
        address = f"url(data:font/woff2;base64,{b64encode(font).decode()})"
    else:
        file.write_bytes(font)
    rest = re.sub(r"src:[^;}]*;?", "", text)
    return f'@font-face{{{rest.rstrip("; ")};src:{address} format("woff2")}}'


def cut(file: Path, letters: set[str]) -> bytes:
    """The font with these letters alone; nothing if it has none of them."""
    options = subset.Options(flavor="woff2", hinting=False, notdef_outline=True)
    with subset.load_font(str(file), options) as font:
        if not letters & set(map(chr, font.getBestCmap())):
            return b""
        subsetter = subset.Subsetter(options)
        subsetter.populate(text="".join(letters))
        subsetter.subset(font)
        subset.save_font(font, target := BytesIO(), options)
        return target.getvalue()
