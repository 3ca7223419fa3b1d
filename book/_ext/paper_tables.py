"""What is too wide or too long for paper: tables, and the reference of the package."""

from docutils import nodes
from sphinx import addnodes

LINE = 86  # letters in a line of a table
# Of the ledger, the notation and the cheat sheet.
LEFT_OUT = {"Chapter", "Cell", "first used", "elsewhere"}


def shorten(tree):
    """Paper gets each signature with its first sentence, and no links to cells."""
    for content in tree.findall(addnodes.desc_content):
        first = [n for n in content[:1] if isinstance(n, nodes.paragraph)]
        members = [n for n in content[1:] if isinstance(n, addnodes.desc)]
        content[:] = first + [n for n in members if n["objtype"] != "attribute"]
    for table in tree.findall(nodes.table):
        drop_columns(table, LEFT_OUT)
        long = len(list(table.findall(nodes.row))) > 30
        if long or "cheat-sheet" in table["classes"]:
            fit_columns(table)


def drop_columns(table, names):
    """Take out the columns with these heads, if there are any."""
    rows = list(table.findall(nodes.row))
    kept = [i for i, head in enumerate(rows[0]) if head.astext() not in names]
    if len(kept) == len(rows[0]):
        return
    for row in rows:
        row[:] = [row[i] for i in kept]
    group = next(table.findall(nodes.tgroup))
    group[:] = [*list(group.findall(nodes.colspec))[: len(kept)], *group[-2:]]
    group["cols"] = len(kept)


def fit_columns(table):
    """Give each column of a long table its longest word and a share of the rest."""
    table["classes"].append("colwidths-given")
    columns = zip(*table.findall(nodes.row), strict=True)
    texts = [[words(entry) for entry in column] for column in columns]
    longest = [max(map(len, " ".join(column).split())) for column in texts]
    total = sum(len(text) for column in texts for text in column)
    rest = max(0, LINE - sum(longest))
    for spec, column, word in zip(
        table.findall(nodes.colspec), texts, longest, strict=True
    ):
        spec["colwidth"] = word + round(rest * sum(map(len, column)) / total)


def words(entry) -> str:
    """The text of a cell, in which a formula is a word half as long as its TeX."""
    return "".join(
        "x" * (len(part) // 2) if isinstance(part.parent, nodes.math) else part
        for part in entry.findall(nodes.Text)
    )
