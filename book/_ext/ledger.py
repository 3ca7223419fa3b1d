"""Ticks beside verified equations, the ledger of all claims, and a build that fails.

`pgbook.verification` displays each result as the role `verified`, so the results
reach the document as nodes whether a notebook was executed or read from the cache.
"""

import json
from collections import Counter

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

LOG = logging.getLogger(__name__)
CLAIM, FALSE, DEFINITION = "eq-", "not-", "def-"
UNLABELLED_ALLOWED = {"proof", "exercise", "solution"}


class ledger_table(nodes.General, nodes.Element):
    """Where the table of all claims goes."""


class verified(nodes.Inline, nodes.TextElement):
    """What one call of `verify` or a relative reports."""


class Verified(SphinxRole):
    """The role that a `Verified` displays itself as: a record in JSON."""

    def run(self):
        """Show mark, number of the equation and what was found."""
        record = json.loads(self.text)
        number = pending_xref(
            "",
            nodes.literal("", record["label"]),
            refdomain="math",
            reftype="eq",
            reftarget=record["label"],
            refdoc=self.env.docname,
            refwarn=True,
        )
        node = verified(record=record, classes=["verified-line"])
        node += [
            nodes.Text(f"{record['mark']} "),
            number,
            nodes.Text(f" {record['by']}, {record['text']}"),
        ]
        return [node], []


class Ledger(SphinxDirective):
    """The directive `ledger`: a summary and one row per claim of the whole book."""

    def run(self):
        """Leave a place that is filled when all pages are known."""
        return [ledger_table()]


def pages(env) -> dict:
    """Claims, records and problems of each page, kept with Sphinx's environment."""
    if not hasattr(env, "ledger"):
        env.ledger = {}
    return env.ledger


def ancestors(node):
    """The node's parent, its parent, and so on."""
    while node.parent is not None:
        node = node.parent
        yield node


def enclosing_cell(node, element):
    """The part of a notebook cell ("cell_code", "cell_code_output") around a node."""
    for parent in ancestors(node):
        if parent.get("nb_element") == element:
            return parent
    return None


def may_be_unlabelled(math) -> bool:
    """Displays inside proofs and exercises need no label."""
    classes = {name for parent in ancestors(math) for name in parent.get("classes", [])}
    return bool(classes & UNLABELLED_ALLOWED)


def read_page(app, document):
    """Collect claims and records of a page, and put a tick beside what held."""
    records, problems, claims = {}, [], []
    for node in document.findall(verified):
        record, cell = node["record"], enclosing_cell(node, "cell_code")
        if cell is None:
            problems.append((node.line, "the role `verified` is for `verify` alone"))
            continue
        if record["label"] not in records:
            cell["ids"].append(f"verify-{record['label']}")
        records.setdefault(record["label"], []).append(record)
    for math in list(document.findall(nodes.math_block)):
        label = math.get("label") or ""
        if enclosing_cell(math, "cell_code_output") is not None:
            continue
        if label.startswith((CLAIM, FALSE)):
            claims.append(label)
            if label in records:
                add_tick(math, records[label])
            else:
                call = "verified" if label.startswith(CLAIM) else "refuted"
                problems.append((math.line, f"{label} is not {call} on its page"))
        elif not label.startswith(DEFINITION) and (
            label or not may_be_unlabelled(math)
        ):
            problems.append(
                (
                    math.line,
                    "displayed equation without a label def-…, eq-… or not-…: "
                    f"{math.astext()[:50]!r}",
                )
            )
    problems += [
        (None, f"a call names {label!r}, which is no claim on this page")
        for label in records
        if label not in claims
    ]
    pages(app.env)[app.env.docname] = {
        "claims": claims,
        "records": records,
        "problems": problems,
    }


def add_tick(math, records):
    """Wrap the equation, with a link to the cell that verifies it at its side."""
    mark, label = records[0]["mark"], math["label"]
    say = "Verified" if label.startswith(CLAIM) else "Refuted"
    methods = " and ".join(dict.fromkeys(record["by"] for record in records))
    tick = nodes.reference(
        "",
        mark,
        refid=f"verify-{label}",
        internal=True,
        classes=["tick"],
        reftitle=f"{say} by {methods}: go to the check",
    )
    box = nodes.container(classes=["verified", say.lower()])
    math.parent[math.parent.index(math)] = box  # replace_self would copy the id
    box += [math, nodes.paragraph("", "", tick, classes=["tick-holder"])]


