"""The search page shows first where a term is defined and a subject has its section."""

import json
import re
from pathlib import Path

import index_entries
import outline
from docutils import nodes
from places import definition_id, plain

SCRIPT = "search_places.js"


def pages(env) -> dict[str, list[dict]]:
    """The places of each page, kept with Sphinx's environment."""
    if not hasattr(env, "search_places"):
        env.search_places = {}
    return env.search_places


def read_page(app, document):
    """Note where a page defines terms, and where the subjects of the index begin."""
    if not outline.is_page(app.env.docname):
        return
    stem = Path(app.env.docname).stem
    kinds = {1: definitions(document), 0: sections(document, stem)}
    pages(app.env)[app.env.docname] = [
        {"names": names, "section": section, "anchor": anchor, "defines": defines}
        for defines, found in kinds.items()
        for names, section, anchor in found
    ]


def definitions(document):
    """Names, section and anchor of each term that is defined on a page."""
    ids = {definition_id(w): t for t, ws in outline.glossary().items() for w in ws}
    for bold in document.findall(nodes.strong):
        for anchor in set(bold["ids"]) & set(ids):
            section = bold.parent
            while not isinstance(section, nodes.section):
                section = section.parent
            yield outline.names(ids[anchor]), plain(section[0]), anchor


def sections(document, stem):
    """Names, heading and anchor of each subject to which the index points."""
    headings = {s["ids"][0]: plain(s[0]) for s in document.findall(nodes.section)}
    for subject, anchor in index_entries.headings(document, stem):
        yield subject.split("; "), headings[anchor], anchor


def write_places(app, exception):
    """Write the places, and what ranks them, as a script of the search page alone."""
    if exception is None and app.builder.format == "html":
        order = ["", *(f"book/{stem}" for stem in outline.pages())]
        places = [
            place | {"page": page}
            for page in sorted(pages(app.env), key=order.index)
            for place in pages(app.env)[page]
        ]
        script = (Path(__file__).parent / SCRIPT).read_text("utf8")
        text = f"const SEARCH_PLACES = {json.dumps(places)};\n{script}"
        (Path(app.outdir) / "_static" / SCRIPT).write_text(text, "utf8")
        load_after_sphinx(Path(app.outdir) / "search.html")


def load_after_sphinx(page: Path) -> None:
    """Let the search page read the script behind the one that it changes."""
    html = page.read_text("utf8")
    if SCRIPT not in html:
        there = re.search(r"<script [^>]*searchtools\.js[^>]*></script>", html).end()
        own = f'<script src="_static/{SCRIPT}"></script>'
        page.write_text(html[:there] + own + html[there:], "utf8")


def setup(app):
    """Connect the steps of the build."""
    app.connect("doctree-read", read_page, priority=600)  # after the index
    app.connect("env-purge-doc", lambda app, env, doc: pages(env).pop(doc, None))
    app.connect("build-finished", write_places)
    return {"parallel_read_safe": False, "version": "1"}
