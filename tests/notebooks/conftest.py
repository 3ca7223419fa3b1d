"""nbval over the chapters: `references/<name>.json` is collected as the notebook of
`book/<name>.md`, with the outputs kept in the reference injected."""

import hashlib
import json
import os
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbval.plugin import IPyNbFile

HERE = Path(__file__).parent
BOOK = Path(os.environ.get("PGBOOK_BOOK", HERE.parents[1] / "book"))
REFERENCES = Path(os.environ.get("PGBOOK_REFERENCES", HERE / "references"))
RUNS = HERE.parents[1] / "_build" / "notebooks"
COMPARED = "text/plain"


def chapters() -> list[Path]:
    """The pages that have code."""
    pages = sorted(BOOK.glob("[!_]*.md"))
    return [page for page in pages if "{code-cell}" in page.read_text("utf8")]


def digest(cell) -> str:
    """What tells that a code cell has changed."""
    return hashlib.sha256(cell.source.encode()).hexdigest()[:16]


def with_reference(chapter: Path, reference: Path):
    """The chapter as a notebook whose outputs are those of the reference."""
    advice = f"run `make references NAMES={chapter.stem}` and read the diff"
    if not chapter.exists():
        raise pytest.UsageError(f"{reference.name}: unused, there is no {chapter.name}")
    notebook = jupytext.read(chapter)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    wanted = json.loads(reference.read_text("utf8"))
    if len(cells) != len(wanted):
        raise pytest.UsageError(
            f"{chapter.name}: {len(cells)} code cells but {len(wanted)} references; "
            f"{advice}"
        )
    for count, (cell, want) in enumerate(zip(cells, wanted, strict=True), 1):
        if want["source"] != digest(cell):
            raise pytest.UsageError(
                f"{chapter.name}: code cell {count} has changed; {advice}"
            )
        cell.execution_count = count  # nbval compares nothing in a cell without
        cell.outputs = [as_output(kept) for kept in want["outputs"]]
    return notebook


def as_output(kept: dict):
    """One output of a cell, from its text."""
    if "stream" in kept:
        return nbformat.v4.new_output(
            "stream", name=kept["stream"], text="".join(kept["text"])
        )
    data = {COMPARED: "".join(kept["text"])} if "text" in kept else {}
    return nbformat.v4.new_output("display_data", data=data)


class Chapter(IPyNbFile):
    """A notebook of which nbval compares the text outputs alone."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.skip_compare += (
            "text/html",
            "text/markdown",
            "text/latex",
            "image/svg+xml",
            "application/papermill.record/text/plain",
        )


def pytest_sessionstart(session):
    """Every chapter has a reference, before any kernel starts."""
    if session.config.option.nbval:
        names = {path.stem for path in chapters()}
        kept = {path.stem for path in REFERENCES.glob("*.json")}
        for name in sorted(names - kept):
            raise pytest.UsageError(
                f"{name}.md: no reference; run `make references NAMES={name}`"
            )


def pytest_collect_file(file_path, parent):
    """Collect a reference as its chapter."""
    if not parent.config.option.nbval or file_path.parent != REFERENCES:
        return None
    if file_path.suffix != ".json":
        return None
    notebook = with_reference(BOOK / f"{file_path.stem}.md", file_path)
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f"{file_path.stem}.ipynb"
    scratch = path.with_suffix(f".{os.getpid()}")
    nbformat.write(notebook, scratch)
    scratch.replace(path)  # every worker writes the same file
    return Chapter.from_parent(parent, path=path)
