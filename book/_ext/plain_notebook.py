"""A page of the book as a notebook that reads well in any program.

It holds no outputs: numbers in the text are those of the book, and running it takes
seconds. Solutions come last, so that nobody reads one by accident.
"""

from collections.abc import Iterator

from docutils import nodes
from ledger import verified
from nbformat import v4
from plain_markdown import PlainMarkdown
from sphinx_exercise.nodes import exercise_enumerable_node, solution_node

SOLUTIONS = "*The solutions stand at the end of this notebook.*"
VERBS = {"✓": "Checked here", "✗": "Refuted here"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def is_cell(node) -> bool:
    """Whether a node is a code cell with its outputs."""
    return isinstance(node, nodes.Element) and node.get("nb_element") == "cell_code"


def plain_notebook(document, docname: str, env, address: str, head: list):
    """The page as a notebook.

    Args:
        document: the resolved document.
        docname: its name.
        env: Sphinx's environment, for numbers.
        address: the public address of the page, or nothing.
        head: cells that follow the title.
    """
    markdown = PlainMarkdown(env.toc_fignumbers.get(docname, {}), address)
    chapter = ".".join(map(str, env.toc_secnumbers.get(docname, {}).get("", ())))
    title, *rest = filter(None, pieces(document, markdown))
    title = f"# {chapter}. {title[2:]}" if chapter else title
    cells = [v4.new_markdown_cell(title), *head, *cells_of(rest)]
    for solution in document.findall(solution_node):
        cells += cells_of(pieces_of_solution(solution, markdown))
    for count, cell in enumerate(cells, 1):
        cell.id = f"cell-{count}"
    return v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def pieces(node, markdown, depth: int = 0) -> Iterator[str | nodes.Element]:
    """Texts and code cells of a node, in order."""
    match node:
        case nodes.container() if is_cell(node):
            yield node
            yield from notes(node, markdown)
            return
        case solution_node():
            return
        case exercise_enumerable_node():
            number, title = markdown.number(node, "exercise"), markdown.inlines(node[0])
            yield f"### Exercise {number}{title}"
        case nodes.section() if isinstance(node[0], nodes.title):
            depth += 1
            yield f"{'#' * depth} {markdown.inlines(node[0])}"
            if any(isinstance(child, solution_node) for child in node):
                yield SOLUTIONS
        case nodes.document() | nodes.section() | nodes.container():
            pass
        case _:
            yield markdown.block(node)
            return
    for child in node.children:
        if not isinstance(child, nodes.title):
            yield from pieces(child, markdown, depth)


def pieces_of_solution(solution, markdown) -> Iterator[str | nodes.Element]:
    """Texts and code cells of a solution, under a heading of its own."""
    yield f"## {markdown.inlines(solution[0])}"
    for child in solution.children[1:]:
        yield from pieces(child, markdown)


def notes(cell, markdown) -> Iterator[str]:
    """What the book shows of a cell besides its code and its outputs."""
    found = {verb: {} for verb in VERBS.values()}
    for line in cell.findall(verified):
        record, number = line["record"], line.next_node(nodes.reference).astext()
        found[VERBS[record["mark"]]][record["label"]] = f"{number} `{record['label']}`"
    for verb, labels in found.items():
        if labels:
            yield f"*{verb}:* {', '.join(labels.values())}."
    for figure in cell.findall(nodes.figure):
        caption = markdown.inlines(figure.next_node(nodes.caption))
        yield f"**Fig. {markdown.number(figure, 'figure')}.** {caption}"


def cells_of(pieces) -> Iterator:
    """Cells of a notebook; each heading begins one."""
    text = ""
    for piece in filter(None, pieces):
        is_code = not isinstance(piece, str)
        if text and (is_code or piece.startswith("#")):
            yield v4.new_markdown_cell(text)
            text = ""
        if is_code:
            yield code_cell(piece)
        else:
            text = f"{text}\n\n{piece}" if text else piece
    if text:
        yield v4.new_markdown_cell(text)


def code_cell(node):
    """A code cell; where the book hides the code of a figure, Jupyter folds it."""
    cell = v4.new_code_cell(node.next_node(nodes.literal_block).astext())
    if "hide-input" in node["cell_metadata"].get("tags", []):
        cell.metadata["jupyter"] = {"source_hidden": True}
    return cell
