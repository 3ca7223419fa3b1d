"""The map of the book: a row per chapter, and lines to the chapters that it needs.

The rows are text with links. The lines at their side are a picture of the same, drawn
like a history of branches: one trunk, and a lane for each chapter that is off it.
"""

import outline
from docutils import nodes
from places import depend_on_sources, link
from sphinx.util.docutils import SphinxDirective

LANE = 16  # width of a lane, pixels
SCRIPT = (outline.ROOT / "book" / "_ext" / "chapter_map.js").read_text("utf8")


def edges(rows: list[str]) -> list[tuple[str, str]]:
    """Pairs (needed, needing), without those that follow from others."""
    return [
        (one, it) for it in rows for one in sorted(outline.nearest(it), key=rows.index)
    ]


def trunk(rows: list[str]) -> list[str]:
    """A longest chain of chapters, each of which needs the one before it."""
    chains = {}
    for row in rows:
        before = [chains[one] for one in sorted(outline.nearest(row), key=rows.index)]
        chains[row] = [*max(before, key=len, default=[]), row]
    return max(chains.values(), key=len)


def lanes(rows: list[str]) -> dict[str, int]:
    """Lane of each row: 0 on the trunk, else the first that is free from end to end.

    A line runs in the lane of the chapter that needs, or, if that is on the trunk, of
    the one that is needed. A row may continue the lane of one from which it branches.
    """
    found = dict.fromkeys(trunk(rows), 0)
    taken = []  # (place, first, last, lane) of each row off the trunk
    for place, row in enumerate(rows):
        if row in found:
            continue
        own = [e for e in edges(rows) if e[1] == row or e[0] == row and e[1] in found]
        ends = [rows.index(end) for edge in own for end in edge] or [place]
        first, last = min(ends), max(ends)
        busy = {
            lane
            for other, a, b, lane in taken
            if first < b and a < last and not other <= first <= b <= place
        }
        found[row] = min(set(range(1, len(rows) + 1)) - busy)
        taken.append((place, first, last, found[row]))
    return found


def curve(start: str, end: str, lane: dict[str, int], rows: list[str]) -> str:
    """The path of a line from row to row, one unit per row, in the lane off the trunk.

    It bends right after it leaves the trunk, or right before it comes back to it.
    """
    x, y = LANE * (lane[start] + 0.5), LANE * (lane[end] + 0.5)
    top, bottom = rows.index(start) + 0.5, rows.index(end) + 0.5
    if x == y:
        return f"M{x} {top}V{bottom}"
    if lane[end]:
        return f"M{x} {top}C{x} {top + 0.6} {y} {top + 0.4} {y} {top + 1}V{bottom}"
    bend = bottom - 1
    return f"M{x} {top}V{bend}C{x} {bend + 0.6} {y} {bend + 0.4} {y} {bottom}"


def picture(rows: list[str]) -> str:
    """The lines as a drawing that is stretched over the height of the rows."""
    lane = lanes(rows)
    width = LANE * (max(lane.values()) + 1)
    paths = "".join(
        f'<path data-chapter="{it}" d="{curve(one, it, lane, rows)}"/>'
        for one, it in edges(rows)
    )
    return (
        f'<svg aria-hidden="true" viewBox="0 0 {width} {len(rows)}" width="{width}" '
        f'preserveAspectRatio="none">{paths}</svg>'
    )


class ChapterMap(SphinxDirective):
    """The directive `chapter-map`."""

    def run(self):
        """A list of rows, between the drawing and the script that lights it up."""
        depend_on_sources(self.env)
        rows = outline.pages()
        lane = lanes(rows)
        style = f"--lane-width:{LANE}px;--lanes:{max(lane.values()) + 1}"
        listed = nodes.bullet_list(classes=["chapters"])
        listed += [self.row(stem, lane[stem]) for stem in rows]
        return [
            html(f'<div class="chapter-map" style="{style}">{picture(rows)}'),
            listed,
            html(f"<script>{SCRIPT}</script></div>"),
        ]

    def row(self, stem, lane):
        """A chapter: title, minutes, the chapters that it needs."""
        parts = outline.parts().items()
        part = [caption.split(".")[0] for caption, stems in parts if stem in stems]
        number = f"{outline.pages().index(stem)}. " if part else ""
        title = link(self.env, number + outline.title(stem), stem)
        minutes = f"{outline.reading_minutes(stem)} minutes"
        facts = nodes.paragraph("", ", ".join([*part, minutes]), classes=["facts"])
        needed = sorted(outline.needs(stem), key=outline.pages().index)
        facts += nodes.Text(", needs " if needed else ", needs no other chapter")
        for count, one in enumerate(needed):
            facts += [nodes.Text(", ")] if count else []
            facts += link(self.env, one, one)
        dot = html(
            f'<span class="dot" data-chapter="{stem}" style="--lane:{lane}" '
            f'data-rests-on="{" ".join(sorted(outline.rests_on(stem)))}"></span>'
        )
        return nodes.list_item("", dot, nodes.paragraph("", "", title), facts)


def html(text: str) -> nodes.raw:
    """A piece of HTML, which other formats leave out."""
    return nodes.raw("", text, format="html")


def setup(app):
    """Connect the directive."""
    app.add_directive("chapter-map", ChapterMap)
    return {"parallel_read_safe": False, "version": "1"}
