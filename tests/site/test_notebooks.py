"""Every notebook that can be downloaded reads well where no extension is installed."""

import re
from pathlib import Path

import nbformat
import pytest
from checks import soup
from conftest import HTML, ROOT
from nbformat import v4

NOTEBOOKS = sorted(HTML.rglob("*.ipynb"))
MYST = {
    "role": r"\{[\w:-]+\}`",
    "directive": r"^[`:]{3,}\{",
    "colons": r"^:::",
    "label": r"^\([\w-]+\)=|\$\$ \([\w-]+\)",
    "footnote": r"\[\^",
    "comment": r"^%",
    "relative link": r"\]\((?!https?://|#)",
}

of_notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def prose(notebook) -> str:
    """The text of a notebook, without code."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```$", "", "\n\n".join(texts), flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`(?!`)", "", text)


def leftovers(notebook) -> list[str]:
    """What only an extension understands."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^```\w*\n.*?^```$", "", "\n\n".join(texts), flags=re.S | re.M)
    found = {name: re.findall(mark, text, flags=re.M) for name, mark in MYST.items()}
    return [name for name, places in found.items() if places]


def formulas(notebook) -> tuple[int, int]:
    """How many formulas are displayed, and how many stand in lines."""
    text = prose(notebook).replace(r"\$", "")
    inline = re.sub(r"\$\$.*?\$\$", "", text, flags=re.S)
    displayed, in_lines = text.count("$$") / 2, inline.count("$") / 2
    return displayed, in_lines


def formulas_of_page(path: Path) -> tuple[int, int]:
    """The same of the page of the book, apart from the outputs of its cells."""
    found = {"div": 0, "span": 0}
    for math in soup(path).select("article .math"):
        printed = math.find_parent(class_="cell_output")
        if not printed or math.find_parent("figcaption"):
            found[math.name] += 1
    return found["div"], found["span"]


def test_every_page_with_code_has_its_notebook():
    with_code = {
        path.stem
        for path in (ROOT / "book").glob("[!_]*.md")
        if "{code-cell}" in path.read_text("utf8")
    }
    assert {path.stem for path in NOTEBOOKS} == with_code


@of_notebooks
def test_a_notebook_needs_no_extension(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert leftovers(notebook) == []


@of_notebooks
def test_a_notebook_has_the_formulas_of_its_page(path):
    notebook = nbformat.read(path, as_version=4)
    assert formulas(notebook) == formulas_of_page(path.with_suffix(".html"))


@of_notebooks
def test_a_notebook_has_the_code_of_its_page(path):
    source = (ROOT / "book" / f"{path.stem}.md").read_text("utf8")
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == source.count("```{code-cell}")
    assert all(cell.source.strip() in without_margins(source) for cell in code)


def without_margins(source: str) -> str:
    """A source whose lines end where their text ends."""
    return "\n".join(line.rstrip() for line in source.splitlines())


@of_notebooks
def test_the_page_offers_its_notebook(path):
    page = soup(path.with_suffix(".html"))
    (link,) = page.select(f'a[href="{path.name}"]')
    assert link.has_attr("download") and not link.has_attr("target")


def test_nothing_is_launched_while_the_repository_has_no_address():
    places = "a[href*='mybinder.org'], a[href*='colab.research']"
    assert not any(soup(path.with_suffix(".html")).select(places) for path in NOTEBOOKS)


@pytest.mark.parametrize(
    "text",
    [
        "By {eq}`eq-coin`.",
        "```{prf:theorem} A coin\nIt lands.\n```",
        ":::{note}\nA coin.\n:::",
        "(ch-coin)=\n# Coins",
        "$$\nx\n$$ (eq-coin)",
        "A coin.[^1]",
        "% a comment",
        "[the coin](coin.html)",
    ],
)
def test_a_leftover_is_found(text):
    assert leftovers(v4.new_notebook(cells=[v4.new_markdown_cell(text)])) != []


def test_a_formula_that_is_not_closed_is_found():
    cell = v4.new_markdown_cell("Half of $p and \\$ 5 and `$x$`.")
    assert formulas(v4.new_notebook(cells=[cell])) == (0, 0.5)
