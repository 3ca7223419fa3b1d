"""Links to chapters, to their sections by heading, and to where a term is defined."""

import outline
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxRole
from sphinx.util.nodes import make_refnode


def link(env, text, stem, *, anchor="", section="") -> pending_xref:
    """A link that lands when all pages are known."""
    return pending_xref(
        "",
        nodes.inline("", text),
        refdomain="",
        reftype="place",
        reftarget=f"book/{stem}",
        refdoc=env.docname,
        refwarn=True,
        anchor=anchor,
        section=section,
    )


def land(app, env, node, content):
    """Turn the link into a reference, or let Sphinx warn that it leads nowhere."""
    if node["reftype"] != "place" or node["reftarget"] not in env.found_docs:
        return None
    anchor = node["anchor"]
    if node["section"]:
        anchor = anchor_of(env, node["reftarget"], node["section"])
        if anchor is None:
            return None
    return make_refnode(app.builder, node["refdoc"], node["reftarget"], anchor, content)


def anchor_of(env, doc, heading):
    """The anchor of a section, found by its heading."""
    for entry in env.tocs[doc].findall(nodes.reference):
        if plain(entry) == heading:
            return entry["anchorname"].lstrip("#")
    return None


def plain(node) -> str:
    """The text of a node as the sources write it, before quotes are turned."""
    return node.astext().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def definition_id(words: str) -> str:
    """The anchor of words that a page defines."""
    return nodes.make_id(f"definition-{words}")


def depend_on_sources(env):
    """Read the present page again when a chapter or the contents have changed."""
    for stem in outline.pages():
        env.note_dependency(f"book/{stem}.md")
    env.note_dependency("_toc.yml")


class Defined(SphinxRole):
    """The role `defined`: links to the pages that define some words in bold."""

    def run(self):
        """One link per page, or an error if no page defines the words."""
        depend_on_sources(self.env)
        stems = [s for s in outline.pages() if self.text in outline.definitions(s)]
        if not stems:
            message = f"no page defines {self.text!r} in bold"
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        found = [nodes.Text("→\xa0")]
        for stem in stems:
            anchor = definition_id(self.text)
            found += [link(self.env, outline.title(stem), stem, anchor=anchor)]
            found += [nodes.Text("; ")]
        return [nodes.inline("", "", *found[:-1], classes=["defined-in"])], []


def setup(app):
    """Connect the role and the landing."""
    app.add_role("defined", Defined())
    app.connect("missing-reference", land)
    return {"parallel_read_safe": False, "version": "1"}
