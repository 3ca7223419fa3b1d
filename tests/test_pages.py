"""Pages are finished as text: styles, pictures, boxes, titles."""

from base64 import b64encode

import describe
import lighten
import mend_theme
import pytest
import styles

SHEET = """.used, .unused { color: red } .used:not(.open) > #here { top: 0 }
.unused .used { left: 0 } @media print { .unused { right: 0 } .used { bottom: 0 } }"""


def test_only_rules_that_can_match_are_kept(tmp_path):
    (tmp_path / "styles").mkdir()
    (sheet := tmp_path / "styles" / "one.css").write_text(SHEET)
    text = styles.gather([sheet], {"used", "here"}, set("a"))
    assert "unused" not in text and "left" not in text and "right" not in text
    assert all(kept in text for kept in ("red", ":not(.open)", "top", "bottom"))


def test_addresses_follow_a_rule_into_the_folder(tmp_path):
    (tmp_path / "styles").mkdir()
    (sheet := tmp_path / "styles" / "one.css").write_text("a{src:url(../b/c.svg?d)}")
    assert "url(b/c.svg)" in styles.gather([sheet], set(), set("a"))


def test_a_page_waits_for_nothing_but_its_stylesheet(tmp_path):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="3px" height="4px"></svg>'
    data = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    page = f"""<link rel="stylesheet" href="a.css" /><link href="b.css?v=1"
 rel="stylesheet"><script src="c.js"></script><img src="{data}">"""
    found = lighten.lighten(page, tmp_path / "page.html", tmp_path)
    assert found.count("stylesheet") == 1 and "pages.css" in found
    assert '<script defer src="c.js">' in found and "data:" not in found
    assert 'width="3" height="4" loading="lazy"' in found
    assert [p.read_bytes() for p in (tmp_path / "_images").iterdir()] == [svg]


def test_a_box_folds_with_all_that_is_in_it():
    page = (
        '<div class="dropdown admonition" id="x"> <p class="admonition-title">A '
        '<a href="#">b</a></p><div>c<div>d</div></div></div><div>e</div>'
    )
    assert mend_theme.fold_boxes(page) == (
        '<details class="dropdown admonition" id="x"><summary class="admonition-title">'
        "A b</summary><div>c<div>d</div></div></details><div>e</div>"
    )


@pytest.mark.parametrize(
    "title, named",
    [("A chapter", "A chapter · Book"), ("Book", "Book")],
    ids=["a chapter", "the cover"],
)
def test_a_title_is_chapter_and_book(title, named):
    page = f"<title>{title} &#8212; Book</title>"
    assert describe.SEPARATOR.sub(describe.name, page) == f"<title>{named}</title>"
