"""What search engines and messages show of a page: title, description, picture."""

import re
from html import escape
from pathlib import Path

from card import CARD, PIXELS
from docutils import nodes

GENERATED = {"genindex": "Index", "search": "Search"}
LONGEST = 200  # letters of a description; longer ones are cut by those who show them
NOT_PROSE = (nodes.Admonition, nodes.table, nodes.list_item, nodes.container)
LEAD = "cover-lead"  # the container of the cover that says what the book is
SEPARATOR = re.compile(r"<title>(.*?) &#8212; (.*?)</title>")


def describe(app, pagename, templatename, context, doctree):
    """Put description and card into the head of a page."""
    book = app.config.html_title or app.config.project
    title = plain(app.env.titles[pagename]) if doctree else GENERATED.get(pagename)
    title = title or str(context["title"])
    text = summary(doctree) if doctree else ""
    text = text or f"{title}: a page of {book}."
    address = app.config.html_baseurl.rstrip("/")
    root = f"{address}/" if address else "../" * pagename.count("/")
    tags = {
        "og:type": "article",
        "og:site_name": book,
        "og:title": title,
        "og:description": text,
        "og:image": f"{root}{CARD}",
        "og:image:width": f"{PIXELS[0]}",
        "og:image:height": f"{PIXELS[1]}",
        "og:image:alt": f"{book}: level lines of a return, and the way up.",
    }
    if address:
        tags["og:url"] = f"{address}/{pagename}.html"
    lines = [f'<meta name="description" content="{escape(text)}"/>']
    lines += [f'<meta property="{k}" content="{escape(v)}"/>' for k, v in tags.items()]
    lines += ['<meta name="twitter:card" content="summary_large_image"/>']
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def plain(node) -> str:
    """The text of a node without its formulas."""
    words = [text for text in node.findall(nodes.Text) if not is_formula(text.parent)]
    return re.sub(r" +", " ", "".join(words)).strip()


def is_formula(node) -> bool:
    """Whether a node is a formula."""
    return isinstance(node, (nodes.math, nodes.math_block))


def summary(doctree) -> str:
    """The first sentences without a formula that start a paragraph, one per line."""
    chosen = ""
    for paragraph in doctree.findall(nodes.paragraph):
        if any(map(is_aside, ancestors(paragraph))):
            continue
        for sentence in marked(paragraph).split("\n"):
            fits = "\0" not in sentence and sentence.endswith((".", "?", "!"))
            if not fits or len(chosen) + len(sentence) > LONGEST:
                if chosen:
                    return chosen
                break
            chosen = f"{chosen} {sentence}".strip()
    return chosen


def is_aside(node) -> bool:
    """Whether what stands in a node does not belong to the running text."""
    return isinstance(node, NOT_PROSE) and LEAD not in node["classes"]


def marked(paragraph) -> str:
    """The text of a paragraph, with a mark in place of each formula."""
    texts = paragraph.findall(nodes.Text)
    return "".join("\0" if is_formula(text.parent) else text for text in texts)


def ancestors(node):
    """The nodes around a node, from the inside."""
    while node := node.parent:
        yield node


def name_pages(app, exception):
    """Write titles as chapter and book, once."""
    if exception is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            page = path.read_text("utf8")
            named = SEPARATOR.sub(name, page, count=1)
            if named != page:
                path.write_text(named, "utf8")


def name(title) -> str:
    """The title of a page; the cover's is the book's alone."""
    page, book = title.groups()
    return f"<title>{page if page == book else f'{page} · {book}'}</title>"


def setup(app):
    """Describe pages while they are written, and name them when all are there."""
    app.connect("html-page-context", describe)
    app.connect("build-finished", name_pages)
    return {"parallel_read_safe": True, "version": "1"}
