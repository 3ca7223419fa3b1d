"""A figure with a slider: for what is easier seen moving than read.

All pictures and one script stand in the output itself, so that it works in the book
and in JupyterLab, with no network, server or library. Without scripts, in an untrusted
notebook and on paper one of the pictures is shown.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from io import StringIO
from string import Template

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pgbook._checks import require, require_not_empty
from pgbook.reporting import with_minus

# The line with onkeydown keeps JupyterLab from taking the arrow keys.
PAGE = Template("""<div class="slider">
<style>.slider img{display:block;margin:auto;max-width:100%;height:auto}
.slider div{display:flex;gap:.7em;align-items:center;max-width:34rem;margin:.5rem auto}
.slider label{display:flex;flex:1;gap:.7em;align-items:center}
.slider input{flex:1;min-width:4rem;min-height:24px;margin:0;cursor:pointer;
accent-color:var(--pst-color-link,#0072B2)}
.slider input:focus-visible{outline:3px solid;outline-offset:3px;border-radius:3px}
.slider b{min-width:$longest;font-variant-numeric:tabular-nums}
.slider output{position:absolute;clip-path:inset(50%);width:1px;height:1px}
@media print{.slider input{display:none}.slider label{flex:none}}</style>
<img src="$picture" alt="$alternative" width="$width" height="$height">
<div><label>$name&nbsp;=</label><b>$label</b></div><output></output>
<script>(function (slider, pieces, frames) {
  const [image, label, value, said] =
    ["img", "label", "b", "output"].map(name => slider.querySelector(name));
  const range = document.createElement("input"), still = image.src;
  Object.assign(range, { type: "range", max: frames.length - 1, value: $start });
  function show() {
    const [picture, text, alternative] = frames[range.value];
    const svg = picture && picture.map(piece => pieces[piece]).join("<");
    image.src = svg ? "data:image/svg+xml," + encodeURIComponent(svg) : still;
    image.alt = alternative;
    value.textContent = text;
    range.setAttribute("aria-valuetext", text);
  }
  range.oninput = () => { show(); said.textContent = image.alt; };
  range.onkeydown = event => event.stopPropagation();
  label.append(range);
  show();
})(document.currentScript.parentElement, $pieces, $frames);</script></div>""")


class Slider:
    """Pictures, of which a slider shows one.

    Works with mouse, touch and keyboard. A screen reader hears the text alternative of
    the picture to which the slider was moved. A notebook shows a slider as the last
    value of a cell.

    Args:
        draw: makes the figure of a value; it is closed here.
        values: for which there is a picture.
        name: of what the slider moves.
        alternative: from a value to the text alternative of its picture, a sentence
            with its numbers.
        label: from a value to what stands beside the slider, with its unit.
        start: index of the value that is shown first, and on paper.

    Raises:
        ValueError: if there is no value, or none at the start, if two alternatives are
            the same or one says next to nothing, or if a figure is larger than another.
    """

    def __init__(
        self,
        draw: Callable[[object], Figure],
        values: Sequence[object],
        name: str,
        alternative: Callable[[object], str],
        label: Callable[[object], str] = "{:g}".format,
        start: int = 0,
    ) -> None:
        """Draw all pictures."""
        require_not_empty(values=values)
        inside = 0 <= start < len(values)
        require(inside, "start", start, f"an index of {len(values)} values")
        self.name, self.start = name, start
        self.labels = [with_minus(label(value)) for value in values]
        self.alternatives = [with_minus(alternative(value)) for value in values]
        for said in self.alternatives:
            require(len(said) >= 20, "alternative", repr(said), "a sentence")
            unlike = self.alternatives.count(said) == 1
            require(unlike, "alternative", f"{said!r} twice", "one for each picture")
        figures = [draw(value) for value in values]
        sizes = {tuple(figure.get_size_inches() * 96) for figure in figures}
        require(len(sizes) == 1, "draw", f"sizes {sizes}", "figures of one size")
        (self.size,) = sizes
        self.pictures = [_svg(figure) for figure in figures]

    def __repr__(self) -> str:
        """Say what the slider moves, and over which values."""
        return f"slider: {self.name} = {', '.join(self.labels)}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        """Text for a terminal, HTML for a page, one picture for paper."""
        paper, pieces = self.pictures[self.start], {}
        pictures = [_in_pieces(picture, pieces) for picture in self.pictures]
        pictures[self.start] = None  # stands in the page
        frames = zip(pictures, self.labels, self.alternatives, strict=True)
        page = PAGE.substitute(
            name=html.escape(self.name),
            picture="data:image/svg+xml;base64," + b64encode(paper.encode()).decode(),
            label=html.escape(self.labels[self.start]),
            alternative=html.escape(self.alternatives[self.start]),
            width=round(self.size[0]),
            height=round(self.size[1]),
            longest=f"{max(map(len, self.labels))}ch",
            start=self.start,
            pieces=_literal(list(pieces)),
            frames=_literal(list(frames)),
        )
        return {"text/plain": repr(self), "text/html": page, "image/svg+xml": paper}


def _svg(figure: Figure) -> str:
    """Return the figure as short SVG, and close it."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r"\s*\n\s*", " ", svg[svg.index("<svg") :])
    # A hundredth of a point is enough; what follows a bracket may be a scale.
    return re.sub(r'(?<=[ "])-?\d+\.\d{3,}', lambda n: f"{float(n[0]):.2f}", svg)


def _in_pieces(svg: str, pieces: dict[str, int]) -> list[int]:
    """Return the numbers of the elements; those that are new get the next numbers.

    Most elements are the same in all pictures of a slider, and are written once.
    """
    return [pieces.setdefault(piece, len(pieces)) for piece in svg.split("<")]


def _literal(value: object) -> str:
    """Return the value as a literal for a script, which nothing in it can end."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
