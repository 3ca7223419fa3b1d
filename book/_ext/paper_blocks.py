"""Formulas, figures, cells and boxes of the site, as LaTeX with the same numbers."""

from docutils import nodes
from sphinx import addnodes
from sphinx.locale import admonitionlabels
from sphinx_proof.nodes import proof_node

ANIMATION = "<IPython.core.display.HTML object>"


class box(nodes.Admonition, nodes.Element):
    """A titled piece of text: theorem, algorithm, exercise, proof, admonition."""


def latex(text):
    """Text that goes to LaTeX as it is."""
    return nodes.raw("", text, format="latex")


def target(page, name) -> str:
    """What links to a name on a page lead to."""
    return rf"\phantomsection\label{{\detokenize{{{page}:{name}}}}}"


def page_of(node) -> str:
    """The page of the site that a node comes from."""
    while not node.get("docname"):
        node = node.parent
    return node["docname"]


def number_of(env, node, kind) -> str:
    """The number of a figure, an equation or a theorem on the site."""
    numbers = env.toc_fignumbers.get(page_of(node), {}).get(kind, {})
    return ".".join(map(str, numbers.get((node["ids"] or [""])[0], ())))


def replace(node, *others):
    """Put others in the place of a node, without its ids."""
    where, place = node.parent, node.parent.index(node)
    where[place : place + 1] = others


def number_displays(tree, env):
    """Write the numbers of equations and figures out, and ticks beside equations."""
    for math in list(tree.findall(nodes.math_block)):
        around, tick = math, ""
        if "verified" in math.parent.get("classes", []):
            around = math.parent
            link = next(r for r in around.findall(nodes.reference))
            kind = "refuted" if "refuted" in around["classes"] else "verified"
            where = f"{page_of(math)}:{link['refid']}"
            tick = rf"\pgtick{{{kind}}}{{{where}}}{{{link.astext()}}}"
        replace(around, latex(display(math, env, tick)))
    for figure in list(tree.findall(nodes.figure)):
        number = number_of(env, figure, "figure")
        replace(figure, latex(rf"\renewcommand\thefigure{{{number}}}"), figure)


def display(math, env, tick) -> str:
    """One displayed formula."""
    body = "\n".join(line for line in math.astext().splitlines() if line.strip())
    if r"\\" in body and r"\begin{" not in body:
        body = rf"\begin{{aligned}}{body}\end{{aligned}}"
    if not math.get("label"):
        return f"\n\\pgdisplay{{{body}}}\n"
    number = number_of(env, math, "displaymath") or math["number"]
    page, label = math["docname"], math["label"]
    # A symbol's label stands before the formula, and LaTeX writes it there.
    names = [name for name in math["ids"] if not name.startswith("sym-")]
    targets = "".join(target(page, name) for name in names)
    label = f"equation:{page}:{label}"
    return f"\n{targets}\\pgequation{{{number}}}{{{tick}}}{{{label}}}{{{body}}}\n"


def number_chapters(tree, env):
    """Beside the name of a chapter stands its number, by which paper is leafed."""
    for link in tree.findall(nodes.reference):
        page = link.get("refuri", "").lstrip("%").partition("#")[0]
        number = env.toc_secnumbers.get(page, {}).get("")
        if number and link.astext() == env.titles[page].astext():
            link += nodes.Text(f" (ch. {number[0]})")


def make_boxes(tree, env):
    """Theorems, exercises and the like become boxes with their numbers and names."""
    for proof in list(tree.findall(proof_node)):
        if isinstance(proof.parent, nodes.Admonition):  # a dropdown that names it
            proof.parent["realtype"] = "proof"
            replace(proof, *proof[0])
        else:
            proof[0]["realtype"] = "proof"
            replace(proof, proof[0])
    for node in list(tree.findall(nodes.Admonition)):
        if isinstance(node, addnodes.desc):  # a function of the package
            continue
        title = next((n for n in node if isinstance(n, nodes.title)), nodes.title())
        kind = node.get("realtype") or node.get("type") or "note"
        number = number_of(env, node, node.get("countertype", kind))
        if "countertype" in node:
            title.insert(0, nodes.Text(f"{kind.capitalize()} {number}"))
        elif "dropdown" in node["classes"] and title.astext().startswith("Proof"):
            kind = "proof"
        elif not len(title):
            title += nodes.Text(admonitionlabels.get(node.tagname, ""))
        new = box("", title, kind=kind, number=number, ids=node["ids"])
        new += [child for child in contents(node) if child is not title]
        if "target_label" in node:
            new["target"] = node["target_label"]
        replace(node, new)


def contents(node):
    """What is in an admonition, without the section around it."""
    for child in node:
        yield from child if isinstance(child, nodes.section) else [child]


def visit_box(self, node):
    """Open a box; its title, a node of its own, follows as an argument."""
    ids = [f"{self.curfilestack[-1]}:{i}" for i in node["ids"]]
    ids += [f"exercise:{i}" for i in node["ids"] if node["kind"] == "exercise"]
    self.body.append(f"\n\\begin{{pgbox}}{{{node['kind']}}}{{{node['number']}}}")
    self.body.append("{" + "".join(rf"\label{{\detokenize{{{i}}}}}" for i in ids) + "}")
    self.no_latex_floats += 1


def depart_box(self, node):
    """Close it."""
    self.body.append("\n\\end{pgbox}\n")
    self.no_latex_floats -= 1


def prepare_cells(tree):
    """Leave out code that only draws, and what only moves; let ticks lead to cells."""
    for cell in list(tree.findall(nodes.container)):
        if "tag_hide-input" in cell["classes"]:
            cell[:] = [n for n in cell if n.get("nb_element") != "cell_code_source"]
        if "cell_output" in cell["classes"]:
            cell[:] = [n for n in cell if not n.astext().startswith(ANIMATION)]
        for name in cell["ids"]:
            cell.insert(0, latex(target(page_of(cell), name)))
