"""The directive `path`: what to read and do, in order, with minutes that are counted.

Each line names a chapter, a section (`chapter: Heading`) or an exercise (its label),
and after a bar what it is for.
"""

import outline
from docutils import nodes
from ledger import make_table
from places import depend_on_sources, link
from sphinx.util.docutils import SphinxDirective


class ReadingPath(SphinxDirective):
    """A table of things to read and to do."""

    has_content = True

    def run(self):
        """One row per line, and a row with the sums."""
        depend_on_sources(self.env)
        rows, reading, doing = [], 0, 0
        for number, line in enumerate(self.content):
            what, _, why = (part.strip() for part in line.partition("|"))
            shown, minutes = self.step(what)
            if what.startswith("ex-"):
                doing += minutes
            else:
                reading += minutes
            reason, _ = self.state.inline_text(why, self.content_offset + number)
            reason = nodes.inline("", "", *reason)
            rows.append([shown, reason, nodes.Text(str(minutes))])
        total = nodes.strong("", str(reading + doing))
        rows.append([nodes.strong("", sum_of(reading, doing)), nodes.Text(""), total])
        table = make_table(("Read or do", "For", "Minutes"), rows)
        table["classes"] = ["path"]
        return [table]

    def step(self, what):
        """A link to chapter, section or exercise, and how many minutes it takes."""
        if what.startswith("ex-"):
            exercise = outline.exercises()[what]
            name = f"Exercise: {exercise.title}"
            shown = link(self.env, name, exercise.chapter, anchor=what)
            kind = nodes.Text(f" ({exercise.kind.lower()})")
            return nodes.inline("", "", shown, kind), exercise.minutes
        stem, _, heading = what.partition(": ")
        if not heading:
            shown = link(self.env, outline.title(stem), stem)
            return nodes.strong("", "", shown), outline.reading_minutes(stem)
        shown = link(self.env, heading, stem, section=heading)
        shown = nodes.inline("", "", shown, nodes.Text(" in "), nodes.literal("", stem))
        return shown, outline.reading_minutes(stem, heading)


def sum_of(reading: int, doing: int) -> str:
    """Say how the sum comes about."""
    return f"Reading {reading}, exercises {doing}" if doing else "Together"


class Minutes(SphinxDirective):
    """The directive `how-minutes-are-counted`: the rule, with its numbers."""

    def run(self):
        """Write the sentence from the constants that are used."""
        text = (
            f"The build counts 1 minute for {outline.WORDS_PER_MINUTE} words of prose, "
            f"{outline.MINUTES_PER_DISPLAY} for each numbered formula, and "
            f"{outline.MINUTES_PER_CELL} for each cell of code; proofs that unfold and "
            "solutions are not counted. The minutes of an exercise are those in its "
            "first line. Who checks each derivation with a pencil needs longer."
        )
        return [nodes.paragraph("", text)]


def setup(app):
    """Connect the directives."""
    app.add_directive("path", ReadingPath)
    app.add_directive("how-minutes-are-counted", Minutes)
    return {"parallel_read_safe": False, "version": "1"}
