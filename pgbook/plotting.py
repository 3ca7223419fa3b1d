"""The few pictures that every chapter draws.

Colors have the hues of Okabe and Ito (2008), which survive color-blindness, and are
darkened until they can be read on white. The pages take theirs from the same list
(`book/_static/book.css`), and invert figures in the dark.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from torch import Tensor

from pgbook._checks import require, require_finite, require_shape
from pgbook.statistics import mean_interval

BLUE, ORANGE, GREEN, PURPLE = "#005F9E", "#C25400", "#008460", "#B2528A"
SKY, YELLOW, BLACK, GRAY = "#3D9DD6", "#5E4700", "#222222", "#6E6E6E"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
FONT = Path(__file__).parent / "fonts" / "Literata-Regular.ttf"


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
