"""Pages that arrive quickly: one stylesheet, scripts that wait, pictures that wait.

Works on the text of the built pages, since parsing them all would take a minute.
A page that was treated in an earlier build stays as it is.
"""

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import imagesize
import styles

SHEET = re.compile(
    r'<link(?=[^>]*\srel="stylesheet")[^>]*\shref="([^"?]*\.css)[^"]*"[^>]*>\s*'
)
PRELOAD = re.compile(r'<link(?=[^>]*\sas="script")[^>]*>\s*')
SCRIPT = re.compile(r"<script(?=[^>]* src=)(?![^>]* (?:defer|async)\b)")
OPTIONS = re.compile(
    r'<script [^>]*src="([^"?]*documentation_options\.js)[^>]*></script>'
)
LOADED = re.compile(r'<script[^>]* src="([^"?]+)')
INLINE = re.compile(r"<script>(.*?)</script>", re.S)
ATTRIBUTES = re.compile(r'\s(?:class|id)="([^"]*)"')
TAG = re.compile(r"<[^>]*>")
WORD = re.compile(r"[\w-]+")
PICTURE = re.compile(r'<img(?![^>]* loading=)(?=[^>]* src="([^"]+)")')
DATA = re.compile(r"data:image/(png|gif|jpeg|svg\+xml);base64,([A-Za-z0-9+/=]+)")
GATHERED = "pages.css"
FACE = re.compile(r"@font-face\{[^}]*url\(([^)]*/([\w-]+)\.woff2)\)[^}]*\}")
OPENING = 25_000  # letters that can be on the first screen, with formulas
# Fonts that some openings need, and what tells that one does.
OPENING_FONTS = {
    "Literata-Italic": re.compile("<(?:em|i)[ >]"),
    "KaTeX_AMS-Regular": re.compile("mathbb|amsrm"),
    "KaTeX_Caligraphic-Regular": re.compile("mathcal"),
    "KaTeX_Size1-Regular": re.compile("small-op|size1"),
    "KaTeX_Size2-Regular": re.compile("large-op|size2"),
}
# Ready before the text is laid out; otherwise it moves when they come. A script waits
# for the stylesheets above it, and the parser with it: so this one stands before the
# text, and no other behind the stylesheet.
LOAD_FONTS = f"""<script>
for (const font of {json.dumps([*styles.EMBEDDED.values()])}) document.fonts.load(font);
for (const face of [...document.fonts].slice(document.fonts.size - %d)) face.load();
</script>
"""


def lighten_pages(app, exception):
    """Treat the pages that this build wrote, and gather the styles of all."""
    if exception is None and app.builder.format == "html":
        root = Path(app.outdir)
        pages = {path: path.read_text("utf8") for path in written(root)}
        sheets, treated = {}, []
        for path, text in pages.items():
            found = [(path.parent / sheet).resolve() for sheet in SHEET.findall(text)]
            found = [sheet for sheet in found if sheet.name != GATHERED]
            if found:
                sheets |= dict.fromkeys(found)
                treated.append(path)
                pages[path] = lighten(text, path, root)
        if sheets:
            static = root / "_static"
            write_styles(list(sheets), pages, static)
            faces = fonts_in_themselves(static)
            for path in treated:
                path.write_text(embed_fonts(pages[path], faces), "utf8")


def written(root: Path) -> list[Path]:
    """The pages of the book; the folder of the theme holds templates besides."""
    return [
        p for p in sorted(root.rglob("*.html")) if root / "_static" not in p.parents
    ]


def lighten(text: str, path: Path, root: Path) -> str:
    """The page with its head in order and its pictures in files."""
    sheet = f"{way_up(path, root)}_static/{GATHERED}"
    gathered = f'<link rel="stylesheet" href="{sheet}"/>\n'
    text = OPTIONS.sub(
        lambda m: f"<script>{(path.parent / m[1]).read_text()}</script>", text
    )
    start, end = SHEET.search(text).start(), text.find("</head>")
    rest = PRELOAD.sub("", SHEET.sub("", text[start:end]))
    scripts = "".join(found[0] for found in INLINE.finditer(rest))
    text = text[:start] + scripts + gathered + INLINE.sub("", rest) + text[end:]
    text = SCRIPT.sub("<script defer", text)
    text = DATA.sub(lambda m: picture_file(m[1], m[2], path, root), text)
    return PICTURE.sub(lambda m: f"{m[0]}{size(path.parent / m[1])}", text)


def picture_file(kind: str, content: str, path: Path, root: Path) -> str:
    """The address of a picture that stood in the page, and now is a file."""
    picture = b64decode(content)
    name = f"{sha256(picture).hexdigest()[:20]}.{kind.removesuffix('+xml')}"
    (root / "_images").mkdir(exist_ok=True)
    (root / "_images" / name).write_bytes(picture)
    return f"{way_up(path, root)}_images/{name}"


def way_up(path: Path, root: Path) -> str:
    """The address of the root, seen from a page."""
    return "../" * (len(path.relative_to(root).parts) - 1)


def size(picture: Path) -> str:
    """Attributes that keep the place of a picture until it is fetched."""
    width, height = imagesize.get(picture) if picture.is_file() else (-1, -1)
    if width <= 0:
        return ""
    return f' width="{round(width)}" height="{round(height)}" loading="lazy"'


def write_styles(sheets: list[Path], pages: dict[Path, str], static: Path) -> None:
    """Write the rules that pages and scripts can need."""
    words, letters, scripts = set(), set(), set()
    for path, text in pages.items():
        words.update(*map(str.split, ATTRIBUTES.findall(text)))
        words.update(*map(WORD.findall, INLINE.findall(text)))
        letters.update(TAG.sub("", text))
        scripts.update(
            (path.parent / source).resolve() for source in LOADED.findall(text)
        )
    words.update(*(WORD.findall(script.read_text("utf8")) for script in scripts))
    (static / GATHERED).write_text(styles.gather(sheets, words, letters), "utf8")


def fonts_in_themselves(static: Path) -> dict[str, str]:
    """The rules of fonts that some openings need, with the fonts in the rules."""

    def whole(face):
        content = b64encode((static / face[1]).read_bytes()).decode()
        return face[0].replace(face[1], f"data:font/woff2;base64,{content}")

    faces = FACE.finditer((static / GATHERED).read_text("utf8"))
    return {face[2]: whole(face) for face in faces if face[2] in OPENING_FONTS}


def embed_fonts(text: str, faces: dict[str, str]) -> str:
    """The page with the fonts of its opening, which would come late from files.

    All above the second section is laid out at once.
    """
    article = text[text.find("<article") :]
    _, *later = (section.start() for section in re.finditer("<section|$", article))
    opening = article[: max([OPENING, *later[:1]])]
    needed = [faces[face] for face in faces if OPENING_FONTS[face].search(opening)]
    style = f"<style>{''.join(needed)}</style>\n" if needed else ""
    head = SHEET.search(text).end()
    body = next(text.find(tag) for tag in ("<section", "</body>") if tag in text)
    loading = LOAD_FONTS % len(needed)
    return text[:head] + style + text[head:body] + loading + text[body:]


def setup(app):
    """Treat the pages when everything else has been written."""
    app.connect("build-finished", lighten_pages, priority=900)
    return {"parallel_read_safe": True, "version": "1"}
