"""The few pictures that every chapter draws.

Colors have the hues of Okabe and Ito (2008), which survive color-blindness, and are
darkened until they can be read on white. The pages take theirs from the same list
(`book/_static/book.css`), and invert figures in the dark.
"""

import html
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from string import Template

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pgbook._checks import require, require_finite, require_not_empty, require_shape
from pgbook.statistics import mean_interval

BLUE, ORANGE, GREEN, PURPLE = "#005F9E", "#C25400", "#008460", "#B2528A"
SKY, YELLOW, BLACK, GRAY = "#3D9DD6", "#5E4700", "#222222", "#6E6E6E"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
FONT = Path(__file__).parent / "fonts" / "Literata-Regular.ttf"
SLIDER = Template("""<figure class="slider $key">
<style>.slider{margin:0}.slider img{max-width:100%;height:auto}
.slider label{display:flex;gap:.7em;align-items:center}
.slider input{flex:1;min-width:4rem;min-height:24px}
.slider output{min-width:6ch}@media print{.slider input{display:none}}</style>
<img src="$picture" alt="$alternative">
<label>$name =<input type="range" min="0" max="$last" value="$start" hidden>
<output>$label</output></label>
<script>(function (frames) {
  var figure = document.querySelector("figure.$key:not([data-ready])");
  var range = figure.querySelector("input"), image = figure.querySelector("img");
  function show() {
    var frame = frames[range.value];
    image.src = frame[0]; image.alt = frame[2];
    figure.querySelector("output").value = frame[1];
    range.setAttribute("aria-valuetext", frame[1]);
  }
  figure.dataset.ready = 1; range.hidden = false; range.value = $start;
  range.oninput = show; show();
})($frames);</script></figure>""")


def use_book_style() -> None:
    """Set the look of figures, and let notebooks show them as reproducible SVG."""
    font_manager.fontManager.addfont(FONT)
    mpl.rcParams.update(
        {
            "figure.figsize": (5.6, 3.2),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.family": ["Literata", "DejaVu Sans"],
            "font.size": 11.5,
            "mathtext.fontset": "dejavuserif",
            "axes.labelcolor": BLACK,
            "axes.edgecolor": GRAY,
            "xtick.color": GRAY,
            "ytick.color": GRAY,
            "xtick.labelcolor": BLACK,
            "ytick.labelcolor": BLACK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E3E3E3",
            "axes.prop_cycle": cycler(color=COLORS),
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "svg.hashsalt": "pgbook",
            "svg.fonttype": "path",
        }
    )
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg", metadata={"Date": None})


def learning_curve(
    axes: Axes,
    steps: Tensor,
    returns: Tensor,
    label: str,
    color: str | None = None,
) -> None:
    """Draw the mean over runs, and its 95 % interval as a band.

    Args:
        axes: where to draw.
        steps: horizontal positions, [K].
        returns: one learning curve per run, [runs, K], at least two runs.
        label: name in the legend.
        color: of line and band; the next of the cycle if not given.

    Raises:
        ValueError: if shapes do not fit, or a number is not finite.
    """
    steps, returns = torch.as_tensor(steps), torch.as_tensor(returns)
    require_shape((None,), steps=steps)
    require_shape((None, len(steps)), returns=returns)
    require(len(returns) >= 2, "returns", f"{len(returns)} run", "at least two runs")
    require_finite(steps=steps, returns=returns)
    mean, low, high = np.transpose([mean_interval(column) for column in returns.T])
    (line,) = axes.plot(steps, mean, label=label, color=color)
    axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def gradient_cloud(
    axes: Axes, samples: Tensor, exact: Tensor, label: str, color: str | None = None
) -> None:
    """Scatter two components of sampled gradients, their mean, and the exact one.

    Args:
        axes: where to draw.
        samples: sampled gradients, [n, 2].
        exact: the gradient, [2].
        label: name in the legend.
        color: of the cloud; the next of the cycle if not given.

    Raises:
        ValueError: if shapes do not fit, or a number is not finite.
    """
    require_shape((None, 2), samples=samples)
    require_shape((2,), exact=exact)
    require_finite(samples=samples, exact=exact)
    cloud = axes.scatter(*samples.T, s=6, alpha=0.3, linewidths=0, color=color)
    axes.plot(*samples.mean(0), "o", color=cloud.get_facecolor()[0, :3], label=label)
    axes.plot(*exact, "+", color=BLACK, markersize=14, markeredgewidth=2)


def policy_arrows(axes: Axes, pi: Tensor, directions: Tensor, positions: Tensor):
    """Draw, in each state, one arrow per action as long as it is probable.

    Args:
        axes: where to draw.
        pi: the policy as a table, [S, A].
        directions: where each action leads, (x, y), [A, 2].
        positions: where each state lies, (x, y), [S, 2].

    Raises:
        ValueError: if shapes do not fit, or a number is not finite.
    """
    require_shape((None, None), pi=pi)
    require_shape((pi.shape[1], 2), directions=directions)
    require_shape((pi.shape[0], 2), positions=positions)
    require_finite(pi=pi, directions=directions, positions=positions)
    arrows = pi[:, :, None] * directions  # [S, A, 2]
    start = positions[:, None, :].expand_as(arrows)
    options = {"angles": "xy", "scale_units": "xy", "scale": 2.2, "color": BLUE}
    axes.quiver(*start.reshape(-1, 2).T, *arrows.reshape(-1, 2).T, **options)
    axes.set_aspect("equal")


class Slider:
    """Pictures, of which a slider shows one; in print and without scripts, the first.

    Needs no network, server or library; works with mouse, touch and keyboard, in the
    book and in JupyterLab. A notebook shows it as the last value of a cell.

    Args:
        draw: makes the figure of a value; it is closed here.
        values: for which there is a picture.
        name: of what the slider moves.
        alternative: from a value to the text alternative of its picture.
        start: index of the value that is shown first.

    Raises:
        ValueError: if there is no value, or no value at the start.
    """

    def __init__(
        self,
        draw: Callable[[float], Figure],
        values: Sequence[float],
        name: str,
        alternative: Callable[[float], str],
        start: int = 0,
    ) -> None:
        """Draw all pictures."""
        require_not_empty(values=values)
        inside = 0 <= start < len(values)
        require(inside, "start", start, f"an index of {len(values)} values")
        self.name, self.start = name, start
        self.frames = [(_png(draw(v)), f"{v:g}", alternative(v)) for v in values]

    def __repr__(self) -> str:
        """Say what the slider moves, and over which values."""
        return f"slider: {self.name} = {', '.join(frame[1] for frame in self.frames)}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        """Text for a terminal, HTML for a page."""
        picture, label, alternative = self.frames[self.start]
        frames = json.dumps(self.frames).replace("</", "<\\/")
        page = SLIDER.substitute(
            key="slider-" + sha256(frames.encode()).hexdigest()[:10],
            name=html.escape(self.name),
            picture=picture,
            label=label,
            alternative=html.escape(alternative),
            last=len(self.frames) - 1,
            start=self.start,
            frames=frames,
        )
        return {"text/plain": repr(self), "text/html": page}


def _png(figure: Figure) -> str:
    """Return the figure as a data address, and close it."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()
