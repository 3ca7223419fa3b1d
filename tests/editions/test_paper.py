"""The book on paper: complete, with the numbers of the site, and within its lines."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

ROOT = Path(__file__).parents[2]
PDF = ROOT / "_build" / "policy_gradients_executed.pdf"
LATEX = ROOT / "_build" / "paper" / "_build" / "latex" / PDF.name
HTML = ROOT / "_build" / "html" / "book"
SOURCES = {path.stem: path.read_text("utf8") for path in (ROOT / "book").glob("*.md")}
NUMBERED = ".eqno, figcaption .caption-number, .admonition-title .caption-number"
PICTURES = ".cell_output img:not(details img)"  # what is behind details moves
WIDEST = 10  # points by which a line may hang out of its column
SMALLEST = 70  # percent to which a formula may be shrunk
COMPLAINT = (
    r".*(?:Reference .* undefined|reference .* undefined|Citation .* undefined|"
    r"multiply defined|Missing character).*"
)
MARKUP = (
    r".*(?:\?\?|:::|```|\{(?:eq|ref|prf:\w+|glue:\w+|cite:\w+)\}|"
    r"<span class).*"
)


@cache
def log() -> str:
    return LATEX.with_suffix(".log").read_text("utf8", errors="replace")


@cache
def texts() -> list[str]:
    """The text of each page."""
    command = ["pdftotext", "-layout", str(PDF), "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split("\f")[:-1]


@cache
def labels() -> dict[str, tuple[str, str]]:
    """Number and page of everything that is referred to."""
    aux = LATEX.with_suffix(".aux").read_text("utf8")
    found = re.findall(r"\\newlabel\{([^{}]*)\}\{\{([^{}]*)\}\{([^{}]*)\}", aux)
    return {name: (number, page) for name, number, page in found}


@cache
def pages() -> dict[str, int]:
    """From the number on a page to its place in the file."""
    return {label: i for i, label in enumerate(reader().page_labels)}


def printed(page: str) -> str:
    """The text of the page with a number."""
    return texts()[pages()[page]]


def following(page: str) -> str:
    """The next page, on which a long exercise ends."""
    return texts()[pages()[page] + 1]


def chapters() -> list[str]:
    """The pages of the book, in reading order."""
    contents = (ROOT / "_toc.yml").read_text("utf8")
    return re.findall(r"file: book/(\w+)$", contents, flags=re.M)


def faults(log: str) -> list[str]:
    """What the typesetter complains about."""
    found = re.findall(
        r".*(?:(?:eference|itation) .* undefined|multiply defined|Missing character).*",
        log,
    )
    for line, points in re.findall(r"(Overfull \\hbox \((.*?)pt too wide\).*)", log):
        found += [line] if float(points) > WIDEST else []
    for line, percent in re.findall(r"(formula .* shrunk to (\d+) percent)", log):
        found += [line] if int(percent) < SMALLEST else []
    return found


def unprinted(text: str) -> list[str]:
    """What is markup, or a reference that leads nowhere."""
    return re.findall(MARKUP, text)


@cache
def reader() -> PdfReader:
    return PdfReader(PDF)


@cache
def site(stem: str) -> BeautifulSoup:
    """A page of the site."""
    return BeautifulSoup((HTML / f"{stem}.html").read_text("utf8"), "html.parser")


@cache
def on_the_site() -> dict[str, str]:
    """The numbers of equations, figures, theorems and exercises, by page and id."""
    numbers = {}
    for stem in chapters():
        for element in site(stem).select(NUMBERED):
            number = re.search(r"(?:[A-Z]\.)?[\d.]*\d", element.text)
            if number:
                name = f"book/{stem}:{element.find_parent(id=True)['id']}"
                name = re.sub(r"(.*:)equation-", r"equation:\1", name)
                numbers[name] = number[0]
    return numbers


def test_the_typesetter_has_no_complaint():
    assert faults(log()) == []


@pytest.mark.parametrize(
    "line",
    [
        "LaTeX Warning: Reference `fig-no' on page 3 undefined on input line 7.",
        "LaTeX Warning: Citation `nobody' on page 3 undefined on input line 7.",
        "LaTeX Warning: Label `fig-two' multiply defined.",
        "Missing character: There is no ☃ (U+2603) in font [texgyrepagella-regular]",
        r"Overfull \hbox (30.1pt too wide) in paragraph at lines 1--2",
        "formula 4.2 shrunk to 43 percent",
    ],
)
def test_a_complaint_is_found(line):
    assert faults(f"This is XeTeX\n{line}\n") == [line]


def test_it_is_a_book():
    assert len(texts()) > 200
    metadata = reader().metadata
    assert metadata.title == "Policy Gradients, Executed"
    assert metadata.author == "The pgbook authors"


def test_every_chapter_stands_in_the_outline():
    def names(outline):
        for entry in outline:
            if isinstance(entry, list):
                yield from names(entry)
            else:
                yield plain(entry.title)

    def plain(title):
        return re.sub(r"\W+", " ", title).strip()

    found = set(names(reader().outline))
    titles = [re.search(r"^# (.*)", SOURCES[stem], re.M)[1] for stem in chapters()]
    assert [title for title in titles if plain(title) not in found] == []
    assert {"About this book", "Solutions"} <= found


def test_numbers_are_those_of_the_site():
    expected = on_the_site()
    assert len(expected) > 400
    assert {name: labels().get(name, [None])[0] for name in expected} == expected


def test_the_number_of_an_equation_is_printed_on_its_page():
    for name, (number, page) in labels().items():
        if name.startswith("equation:") and number.count(".") == 1:
            assert f"({number})" in printed(page), name


def test_every_exercise_leads_to_its_solution_at_the_end():
    start = int(labels()["book/index:solutions"][1])
    for stem in chapters():
        pairs = re.findall(
            r"\{solution-start\} (\S+)\n:label: (\S+)", SOURCES[stem], re.M
        )
        assert len(pairs) == SOURCES[stem].count("{exercise-start}")
        for exercise, solution in pairs:
            number, page = labels()[f"book/{stem}:{exercise}"]
            _, there = labels()[f"book/{stem}:{solution}"]
            assert int(page) < start <= int(there)
            assert f"Exercise {number} " in printed(page)
            assert f"Solution on page {there}" in printed(page) + following(page)
            assert f"Exercise {number} " in printed(there)


def test_every_figure_is_printed_as_vectors():
    tex = LATEX.with_suffix(".tex").read_text("utf8")
    included = re.findall(r"includegraphics\[?.*?\{\{(.*?)\}(\.\w+)\}", tex)
    stems = ["index", *chapters()]
    shown = [image for stem in stems for image in site(stem).select(PICTURES)]
    assert len(included) == len(shown)
    assert {ending for _, ending in included} == {".pdf"}
    assert all((LATEX.parent / (name + ending)).exists() for name, ending in included)


def test_nothing_is_left_of_the_markup():
    assert [line for text in texts() for line in unprinted(text)] == []


@pytest.mark.parametrize(
    "line", ["as (??) says", "by {eq}`eq-no`", "a <span class=tick>"]
)
def test_markup_is_found(line):
    assert unprinted(line) == [line]
