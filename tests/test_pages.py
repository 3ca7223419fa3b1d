"""Pages are finished as text: styles, pictures, boxes, titles."""

from base64 import b64encode

import describe
import lighten
import mend_theme
import pytest
import styles
from docutils.core import publish_doctree

SHEET = """.used, .unused { color: red } .used:not(.open) > #here { top: 0 }
.unused .used { left: 0 } @media print { .unused { right: 0 } .used { bottom: 0 } }"""

FAR = "below the screen " * lighten.OPENING


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
 rel="stylesheet"><script src="c.js"></script><script>d</script></head>
<body><img src="{data}"></body>"""
    found = lighten.lighten(page, tmp_path / "page.html", tmp_path)
    assert found.count("stylesheet") == 1 and "pages.css" in found
    assert '<script defer src="c.js">' in found and "data:" not in found
    assert found.startswith("<script>d</script>")
    assert 'width="3" height="4" loading="lazy"' in found
    assert [p.read_bytes() for p in (tmp_path / "_images").iterdir()] == [svg]


@pytest.mark.parametrize(
    "article, fonts",
    [
        ("<p>plain</p>", set()),
        ("<p><em>word</em></p>", {"Literata-Italic"}),
        (
            '<p class="mathbb mop small-op">',
            {"KaTeX_AMS-Regular", "KaTeX_Size1-Regular"},
        ),
        (f"<section>{FAR}<em>word</em></section>", {"Literata-Italic"}),
        (f"<section>{FAR}<section><em>word</em></section></section>", set()),
    ],
    ids=["none", "italic", "formula", "one section", "below"],
)
def test_a_page_brings_the_fonts_of_its_opening(article, fonts):
    page = f'<link rel="stylesheet" href="a.css"/><article>{article}</article></body>'
    faces = {font: f"@{font}" for font in lighten.OPENING_FONTS}
    page = lighten.embed_fonts(page, faces)
    assert {font for font in faces if f"@{font}" in page} == fonts
    assert page.count("face.load()") == 1 and f"size - {len(fonts)})" in page


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


@pytest.mark.parametrize(
    "text, described",
    [
        ("One.\nTwo.\n\nThree.", "One. Two. Three."),
        ("Say :math:`x`.\nIt is.\n\nOne.\nSay :math:`x`.\n\nTwo.", "One."),
        ("- An item.\n\nOne.", "One."),
        ("Half a sentence:\n\nOne.", "One."),
    ],
    ids=["paragraphs", "formulas", "lists", "half sentences"],
)
def test_a_description_is_made_of_first_sentences(text, described):
    assert describe.summary(publish_doctree(text)) == described
