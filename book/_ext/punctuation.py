"""The mark behind a formula stays on its line, where a browser would break."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

MARK = re.compile(r"th\b|[^\s\w]+")


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
                kept.parent.replace(behind, nodes.Text(behind[mark.end() :]))


def setup(app):
    """Sphinx calls this."""
    app.add_post_transform(KeepTogether)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
