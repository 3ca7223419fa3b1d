"""The checks of the site can fail: one page with a fault for each of them."""

from random import Random

import matplotlib
import matplotlib.pyplot as plt
import pytest
from checks import (
    LOOKS,
    NARROW,
    THEMES,
    THIN,
    WIDE,
    WIDTHS,
    bad_formulas,
    broken_links,
    duplicate_ids,
    faults_of_the_head,
    hyphens_for_minus,
    mute_formulas,
    open_page,
    pictures_without_size,
    pictures_without_words,
    slider_faults,
    visit,
)
from keyboard import tab_through

from pgbook.slider import Slider

matplotlib.use("Agg")

SOUND = """<!DOCTYPE html>
<html lang="en"><head><title>Seeded</title>
<meta name="description" content="A page with one fault, or with none at all.">
<meta property="og:title" content="Seeded"><meta property="og:image" content="card.png">
<meta property="og:description" content="A page with one fault, or with none at all.">
<meta name="twitter:card" content="summary_large_image">
<link rel="icon" href="data:,"></head>
<body><main><article><h1 id="top">Seeded</h1>FAULT</article></main></body></html>"""


@pytest.fixture
def page(tmp_path):
    """Write the page with a fault."""

    def write(fault):
        path = tmp_path / "page.html"
        path.write_text(SOUND.replace("FAULT", fault), "utf8")
        return path

    return write


def test_the_page_without_a_fault_is_green(browser, visitor, page):
    path = page('<p>A <a href="#top">link</a>.</p>')
    seen = visit(visitor, path)
    assert seen.errors == seen.strangers == []
    assert not any(seen.violations.values()) and max(seen.overflow.values()) <= 0
    assert bad_formulas(path) == duplicate_ids(path) == []
    assert broken_links(path, path.parent) == pictures_without_words(path) == []
    assert pictures_without_size(path) == mute_formulas(path) == []
    assert hyphens_for_minus(path) == []
    assert faults_of_the_head(path, "") == [] and seen.weight < 1
    opened = open_page(browser, path)
    assert tab_through(opened) == []
    opened.close()


@pytest.mark.parametrize(
    "fault",
    [
        '<span class="math">\\(x^2\\)</span>',
        '<span class="katex" style="color:#cc0000">\\E</span>',
        "<p>A formula $x^2$ as text.</p>",
    ],
)
def test_a_bad_formula_is_found(page, fault):
    assert bad_formulas(page(fault)) != []


@pytest.mark.parametrize(
    "url", ["missing.html", "#nowhere", "page.html#nowhere", "../"]
)
def test_a_broken_link_is_found(page, url):
    path = page(f'<a href="{url}">there</a>')
    assert broken_links(path, path.parent) == [url]


@pytest.mark.parametrize("number", ["-1.5", "(-2 to 3)", "1e-10"])
def test_a_hyphen_for_a_minus_is_found(page, number):
    sound = "Figures 1-3 are of 2026-11-28; <code>x = -1</code>; −1."
    fault = f'<p>{sound}</p><p>{number}</p><img src="data:," alt="{number}">'
    assert hyphens_for_minus(page(fault)) == [number] * 2


def test_an_id_that_stands_twice_is_found(page):
    assert duplicate_ids(page('<p id="top">Again.</p>')) == ["top"]


def test_a_picture_without_words_is_found(page):
    assert pictures_without_words(page('<img src="data:," alt="plot">')) == ["data:,"]


def test_a_picture_that_moves_the_text_is_found(page):
    assert pictures_without_size(page('<img src="data:," width="9">')) == ["data:,"]


@pytest.mark.parametrize(
    "fault",
    [
        '<span class="katex"><span aria-hidden="true">x</span></span>',
        '<span class="katex"><span class="katex-mathml"><math><annotation>x'
        "</annotation></math></span><span>x</span></span>",
        '<div class="math" id="equation-x"></div>',
    ],
    ids=["without MathML", "read twice", "without its number"],
)
def test_a_formula_that_cannot_be_read_aloud_is_found(page, fault):
    assert len(mute_formulas(page(fault))) == 1


