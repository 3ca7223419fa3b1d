"""Entries of the general index: terms, algorithms, theorems, people, names, subjects.

They are taken from the pages as they stand; only the subjects of sections are listed
by hand, in `genindex.md`.
"""

import re
from functools import cache
from pathlib import Path

import outline
from docutils import nodes
from places import definition_id, plain
from pybtex.database import parse_file
from pybtex.richtext import Text
from sphinx.addnodes import pending_xref

NAMES = (
    "Acrobot",
    "CartPole",
    "CleanRL",
    "Gymnasium",
    "Pendulum",
    "running example",
    "short corridor",
    "Spinning Up",
    "stable-baselines3",
    "TRL",
)
BOXES = "algorithm", "theorem"


@cache
def authors() -> dict[str, list[str]]:
    """The authors of each work in the bibliography, last name first."""
    works = parse_file(outline.ROOT / "book" / "references.bib").entries
    return {
        key: [str(Text.from_latex(str(person))) for person in work.persons["author"]]
        for key, work in works.items()
    }


def terms(document, stem):
    """Words in bold, under the names of their terms; each gets an anchor."""
    wanted = {
        words: term for term, place in outline.glossary().items() for words in place
    }
    left = set(outline.definitions(stem)) & set(wanted)
    for bold in document.findall(nodes.strong):
        words = plain(bold)
        if words in left and not in_a_table(bold):
            left.remove(words)
            bold["ids"].append(definition_id(words))
            yield wanted[words], bold["ids"][-1]


def in_a_table(node) -> bool:
    """Tables set in bold what is a result."""
    while node is not None and not isinstance(node, nodes.entry):
        node = node.parent
    return node is not None


def boxes(document):
    """Algorithms and theorems by their titles."""
    for box in document.findall(lambda node: isinstance(node, nodes.Element)):
        kind = box.get("realtype")
        if kind in BOXES and box.get("title"):
            yield f"{kind}; {box['title'].strip()[1:-1]}", box["ids"][0]


def people(document):
    """Authors, where a page cites them first."""
    seen = set()
    for citation in document.findall(pending_xref):
        if citation.get("refdomain") == "cite":
            keys = citation["reftarget"].split(",")
            for author in {a for key in keys for a in authors()[key.strip()]} - seen:
                seen.add(author)
                yield author, citation["ids"][0]


def names(document):
    """Environments and programs, where the prose of a page names them first."""
    for name in NAMES:
        for text in document.findall(nodes.Text):
            if name in text and isinstance(text.parent, nodes.paragraph):
                anchor = nodes.make_id(f"index-{name}")
                place = text.parent.index(text)
                text.parent.insert(place, nodes.target("", "", ids=[anchor]))
                yield name, anchor
                break


@cache
def subjects() -> list[tuple[str, str, str]]:
    """Subject, chapter and section of each line in `genindex.md`."""
    page = (outline.ROOT / "genindex.md").read_text("utf8")
    return re.findall(r"^% (.+?) = (\w+): (.+)$", page, flags=re.M)


def headings(document, stem):
    """The sections to which the list of subjects points."""
    anchors = {
        plain(section[0]): section["ids"][0]
        for section in document.findall(nodes.section)
    }
    for subject, chapter, heading in subjects():
        if chapter == stem:
            yield subject, anchors[heading]


def read_page(app, document):
    """Add the entries of a chapter to those that Sphinx has found."""
    if not outline.is_page(app.env.docname):
        return
    stem = Path(app.env.docname).stem
    app.env.note_dependency("book/glossary.md")
    app.env.note_dependency("genindex.md")
    entries = app.env.get_domain("index").entries[app.env.docname]
    found = [*terms(document, stem), *boxes(document), *people(document)]
    for name, anchor in [*found, *names(document), *headings(document, stem)]:
        entry = name if ";" in name else f"{name}; {outline.title(stem)}"
        entries.append(("single", entry, anchor, "", None))


def setup(app):
    """Connect the reading of pages."""
    app.connect("doctree-read", read_page)
    return {"parallel_read_safe": False, "version": "1"}
