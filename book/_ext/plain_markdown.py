"""The nodes of a page as Markdown that needs no extension.

Nodes of the resolved document are read, not the source: there Sphinx has put numbers,
titles and computed values into the place of roles and directives.
"""

import re
from urllib.parse import urljoin

from docutils import nodes
from sphinx_proof.nodes import proof_node

LANGUAGES = {"ipython3": "python", "default": "python", "none": ""}
SPECIAL = re.compile(r"([\\`*_$<])")


class PlainMarkdown:
    """Turns nodes of one page into text.

    Args:
        numbers: numbers of equations, theorems, figures, …, by kind and id.
        address: the public address of the page, or nothing; links need it.
    """

    def __init__(self, numbers: dict, address: str) -> None:
        """Keep what the page is known by."""
        self.numbers, self.address = numbers, address

    def number(self, node, kind: str) -> str:
        """The number of a node, as the book shows it."""
        return ".".join(map(str, self.numbers.get(kind, {}).get(node["ids"][0], ())))

    def blocks(self, children) -> str:
        """Blocks, one after the other."""
        return "\n\n".join(filter(None, map(self.block, children)))

    def block(self, node) -> str:
        """A node that stands for itself."""
        match node:
            case nodes.math_block():
                return self.display(node)
            case nodes.literal_block():
                language = node.get("language", "none")
                language = LANGUAGES.get(language, language)
                return f"```{language}\n{node.astext().rstrip()}\n```"
            case nodes.bullet_list() | nodes.enumerated_list():
                return self.items(node)
            case nodes.table():
                return self.table(node)
            case nodes.block_quote():
                return quoted(self.blocks(node.children))
            case proof_node():  # sphinx-proof puts its name into the first paragraph
                text = self.blocks(node[0].children)
                return f"{text.replace('Proof.', '**Proof.**', 1)} ∎"
            case nodes.Admonition():
                return self.box(node)
            case nodes.TextElement():
                return self.inlines(node).strip()
        return self.blocks(node.children)

    def display(self, node) -> str:
        """A formula on lines of its own, with its number."""
        lines = ["$$", node.astext().strip(), "$$"]
        if node.get("label"):
            lines.insert(2, rf"\tag{{{self.number(node, 'displaymath')}}}")
        return "\n".join(lines)

    def box(self, node) -> str:
        """A theorem, an algorithm, an admonition: a title, and what it says."""
        title = self.inlines(node[0]).strip()
        text = self.blocks(node.children[1:])
        if "dropdown" in node["classes"]:
            return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"
        if kind := node.get("realtype", "").title():
            number = self.number(node, node["countertype"])
            title = " ".join(filter(None, (kind, number, title)))
        return quoted(f"**{title}**\n\n{text}")

    def items(self, items) -> str:
        """A list, each item indented behind its mark."""
        numbered = isinstance(items, nodes.enumerated_list)
        lines = []
        for count, item in enumerate(items, items.get("start", 1)):
            mark = f"{count}. " if numbered else "- "
            margin = "\n" + " " * len(mark)
            lines.append(mark + self.blocks(item.children).replace("\n", margin))
        return "\n".join(lines)

    def table(self, table) -> str:
        """A table."""
        rows = [list(map(self.field, row)) for row in table.findall(nodes.row)]
        rows.insert(1, ["---"] * len(rows[0]))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def field(self, entry) -> str:
        """A field of a table, on one line; a bar in it would end its column."""
        text = " ".join(self.blocks(entry.children).split())
        return re.sub(r"\$[^$]*\$", bars_by_name, text).replace("|", r"\|")

    def inlines(self, node) -> str:
        """The pieces of a line."""
        return "".join(map(self.inline, node.children))

    def inline(self, node) -> str:
        """A piece of a line."""
        match node:
            case nodes.Text():
                return SPECIAL.sub(r"\\\1", node.astext())
            case nodes.math():
                return f"${' '.join(node.astext().split())}$"
            case nodes.literal():
                return f"`{node.astext()}`"
            case nodes.emphasis():
                return f"*{self.inlines(node)}*"
            case nodes.strong():
                return f"**{self.inlines(node)}**"
            case nodes.reference():
                return self.reference(node)
            case nodes.raw() | nodes.Invisible():
                return ""
        return self.inlines(node)

    def reference(self, node) -> str:
        """A link where there is an address, else its text; a title is set apart."""
        text, inner = self.inlines(node), node.next_node(nodes.inline)
        if "tick" in node["classes"]:
            return ""
        if self.address or not node.get("internal"):
            url = node.get("refuri") or f"#{node['refid']}"
            return f"[{text}]({urljoin(self.address, url)})"
        is_title = inner is not None and "std-ref" in inner["classes"]
        return f"*{text}*" if is_title else text


def quoted(text: str) -> str:
    """The text behind bars; a formula is put on one line, so that none gets into it."""
    flat = re.sub(r"\$\$.*?\$\$", lambda m: " ".join(m[0].split()), text, flags=re.S)
    return "\n".join(f"> {line}".rstrip() for line in flat.splitlines())


def bars_by_name(formula: re.Match) -> str:
    """A formula without the sign that separates columns."""
    return formula[0].replace(r"\|", r"\Vert ").replace("|", r"\vert ")