@pytest.mark.parametrize(
    "sound, fault",
    [
        ("<title>Seeded", "<title>The $x$"),
        ('name="description"', 'name="described"'),
        ("or with none at all.", "or with \\alpha."),
        ("og:image", "og:picture"),
        ("twitter:card", "twitter:cart"),
        ('lang="en"', ""),
        ("<title>", "<title>Two</title><title>"),
        ("<title>", '<link rel="canonical" href="http://here/"><title>'),
        ("<title>", '<meta property="og:url" content="http://here/"><title>'),
    ],
)
def test_a_fault_of_the_head_is_found(page, sound, fault):
    path = page("")
    path.write_text(path.read_text("utf8").replace(sound, fault), "utf8")
    assert faults_of_the_head(path, "") != []


def test_a_page_without_the_address_of_its_book_is_found(page):
    assert faults_of_the_head(page(""), "https://book.example") != []


def test_a_heavy_page_is_found(visitor, page):
    path = page('<script src="heavy.js"></script>')
    (path.parent / "heavy.js").write_text(f"'{Random(1).randbytes(200_000).hex()}'")
    assert 200 < visit(visitor, path).weight < 300


@pytest.mark.parametrize(
    "fault, told",
    [
        ('<a href="#top" style="outline:none!important">there</a>', "not seen"),
        ('<input onkeydown="event.preventDefault()" aria-label="a">', "come out"),
        ('<a href="#top" onfocus="this.blur()">there</a>', "not reached"),
    ],
    ids=["without an outline", "a trap", "unreachable"],
)
def test_a_fault_of_the_keyboard_is_found(browser, page, fault, told):
    opened = open_page(browser, page(f'{fault}<a href="#top">next</a>'))
    assert any(told in found for found in tab_through(opened))
    opened.close()


@pytest.mark.parametrize("script", ["missing()", "console.error('wrong')"])
def test_a_script_error_is_found(visitor, page, script):
    assert visit(visitor, page(f"<script>{script}</script>")).errors != []


def test_a_request_to_another_machine_is_found(visitor, page):
    url = "http://127.0.0.1:9/picture.png"
    seen = visit(visitor, page(f'<img src="{url}" alt="">'))
    assert seen.strangers == [url]
    assert url in seen.errors


def test_a_page_wider_than_the_screen_is_found(visitor, page):
    seen = visit(visitor, page('<p style="width:600px">Wide.</p>'))
    assert seen.overflow[WIDE] <= 0 < seen.overflow[NARROW]


LIGHT = {(width, "light") for width in WIDTHS}
CONTRAST = LIGHT | {(width, "dark") for width in WIDTHS}
CODE = f"""<div class="highlight"><pre>{'<span class="n">sound</span> ' * 20}
<span class="n" STYLE>pale</span></pre></div>"""
FORMULA = """<p><span class="katex"><span class="katex-mathml" style="position:absolute;
clip:rect(1px,1px,1px,1px)"><math><mi>x</mi></math></span><span class="katex-html"
aria-hidden="true"><span class="base"><span class="mord" STYLE>x</span></span></span>
</span></p>"""
SIGNATURE = '<dl><dt class="sig"><span STYLE>name</span></dt><dd>Does.</dd></dl>'
HIDDEN = (
    '<details><summary>More</summary><div style="color:#eee">FORMULA</div></details>'
)
PALE, PALE_GROUND = 'style="color:#eee"', 'style="background:#111"'
IN_ONE_THEME = """<style>html[data-theme=THEME] .pale { color: #eee }
span { transition: color 2s }</style>"""


