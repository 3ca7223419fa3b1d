"""The API pages: a map of the package, and the chapters of each object."""

import copy
import re

from code_links import uses
from docutils import nodes
from ledger import in_reading_order
from sphinx.util.docutils import SphinxDirective

import pgbook

LISTED = {"function", "class"}
CHAPTER = re.compile(r"^Chapter `(\w+)`\.")
PARAMETER = re.compile(r"^(:param \w*)_:")


class chapters_of(nodes.General, nodes.Element):
    """Where the chapters that show or use an object of the package are named."""


class room_map(nodes.General, nodes.Element):
    """Where the map of the package goes."""


class RoomMap(SphinxDirective):
    """The directive `room-map`: every room, what it holds, and its names."""

    def run(self):
        """Leave a place that is filled when all pages are known."""
        return [room_map()]


class ChaptersOf(SphinxDirective):
    """The directive `chapters-of`: which chapters show or use an object."""

    required_arguments = 1

    def run(self):
        """Leave a place that is filled when all pages are known."""
        return [chapters_of(name=self.arguments[0])]


def read_docstring(app, what, name, obj, options, lines):
    """Link a module to its chapter, and end a function or class with its chapters.

    A name that ends in an underscore would be read as a reference.
    """
    for i, line in enumerate(lines):
        lines[i] = PARAMETER.sub(r"\1\\_:", line)
    if what == "module" and len(lines) > 2:
        lines[2] = CHAPTER.sub(chapter_link, lines[2])
    if what in LISTED:
        lines += ["", f".. chapters-of:: {name}", ""]


def chapter_link(match) -> str:
    """The chapter's name as a reference to it."""
    return f"Chapter :ref:`ch-{match[1].replace('_', '-')}`."


def changed_pages(app, env):
    """The API pages, if a chapter shows or uses something else than before."""
    objects = env.get_domain("py").objects
    state = (copy.deepcopy(uses(env)), sorted(objects))
    if state == getattr(env, "api_state", None):
        return []
    env.api_state = state
    return {"book/api", *(entry.docname for entry in objects.values())} & env.found_docs


def link(app, here, doc, anchor, label):
    """A reference to a place on a page."""
    uri = f"{app.builder.get_relative_uri(here, doc)}#{anchor}"
    return nodes.reference("", "", label, internal=True, refuri=uri)


def in_a_row(words, links) -> list:
    """Words, then links with commas between them, then a full stop."""
    row = [node for item in links for node in (nodes.Text(", "), item)][1:]
    return [nodes.Text(words), *row, nodes.Text(". ")] if row else []


def name_chapters(app, doctree, here):
    """Name the chapter that derives an object, and those that use it."""
    for place in list(doctree.findall(chapters_of)):
        name = place["name"]
        links = {
            doc: link(app, here, doc, anchor, nodes.Text(app.env.titles[doc].astext()))
            for doc in in_reading_order(app.env)
            if (anchor := uses(app.env).get(doc, {}).get(name))
        }
        derived = links.pop(f"book/{name.split('.')[1]}", None)
        row = in_a_row("Derived in ", [derived] if derived else [])
        row += in_a_row("Used in ", links.values())
        text = nodes.paragraph("", "", *row, classes=["chapters-of"])
        place.replace_self([text] if row else [])


def rooms() -> list[list[str]]:
    """Name and purpose of each room, from the map in `pgbook/__init__.py`."""
    lines = pgbook.__doc__.splitlines()
    return [line.split(maxsplit=1) for line in lines if line.startswith("    ")]


def draw_map(app, doctree, here):
    """One entry per room: what it holds, and a link to each of its names."""
    objects = app.env.get_domain("py").objects
    for place in list(doctree.findall(room_map)):
        items = nodes.definition_list(classes=["room-map"])
        for room, purpose in rooms():
            module = f"pgbook.{room}"
            names = [
                link(app, here, entry.docname, entry.node_id, nodes.literal("", short))
                for name, entry in objects.items()
                if entry.objtype in LISTED
                and name.startswith(f"{module}.")
                and (short := name.rsplit(".", 1)[1])
            ]
            page = link(
                app,
                here,
                f"book/api/{room}",
                f"module-{module}",
                nodes.literal("", module),
            )
            items += nodes.definition_list_item(
                "",
                nodes.term("", "", page, nodes.Text(f" {purpose}")),
                nodes.definition("", nodes.paragraph("", "", *in_a_row("", names))),
            )
        place.replace_self(items)


def setup(app):
    """Connect the steps of the build."""
    app.add_node(chapters_of)
    app.add_node(room_map)
    app.add_directive("chapters-of", ChaptersOf)
    app.add_directive("room-map", RoomMap)
    app.connect("autodoc-process-docstring", read_docstring, priority=900)
    app.connect("env-updated", changed_pages)
    app.connect("doctree-resolved", name_chapters)
    app.connect("doctree-resolved", draw_map)
    return {"parallel_read_safe": False, "version": "1"}
