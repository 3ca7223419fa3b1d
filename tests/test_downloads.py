"""What readers are told to install is one line, and the first cell on Colab is code."""

import ast
from pathlib import Path

import pytest
from downloads import CLONE, FETCH, INSTALL
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["README.md", "book/reproducing.md", "Makefile"])
def test_the_line_to_install_is_the_same_everywhere(name):
    assert INSTALL in (ROOT / name).read_text("utf8")


def test_binder_installs_what_the_line_installs():
    lines = (ROOT / "binder" / "requirements.txt").read_text("utf8").splitlines()
    assert {"-e .[book]", "jupyterlab", "-c ../requirements.txt"} <= set(lines)


def test_the_cell_that_fetches_the_book_is_code():
    url = "https://github.com/owner/name"
    cell = FETCH.format(repository=url, clone=CLONE)
    ast.parse(TransformerManager().transform_cell(cell))
