"""What other pages refer to, in a form that `links.js` can show.

A browser that reads the book from a disk lets no page read another, but it lets every
page load a script. So each page gets a script beside it, `<page>.previews.js`, with the
blocks to which other pages refer; it is loaded when a reader first points at a link.
"""

import json
from pathlib import Path
from urllib.parse import unquote, urldefrag

from selectolax.lexbor import LexborHTMLParser

LINKS = 'article a.internal[href*="#"]'


def write_previews(app, exception):
    """Write the script of every page to which another page refers."""
    if exception is None and app.builder.format == "html":
        paths = Path(app.outdir, "book").resolve().rglob("*.html")
        pages = {path: LexborHTMLParser(path.read_text("utf8")) for path in paths}
        for path, ids in wanted(pages).items():
            for script in pages[path].css("script"):  # a slider holds its pictures
                script.decompose()
            nodes = {node.id: node for node in pages[path].css("[id]")}
            blocks = [block(nodes[i]) for i in sorted(ids & nodes.keys())]
            once = {node.mem_id: markup(node) for node in blocks}
            text = json.dumps("".join(once.values()), ensure_ascii=False)
            path.with_suffix(".previews.js").write_text(f"previews = {text};\n", "utf8")


def wanted(pages: dict) -> dict[Path, set[str]]:
    """The ids on each page to which other pages refer."""
    ids = {}
    for path, page in pages.items():
        for link in page.css(LINKS):
            file, anchor = urldefrag(unquote(link.attributes["href"]))
            target = (path.parent / file).resolve()
            if target in pages and target != path:
                ids.setdefault(target, set()).add(anchor)
    return ids


def block(node):
    """The section that a node names, or else the part of a section that holds it."""
    while node.tag != "section" and node.parent.tag != "section":
        node = node.parent
    return node.parent if node.tag == "span" else node


def markup(node) -> str:
    """A block as text; of a section, its beginning up to the first paragraph."""
    if node.tag != "section":
        return node.html
    text = ""
    for child in node.iter():
        text += markup(child)
        if child.tag == "p":
            break
    return f'<section id="{node.id}">{text}</section>'


def setup(app):
    """Load the script and the style, and write the previews when all else is done."""
    app.add_css_file("links.css")
    app.add_js_file("links.js", loading_method="defer")
    app.connect("build-finished", write_previews, priority=950)  # pages are final
    return {"parallel_read_safe": False, "version": "1"}
