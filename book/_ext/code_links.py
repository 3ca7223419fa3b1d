"""Names of the package in code lead to its API pages.

`code_names` finds the names when a page is read; they become links when it is written.
"""

import html
import re
from importlib import import_module
from pathlib import Path

from code_names import Names
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
PIECES = re.compile(r"<[^>]*>|[^<]+")


def uses(env) -> dict:
    """By page, the anchor of the block that shows or uses each object."""
    if not hasattr(env, "code_uses"):
        env.code_uses = {}
    return env.code_uses


def names_in_file(path: Path) -> Names:
    """The names of a file from which a page takes code."""
    parts = path.resolve().relative_to(ROOT).with_suffix("").parts
    module = import_module(".".join(parts)) if parts[0] == "pgbook" else None
    return Names([path.read_text("utf8")], module)


def read_page(app, document):
    """Note the names in the cells and in the included code of a page."""
    blocks = list(document.findall(nodes.literal_block))
    cells = [b for b in blocks if b.parent.get("nb_element") == "cell_code_source"]
    names = Names([cell.astext() for cell in cells])
    for block in blocks:
        if block in cells:
            block["api"] = names.found_in(block.astext())
        elif str(block.get("source")).endswith(".py"):
            block["api"] = names_in_file(Path(block["source"])).found_in(block.astext())
    uses(app.env)[app.env.docname] = anchors([b for b in blocks if b.get("api")])


def anchors(blocks) -> dict[str, str]:
    """Give the block that defines an object, or else uses it first, an anchor."""
    first = {}
    for block in blocks:
        for name, role in block["api"].values():
            if role == "definition" or (role == "use" and name not in first):
                first[name] = block
    for name, block in first.items():
        cell = block.parent.get("nb_element") == "cell_code_source"
        holder = block.parent.parent if cell else block
        first[name] = f"code-{name.removeprefix('pgbook.').replace('.', '-')}"
        holder["ids"].append(first[name])
    return first


def visit_block(self, node):
    """Write a block of code as the theme does, with its links."""
    try:
        type(self).visit_literal_block(self, node)
    except nodes.SkipNode:
        self.body[-1] = linked(self.body[-1], addresses(self.builder, node))
        raise


def depart_block(self, node):
    """Close a block that is not highlighted."""
    type(self).depart_literal_block(self, node)


def addresses(builder, node) -> dict:
    """Name and address of the API entry, by the offset at which the name stands."""
    objects = builder.env.get_domain("py").objects
    here = builder.current_docname
    return {
        offset: (
            name,
            f"{builder.get_relative_uri(here, entry.docname)}#{entry.node_id}",
        )
        for offset, (name, _) in node.get("api", {}).items()
        if (entry := objects.get(name))
    }


def linked(markup: str, links: dict) -> str:
    """Highlighted code with links; by keyboard each address is reached once."""
    pieces, position, reached = PIECES.findall(markup), 0, set()
    for index, piece in enumerate(pieces):
        if piece.startswith("<"):
            continue
        name, address = links.get(position, ("", ""))
        if piece == name or name.endswith(f".{piece}"):
            skip = ' tabindex="-1"' if address in reached else ""
            reached.add(address)
            start = f'<a class="api reference internal" href="{address}"{skip}>'
            pieces[index] = f"{start}{piece}</a>"
        position += len(html.unescape(piece))
    return "".join(pieces)


def setup(app):
    """Connect the steps of the build."""
    app.add_node(nodes.literal_block, override=True, html=(visit_block, depart_block))
    app.connect("doctree-read", read_page, priority=600)
    app.connect("env-purge-doc", lambda app, env, doc: uses(env).pop(doc, None))
    return {"parallel_read_safe": False, "version": "1"}
