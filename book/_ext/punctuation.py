"""Signs of the text: a minus is no hyphen, and a mark stays behind its formula."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

from pgbook.reporting import with_minus

MARK = re.compile(r"th\b|[^\s\w]+")
VERBATIM = (nodes.FixedTextElement, nodes.literal, nodes.math, nodes.raw)


def write_minus(app, document, name):
    """Computed numbers have a hyphen, which looks short and is not read aloud."""
    for text in list(document.findall(nodes.Text)):
        if with_minus(text) != text and not within(text, VERBATIM):
            text.parent.replace(text, nodes.Text(with_minus(text)))  # or an equal one
    for image in document.findall(nodes.image):
        if "alt" in image:
            image["alt"] = with_minus(image["alt"])


def within(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    """Whether a node lies in one of some kinds."""
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


class KeepTogether(SphinxPostTransform):
    """Put each formula and the mark behind it into one piece that does not break."""

    default_priority = 900
    formats = ("html",)

    def run(self):
        """Wrap what belongs together."""
        for formula in list(self.document.findall(nodes.math)):
            behind = formula.next_node(descend=False, siblings=True)
            mark = isinstance(behind, nodes.Text) and MARK.match(behind)
            if mark:
                kept = nodes.inline(classes=["kept"])
                formula.replace_self(kept)
                kept += [formula, nodes.Text(mark[0])]
                rest = nodes.Text(behind[mark.end() :])
                kept.parent[kept.parent.index(kept) + 1] = rest


def setup(app):
    """Sphinx calls this."""
    app.add_post_transform(KeepTogether)
    app.connect("doctree-resolved", write_minus, priority=600)  # all is written by then
    return {"parallel_read_safe": True, "parallel_write_safe": True}
