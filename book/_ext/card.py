"""The picture that stands for the book where somebody sends its address."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pgbook.plotting import BLACK, BLUE, ORANGE, use_book_style

CARD = "_static/card.png"
PIXELS = 1200, 630  # what networks ask for
REWARDS = np.array([1.0, 0.8, 0.0])
STARTS = (-3.3, -1.9), (-2.4, -2.5), (-1.2, -3.0)


def draw_card(app, exception):
    """Draw the picture that stands for the book: level lines, and the way up."""
    target = Path(app.outdir) / CARD
    if exception or app.builder.format != "html" or target.exists():
        return
    with plt.rc_context():
        use_book_style()
        figure = plt.figure(
            figsize=np.divide(PIXELS, 100), dpi=100, facecolor="white", layout="none"
        )
        axes = figure.add_axes((0.46, 0, 0.54, 1))
        axes.set_axis_off()
        steps = np.linspace(-4, 4, 121)
        grid = np.stack(np.meshgrid(steps, steps), axis=-1)  # [121, 121, 2]
        axes.contour(steps, steps, expected_reward(grid), 24, cmap="Blues", alpha=0.7)
        for start in STARTS:
            axes.plot(*way_up(start).T, color=ORANGE, linewidth=3)
            axes.plot(*start, "o", color=ORANGE, markersize=8)
        for height, text in ((0.6, "Policy"), (0.48, "Gradients,"), (0.36, "Executed")):
            figure.text(0.05, height, text, fontsize=50, color=BLACK)
        figure.text(0.05, 0.25, "Every claim is run.", fontsize=24, color=BLUE)
        figure.savefig(target)
        plt.close(figure)


def probabilities(theta):
    """A softmax policy over three actions, with the last logit 0, [..., 3]."""
    logits = np.concatenate([theta, np.zeros_like(theta[..., :1])], axis=-1)
    weights = np.exp(logits)
    return weights / weights.sum(-1, keepdims=True)


def expected_reward(theta):
    """What the policy earns on average, [...]."""
    return probabilities(theta) @ REWARDS


def way_up(start, steps=4000, size=0.02):
    """Gradient ascent from a start, [steps, 2]."""
    path = [np.array(start, dtype=float)]
    for _ in range(steps):
        pi = probabilities(path[-1])
        path.append(path[-1] + size * (pi * (REWARDS - pi @ REWARDS))[:2])
    path = np.array(path)
    return path[np.abs(path).max(axis=1) < 4]


def setup(app):
    """Draw it when the pages are there."""
    app.connect("build-finished", draw_card)
    return {"parallel_read_safe": True, "version": "1"}
