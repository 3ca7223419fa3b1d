"""Rewrite the references: `python tests/notebooks/references.py [name …]`."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
from conftest import BOOK, COMPARED, REFERENCES, chapters, digest
from nbclient import NotebookClient
from nbval.plugin import coalesce_streams


def kept(cell):
    """The outputs of a cell as text; pictures are left out."""
    for output in coalesce_streams(cell.outputs):
        if output.output_type == "stream":
            yield {
                "stream": output.name,
                "text": output.text.splitlines(keepends=True),
            }
        elif COMPARED in output.data:
            yield {"text": output.data[COMPARED].splitlines(keepends=True)}
        else:
            yield {}


def write(path: Path) -> None:
    """Execute a chapter and keep what it prints."""
    notebook = jupytext.read(path)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=120, resources=folder).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    record = [{"source": digest(c), "outputs": list(kept(c))} for c in cells]
    REFERENCES.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (REFERENCES / f"{path.stem}.json").write_text(text, "utf8")


if __name__ == "__main__":
    paths = [BOOK / f"{name}.md" for name in sys.argv[1:]] or chapters()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, paths))
    if not sys.argv[1:]:
        for unused in set(REFERENCES.glob("*.json")) - {
            REFERENCES / f"{path.stem}.json" for path in paths
        }:
            unused.unlink()
