"""Signs of the text: a mark stays with its formula, and nothing else moves."""

import pytest
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document
from punctuation import KeepTogether, write_minus


def document(*pieces):
    """A page of one paragraph; a text between dollars is a formula."""
    page = new_document("page", get_default_settings())
    page += nodes.paragraph()
    for piece in pieces:
        is_formula = isinstance(piece, str) and piece.startswith("$")
        page[0] += nodes.math(text=piece) if is_formula else piece
    return page


def test_the_mark_goes_where_its_formula_is_though_an_equal_one_stands_before():
    number = nodes.strong("", "0.46")
    page = document(
        number, nodes.Text("."), nodes.Text(" With "), "$b$", nodes.Text(".")
    )
    KeepTogether(page).run()
    kept = page[0][3]
    assert [child.astext() for child in page[0]] == ["0.46", ".", " With ", "$b$.", ""]
    assert kept["classes"] == ["kept"] and isinstance(kept[0], nodes.math)


@pytest.mark.parametrize(
    "behind, bound", [(", then", ","), (").", ")."), ("th power", "th"), (" and", "")]
)
def test_only_the_mark_is_bound(behind, bound):
    page = document("$n$", nodes.Text(behind))
    KeepTogether(page).run()
    assert page.astext() == "$n$" + behind
    assert page[0][0].astext() == "$n$" + bound


def test_minus_is_written_in_text_and_alternatives_not_in_code_and_formulas():
    code, image, mute = nodes.literal("", "-1"), nodes.image(alt="at -5"), nodes.image()
    same = nodes.Text("-1, "), nodes.Text("-1, ")
    page = document(*same, code, "$-1$", image, mute)
    write_minus(None, page, "page")
    assert page.astext().startswith("−1, −1, -1$-1$")
    assert image["alt"] == "at −5" and "alt" not in mute
