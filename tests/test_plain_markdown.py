"""Nodes of a page become Markdown that any program reads."""

import pytest
from docutils import nodes
from plain_markdown import PlainMarkdown, quoted

NUMBERS = {"displaymath": {"equation-eq-coin": (4, 2)}}


def block(node, address=""):
    return PlainMarkdown(NUMBERS, address).block(node)


def paragraph(*children):
    return nodes.paragraph("", "", *children)


def row(*fields):
    return nodes.row("", *(nodes.entry("", paragraph(field)) for field in fields))


def test_a_labelled_formula_shows_its_number():
    math = nodes.math_block("", "x = 1", label="eq-coin", ids=["equation-eq-coin"])
    assert block(math) == "$$\nx = 1\n\\tag{4.2}\n$$"


def test_a_formula_without_label_has_no_number():
    assert block(nodes.math_block("", "x = 1")) == "$$\nx = 1\n$$"


def test_signs_of_markdown_in_a_text_are_escaped():
    text = nodes.Text("a*b_c `d` < $5")
    assert block(paragraph(text)) == r"a\*b\_c \`d\` \< \$5"


def test_a_formula_in_a_line_is_on_one_line_and_untouched():
    assert block(paragraph(nodes.math("", "a_t\n  < b"))) == "$a_t < b$"


def test_a_bar_ends_no_column():
    fields = nodes.math("", r"\pi(a|s) \|x\|"), nodes.literal("", "a | b")
    group = nodes.tgroup("", nodes.thead("", row(*fields)), cols=2)
    first, _ = block(nodes.table("", group)).splitlines()
    assert first == r"| $\pi(a\vert s) \Vert x\Vert $ | `a \| b` |"


def test_a_quoted_formula_is_on_one_line():
    text = "**Theorem**\n\n$$\na\n= b\n$$"
    assert quoted(text) == "> **Theorem**\n>\n> $$ a = b $$"


def test_an_item_is_indented_behind_its_mark():
    code = nodes.literal_block("", "x = 1", language="ipython3")
    item = nodes.list_item("", paragraph(nodes.Text("Set")), code)
    items = nodes.enumerated_list("", item, start=9)
    assert block(items) == "9. Set\n   \n   ```python\n   x = 1\n   ```"


def test_a_hint_can_be_opened():
    title, text = nodes.title("", "Hint"), paragraph(nodes.Text("Toss."))
    box = nodes.admonition("", title, text, classes=["dropdown"])
    assert block(box).splitlines()[1::2] == [
        "<summary>Hint</summary>",
        "Toss.",
        "</details>",
    ]


@pytest.mark.parametrize(
    "address, text",
    [
        ("", "*Coins*"),
        ("https://a.org/book/dice.html", "[Coins](https://a.org/book/coin.html#ch)"),
    ],
)
def test_a_reference_is_a_link_where_the_book_has_an_address(address, text):
    title = nodes.inline("", "Coins", classes=["std", "std-ref"])
    link = nodes.reference("", "", title, refuri="coin.html#ch", internal=True)
    assert block(paragraph(link), address) == text


def test_ticks_and_tags_vanish():
    tick = nodes.reference("", "✓", refid="verify-eq-coin", classes=["tick"])
    tag = nodes.raw("", "<span>", format="html")
    assert block(paragraph(tick, tag)) == ""
