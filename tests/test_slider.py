"""A slider shows for each value its picture, its label and its alternative."""

import json
import re
from base64 import b64decode
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as plt
import pytest

from pgbook.slider import Slider

matplotlib.use("Agg")


def line(height):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1], [0, height])
    return figure


def words(height):
    return f'A line from 0 to {height:g} "meters" </script>'


@pytest.fixture(scope="module")
def slider():
    return Slider(line, (0.5, 1, 2), "height <h>", words, "{:g} m".format, start=1)


@pytest.fixture(scope="module")
def page(slider):
    return slider._repr_mimebundle_()["text/html"]


def test_the_script_holds_each_picture_with_label_and_alternative(slider, page):
    pieces, frames = json.loads(
        "[" + page.split("parentElement, ")[1].split(");")[0] + "]"
    )
    pictures, labels, alternatives = zip(*frames, strict=True)
    assert pictures[1] is None  # the one that stands in the page
    shown = ["<".join(pieces[k] for k in pictures[n]) for n in (0, 2)]
    assert shown == [slider.pictures[n] for n in (0, 2)]
    assert len(set(slider.pictures)) == 3
    assert labels == ("0.5 m", "1 m", "2 m")
    assert alternatives == tuple(words(height) for height in (0.5, 1, 2))


def test_elements_that_pictures_share_are_written_once(page):
    one = Slider(line, (1,), "height", words)._repr_mimebundle_()["text/html"]
    assert len(page) < 1.5 * len(one)


def test_without_scripts_one_picture_is_left_and_no_control(slider, page):
    still = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.S)
    assert "<input" not in still and "script>" not in still
    picture = re.search(r'src="data:image/svg\+xml;base64,([^"]*)"', still)[1]
    assert b64decode(picture).decode() == slider.pictures[1]
    assert 'alt="A line from 0 to 1 &quot;meters&quot; &lt;/script&gt;"' in still
    assert "height &lt;h&gt;&nbsp;=</label><b>1 m</b>" in still


def test_the_size_is_known_before_a_picture_is_drawn(page):
    assert 'width="192" height="96"' in page


def test_two_sliders_on_a_page_share_no_name(page):
    assert not re.search(r'\s(id|for)="', page)


def test_paper_gets_the_picture_of_the_start(slider):
    paper = slider._repr_mimebundle_()["image/svg+xml"]
    assert paper == slider.pictures[1]
    assert ElementTree.fromstring(paper).tag.endswith("svg")


def test_pictures_are_the_same_each_time_and_closed():
    with matplotlib.rc_context({"svg.hashsalt": "pgbook"}):
        first, second = (Slider(line, (1, 2), "height", words) for _ in range(2))
    assert first.pictures == second.pictures
    assert not plt.get_fignums()


def test_negative_numbers_have_a_minus():
    words = "The value of x in this picture: {}".format
    moved = Slider(lambda _: plt.figure(), [-2, -1], "x", words)
    assert moved.labels == ["\N{MINUS SIGN}2", "\N{MINUS SIGN}1"]
    assert moved.alternatives[0].endswith(": \N{MINUS SIGN}2")


def test_text_is_the_name_and_the_labels(slider):
    assert repr(slider) == "slider: height <h> = 0.5 m, 1 m, 2 m"
    assert slider._repr_mimebundle_()["text/plain"] == repr(slider)


def grows(height):
    return plt.figure(figsize=(2, height))


@pytest.mark.parametrize(
    "arguments, argument",
    [
        ((line, (), "x", words), "values"),
        ((line, (1, 2), "x", words, str, 2), "start"),
        ((line, (1, 2), "x", words, str, -1), "start"),
        ((line, (1, 2), "x", "line to {}".format), "alternative"),
        ((line, (1, 2), "x", lambda value: "One and the same line."), "alternative"),
        ((grows, (1, 2), "x", words), "draw"),
    ],
    ids=["none", "behind", "before", "short", "twice", "sizes"],
)
def test_bad_input_names_the_argument(arguments, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        Slider(*arguments)
    plt.close("all")
