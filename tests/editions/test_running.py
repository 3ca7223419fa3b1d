"""Every downloaded notebook runs where nothing but the documented line is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from plain_notebook import KERNEL

ROOT = Path(__file__).parents[2]
FRESH = Path(os.environ.get("FRESH", ROOT / ".venv" / "fresh"))
NOTEBOOKS = sorted((ROOT / "_build" / "html").rglob("*.ipynb"))


def run(notebook: Path) -> subprocess.CompletedProcess:
    """Run a notebook from its first cell to its last, as a reader would."""
    environment = os.environ | {
        "PATH": f"{FRESH / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": "",
        "IPYTHONDIR": str(notebook.parent / "ipython"),
    }
    return subprocess.run(
        ["jupyter", "execute", "--timeout=300", notebook.name],
        cwd=notebook.parent,
        env=environment,
        executable=FRESH / "bin" / "jupyter",
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_downloaded_notebook_runs_to_its_end(path, tmp_path):
    done = run(Path(shutil.copy(path, tmp_path)))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", ["1 / 0", "import sphinx", "%no_such_magic"])
def test_a_cell_that_fails_is_found(code, tmp_path):
    cells = [v4.new_code_cell("x = 1"), v4.new_code_cell(code)]
    path = tmp_path / "failing.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    done = run(path)
    assert done.returncode != 0
    assert code.split()[-1] in done.stderr
