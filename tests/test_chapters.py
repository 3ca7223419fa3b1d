"""The sources of the chapters keep the house style where a machine can tell."""

import ast
import re
from pathlib import Path

import jupytext
import pytest
from outline import chapters, prose

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "book").glob("[!_]*.md"))
CHAPTERS = [ROOT / "book" / f"{stem}.md" for stem in chapters()]
CHECKS = {
    "verify",
    "verify_lines",
    "verify_at_most",
    "verify_slope",
    "verify_unbiased",
    "refute",
}
SECTIONS = (
    "What can go wrong",
    "Questions readers ask",
    "Summary",
    "Exercises",
    "Further reading",
)

BRITISH = "behaviour|colour|favour|normalis|optimis|generalis|centre|labelled|modell"
NO_ALGORITHM = ("objective", "score_function", "trajectory_probability")

of_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
of_chapters = pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)


def cells(page: Path) -> list:
    """The code cells of a page."""
    return [
        cell
        for cell in jupytext.read(page, fmt="md:myst").cells
        if cell.cell_type == "code"
    ]


def prose_of(page: Path) -> str:
    """The prose of a page."""
    return prose(page.read_text("utf8"))


def calls(page: Path, names: set[str]) -> list[ast.Call]:
    """Calls of some functions in the cells of a page."""
    trees = [ast.parse(cell.source) for cell in cells(page)]
    return [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
    ]


@of_pages
def test_cells_have_neither_magics_nor_long_lines(page):
    for number, cell in enumerate(cells(page), 1):
        lines = cell.source.splitlines()
        assert not [line for line in lines if line.lstrip().startswith(("!", "%"))]
        assert max(map(len, lines), default=0) <= 88, f"code cell {number}"
        assert len([line for line in lines if line.strip()]) <= 25, (
            f"code cell {number}"
        )


@of_pages
def test_labels_of_checks_are_string_literals(page):
    for call in calls(page, CHECKS):
        first = call.args[0]
        assert isinstance(first, ast.Constant) and isinstance(first.value, str)


@of_pages
def test_a_cell_whose_output_is_not_compared_asserts(page):
    for cell in cells(page):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            tree = ast.parse(cell.source)
            asserts = any(isinstance(node, ast.Assert) for node in ast.walk(tree))
            checked = any(f"{name}(" in cell.source for name in CHECKS)
            assert asserts or checked, cell.source


def draws(cell) -> bool:
    """Whether a cell shows a figure."""
    return "plt.show()" in cell.source or "\nSlider(" in cell.source


@of_pages
def test_figures_have_caption_name_and_alternative(page):
    for cell in filter(draws, cells(page)):
        shown = cell.metadata.get("mystnb", {})
        assert shown["figure"]["caption"].strip()
        assert shown["figure"]["name"].startswith("fig-")
        moves = "\nSlider(" in cell.source  # and brings an alternative per picture
        assert moves or len(shown["image"]["alt"]) >= 20


@of_pages
def test_at_most_two_cells_hide_their_input(page):
    hidden = [c for c in cells(page) if "hide-input" in c.metadata.get("tags", [])]
    assert len(hidden) <= 2
    assert all(map(draws, hidden))


@of_pages
def test_displays_stand_alone_on_their_lines(page):
    text = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text("utf8"), flags=re.S | re.M)
    for line in text.splitlines():
        assert "$$" not in line or re.fullmatch(r"\$\$( \([\w-]+\))?", line), line
    assert "\\begin{align}" not in text and "\\begin{equation}" not in text


@of_chapters
def test_numbers_in_prose_are_glued_or_settings(page):
    text = page.read_text("utf8")
    typed = re.findall(r"(?<![\w.^§-])\d+\.\d+(?![\w.])|\d+ ?%", prose(text))
    settings = "".join(cell.source for cell in cells(page))
    settings += "".join(re.findall(r"\$[^$]+\$", text))
    assert [number for number in typed if number not in settings] == []


@of_pages
def test_reported_numbers_are_used_and_used_numbers_reported(page):
    keys = set()
    for call in calls(page, {"report"}):
        first = call.args[0]
        if isinstance(first, ast.Constant):
            keys.add(re.escape(first.value))
        else:  # an f-string or a name: any text may stand for its fields
            parts = [
                re.escape(part.value) if isinstance(part, ast.Constant) else ".+"
                for part in getattr(first, "values", [first])
            ]
            keys.add("".join(parts))
    used = set(re.findall(r"\{glue:text\}`([^`]+)`", page.read_text("utf8")))
    assert {u for u in used if not any(re.fullmatch(k, u) for k in keys)} == set()


@of_pages
def test_prose_follows_the_style(page):
    text = prose_of(page)
    assert "it can be shown" not in text.lower()
    assert re.findall(rf"\b(?:{BRITISH})\w*", text, flags=re.I) == []
    assert re.findall(r"(?<![|!])!(?!\[)", text) == []
    pointing = r"\b(?:equation|figure|table|cell|section|formula)s? (?:above|below)"
    assert re.findall(pointing, text) == []


@of_chapters
def test_chapters_have_their_anatomy(page):
    text = page.read_text("utf8")
    label = f"(ch-{page.stem.replace('_', '-')})="
    assert re.search(rf"^{re.escape(label)}\n# ", text, flags=re.M)
    headings = re.findall(r"^## (.*)$", text, flags=re.M)
    assert headings[-len(SECTIONS) :] == list(SECTIONS)
    assert "After this chapter you can" in text and "**You need**" in text
    assert "{prf:algorithm}" in text or page.stem in NO_ALGORITHM
    exercises = text.count("{exercise-start}")
    assert 4 <= exercises <= 6
    assert text.count("{solution-start}") == exercises
    assert len(re.findall(r"\d+ minutes", text)) >= exercises


@of_chapters
def test_chapters_have_the_right_length(page):
    text = page.read_text("utf8")
    body = text[: text.index("## Questions readers ask")]
    summary = text[text.index("## Summary") : text.index("## Exercises")]
    words = 0
    for part in (body, summary):
        part = re.sub(r"^`{3,}\{prf:proof\}.*?^`{3,}$", "", part, flags=re.S | re.M)
        words += len(prose(part).split())
    assert 1000 <= words <= 3500, f"{words} words"
    shown = len(re.findall(r"^```\{code-cell\}", body, flags=re.M))
    assert 10 <= shown <= 30, f"{shown} cells"