def report_problems(app, env):
    """Warn about every page at each build; return pages to write again."""
    for docname, page in pages(env).items():
        for line, message in page["problems"]:
            LOG.warning(message, location=(docname, line), type="ledger")
    return [doc for doc in env.found_docs if env.metadata.get(doc, {}).get("ledger")]


def in_reading_order(env) -> list[str]:
    """Pages with claims, in the order of the table of contents."""
    order, stack = [], [env.config.root_doc]
    while stack:
        doc = stack.pop(0)
        if doc not in order:
            order.append(doc)
            stack = list(env.toctree_includes.get(doc, [])) + stack
    return [doc for doc in order if pages(env).get(doc, {}).get("claims")]


def fill_table(app, doctree, docname):
    """Replace the directive's place by a summary and the table."""
    for place in list(doctree.findall(ledger_table)):
        docs = in_reading_order(app.env)
        head = [
            "Equation",
            "Label",
            "Chapter",
            "Method",
            "Numbers",
            "Difference",
            "Cell",
        ]
        lines = [line for doc in docs for line in rows(app, docname, doc)]
        scroll = nodes.container(classes=["ledger-scroll"])
        scroll += make_table(head, lines)
        place.replace_self([*summary(app.env, docs), scroll])


def make_table(head, lines):
    """A docutils table from a head of strings and rows of inline nodes."""
    table, group = nodes.table(classes=["ledger"]), nodes.tgroup(cols=len(head))
    table += group
    group += [nodes.colspec(colwidth=1) for _ in head]
    body = [(nodes.thead(), [[nodes.Text(h) for h in head]]), (nodes.tbody(), lines)]
    for part, part_lines in body:
        for line in part_lines:
            cells = (nodes.entry("", nodes.paragraph("", "", cell)) for cell in line)
            part += nodes.row("", *cells)
        group += part
    return table


def records_of(env, docs):
    """Label and records of each claim that was checked, page by page."""
    for doc in docs:
        page = pages(env)[doc]
        for label in page["claims"]:
            if label in page["records"]:
                yield label, page["records"][label]


def summary(env, docs):
    """How many claims there are, and by which methods they were checked."""
    checked = list(records_of(env, docs))
    refuted = sum(label.startswith(FALSE) for label, _ in checked)
    methods = Counter(
        method for _, records in checked for method in {r["by"] for r in records}
    )
    by = ", ".join(f"{method} {count}" for method, count in methods.most_common())
    chapters = "1 chapter states" if len(docs) == 1 else f"{len(docs)} chapters state"
    return [
        nodes.paragraph(
            "",
            f"{chapters} {len(checked) - refuted} claims, all "
            f"verified, and {refuted} false statements, all refuted. "
            f"By method: {by}. A claim that is checked in two ways counts in both.",
        )
    ]


def rows(app, here, doc):
    """One row per claim of a page: number, label, chapter, method, difference, cell."""
    math, uri = app.env.get_domain("math"), app.builder.get_relative_uri(here, doc)
    for label, records in records_of(app.env, [doc]):
        number = math.resolve_xref(app.env, here, app.builder, "eq", label, None, None)
        difference = max(record["difference"] for record in records)
        yield [
            number,
            nodes.literal("", label),
            nodes.reference(
                "", app.env.titles[doc].astext(), internal=True, refuri=uri
            ),
            nodes.Text(", ".join(dict.fromkeys(r["by"] for r in records))),
            nodes.Text(str(sum(record["count"] for record in records))),
            nodes.Text(f"{difference:.1e}"),
            nodes.reference(
                "",
                f"{records[0]['mark']} code",
                internal=True,
                refuri=f"{uri}#verify-{label}",
            ),
        ]


def visit_verified(self, node):
    """Open the line of a result."""
    self.body.append(self.starttag(node, "span", ""))


def depart_verified(self, node):
    """Close it."""
    self.body.append("</span>")


def ignore(self, node):
    """Write nothing around the line."""


def setup(app):
    """Connect roles, directives and the steps of the build."""
    app.add_node(ledger_table)
    app.add_node(
        verified,
        html=(visit_verified, depart_verified),
        latex=(ignore, ignore),
        text=(ignore, ignore),
    )
    app.add_role("verified", Verified())
    app.add_directive("ledger", Ledger)
    app.connect("doctree-read", read_page)
    app.connect("env-updated", report_problems)
    app.connect("doctree-resolved", fill_table)
    app.connect("env-purge-doc", lambda app, env, doc: pages(env).pop(doc, None))
    return {"parallel_read_safe": False, "version": "1"}