@pytest.mark.parametrize(
    "fault, found",
    [
        ('<p style="color:#eee;background:#fff">Pale.</p>', CONTRAST),
        ("<button></button>", {(NARROW, "light")}),
        ("</article><button></button><article>", LIGHT),
        (CODE.replace("STYLE", PALE), CONTRAST),
        (CODE + CODE.replace("STYLE", PALE_GROUND), CONTRAST),
        (f"{CODE * 4}<div {PALE_GROUND}>{CODE}</div>", CONTRAST),
        (SIGNATURE * 20 + SIGNATURE.replace("STYLE", PALE), CONTRAST),
        (FORMULA * 20 + FORMULA.replace("STYLE", PALE), CONTRAST),
        (FORMULA * 20 + f"<div {PALE_GROUND}>{FORMULA}</div>", CONTRAST),
        (
            HIDDEN.replace("FORMULA", FORMULA * 5) + f"<div {PALE}>{FORMULA}</div>",
            CONTRAST,
        ),
    ],
    ids=[
        "a pale text",
        "a button without a name",
        "a button without a name, beside the article",
        "a pale token",
        "a token on a dark ground",
        "code on a dark ground",
        "a pale signature",
        "a pale formula",
        "a formula on a dark ground",
        "a pale formula behind hidden ones",
    ],
)
def test_an_accessibility_violation_is_found(visitor, page, fault, found):
    violations = visit(visitor, page(fault)).violations
    assert {where for where, what in violations.items() if what} == found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("piece", [CODE, FORMULA], ids=["token", "formula"])
def test_a_piece_that_is_pale_in_one_theme_is_found_there(visitor, page, piece, theme):
    style = IN_ONE_THEME.replace("THEME", theme)
    pale = (
        piece.replace("STYLE", "")
        .replace("mord", "mord pale")
        .replace('n" >p', 'n pale" >p')
    )
    violations = visit(visitor, page(style + piece * 20 + pale)).violations
    assert {where for where, what in violations.items() if what} == {
        (width, theme) for width in WIDTHS
    }


def test_a_formula_that_scrolls_out_of_reach_of_the_keyboard_is_found(visitor, page):
    wide = FORMULA.replace("STYLE", 'style="display:inline-block;width:600px"')
    fault = f'<div style="overflow-x:auto;white-space:nowrap">{wide}</div>'
    violations = visit(visitor, page(fault)).violations
    assert {where for where, what in violations.items() if what} == {(NARROW, "light")}


def test_few_pieces_are_left_to_axe(browser, page):
    opened = open_page(browser, page(CODE * 50 + FORMULA * 500))
    opened.add_script_tag(content=LOOKS)
    opened.evaluate(THIN, THEMES)
    assert opened.locator(".highlight span, .katex-html").count() < 20
    assert opened.locator(".katex").count() == 500
    assert opened.locator("pre").last.inner_text().count("sound") == 20
    opened.close()


@pytest.fixture(scope="module")
def slider():
    """The output of a cell with a slider."""

    def draw(height):
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.plot([0, 1], [0, height])
        return figure

    said = "A straight line that rises evenly from 0 to {}.".format
    return Slider(draw, (1, 2, 3), "height", said)._repr_mimebundle_()["text/html"]


def test_two_sliders_without_a_fault_are_green(browser, page, slider):
    assert slider_faults(browser, page(slider * 2)) == []


@pytest.mark.parametrize(
    "part, fault, found",
    [
        ("image.src =", "image.lost =", "picture: the same for two values"),
        ("image.alt =", "image.lost =", "alternative: the same for two values"),
        ("value.textContent =", "value.lost =", "label: the same for two values"),
        ("range.setAttribute", "(() => 0)", "value: the same for two values"),
        ("straight line that rises evenly", "line", "alternative: too short"),
        ("max-width:100%", "width:500px", "wide"),
        ("min-height:24px", "height:10px", "target: small"),
        ("input:focus-visible{outline", "input{outline:none;width", "focus: not seen"),
        (".slider input{display:none}", "", "printed"),
        (
            "<output>",
            "<noscript><input></noscript><output>",
            "without scripts: a control",
        ),
        ("svg+xml;base64,", "svg+xml;base64,A", "without scripts: no picture"),
    ],
)
def test_a_fault_of_a_slider_is_found(browser, page, slider, part, fault, found):
    assert part in slider
    assert found in slider_faults(browser, page(slider.replace(part, fault)))
