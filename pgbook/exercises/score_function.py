"""Exercises of the chapter `score_function`: softmax, lobes, widths, a moving end."""

import math
from collections.abc import Callable

from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers


def softmax_gradient(f: Tensor, theta: Tensor) -> Tensor:
    """Gradient of sum_k p_k f_k in theta [K], for p = softmax(theta)."""
    p = theta.softmax(0)
    return p * (f - p @ f)


VALUES = numbers(1, 0.8, 0)
SOFTMAX_COVARIANCE = Exercise(
    "ex-softmax-covariance",
    softmax_gradient,
    cases={
        "three outcomes": (VALUES, numbers(0.6, 0.1, 0.3).log()),
        "equal logits": (VALUES, numbers(0, 0, 0)),
        "outcomes that are all worth the same": (numbers(2, 2), numbers(0, 1)),
        "a logit of 1000": (numbers(1, 2), numbers(1000, 999)),
    },
)


@SOFTMAX_COVARIANCE.mistake(
    "You leave out J. Without it, outcomes that are all worth the same would still "
    "push; eq-score-covariance is about the distance from the mean."
)
def _(f, theta):
    return theta.softmax(0) * f


@SOFTMAX_COVARIANCE.mistake(
    "You leave out p_k. An outcome that is hardly ever drawn moves the mean little, "
    "however good it is."
)
def _(f, theta):
    return f - theta.softmax(0) @ f


@SOFTMAX_COVARIANCE.mistake(
    "Your J is the plain mean of f. The outcomes have the probabilities p_k."
)
def _(f, theta):
    return theta.softmax(0) * (f - f.mean())


@SOFTMAX_COVARIANCE.mistake(
    "You differentiate p_k alone. A larger logit k takes probability from all other "
    "outcomes, and their values count too."
)
def _(f, theta):
    p = theta.softmax(0)
    return p * (1 - p) * f


@SOFTMAX_COVARIANCE.mistake(
    "You return how the probabilities change in a step of ascent. The gradient is how "
    "J changes with the logits."
)
def _(f, theta):
    p, gradient = theta.softmax(0), softmax_gradient(f, theta)
    return p * (gradient - p @ gradient)


@SOFTMAX_COVARIANCE.mistake(
    "You return the direction of descent; the gradient points to larger J."
)
def _(f, theta):
    return -softmax_gradient(f, theta)


@SOFTMAX_COVARIANCE.mistake(
    "Your softmax takes exp of 1000, which no float can hold. A constant taken off all "
    "logits does not change the probabilities."
)
def _(f, theta):
    p = theta.exp() / theta.exp().sum()
    return p * (f - p @ f)


def lobe_estimates(f: Callable, theta: float, d: Tensor) -> Tensor:
    """Measure-valued estimates, from distances d [N] with density d exp(-d²/2)."""
    return (f(theta + d) - f(theta - d)) / math.sqrt(2 * math.pi)


def square(x: Tensor) -> Tensor:
    """The value of the chapter."""
    return x**2


def line(x: Tensor) -> Tensor:
    """A value with one slope."""
    return 3 * x


def jump(x: Tensor) -> Tensor:
    """A value with a jump, and no slope."""
    return (x > 0).double()


D = numbers(0.2, 0.9, 1.4, 2.5)
LOBES = Exercise(
    "ex-lobes",
    lobe_estimates,
    cases={
        "a square": (square, 1.0, D),
        "a straight line": (line, 0.5, D),
        "a jump": (jump, -0.7, D),
    },
)


@LOBES.mistake(
    "You leave out the constant. Each lobe of eq-lobes was divided by its area to "
    "become a density, and that area has to come back."
)
def _(f, theta, d):
    return f(theta + d) - f(theta - d)


@LOBES.mistake(
    "You divide by the root of pi / 2, which is the mean distance. The constant is the "
    "area of a lobe of eq-lobes."
)
def _(f, theta, d):
    return (f(theta + d) - f(theta - d)) / math.sqrt(math.pi / 2)


@LOBES.mistake(
    "You average over the lobes. They are two terms of a difference, each with the "
    "whole area of its lobe."
)
def _(f, theta, d):
    return lobe_estimates(f, theta, d) / 2


@LOBES.mistake(
    "You add the lobes. The left one is negative: drawing from it needs its sign taken "
    "out, and put back."
)
def _(f, theta, d):
    return (f(theta + d) + f(theta - d)) / math.sqrt(2 * math.pi)


@LOBES.mistake(
    "Your right lobe counts as negative. Which way does the density move when theta "
    "grows?"
)
def _(f, theta, d):
    return -lobe_estimates(f, theta, d)


@LOBES.mistake(
    "You return a finite difference with a random width. Nothing is divided by d: the "
    "lobes are sampled, not made narrow."
)
def _(f, theta, d):
    return (f(theta + d) - f(theta - d)) / (2 * d)


def best_width(pairs: int) -> tuple[float, float]:
    """Best width for a number of pairs of runs, and the root mean squared error."""
    return (4 / pairs) ** 0.25, _mean_squared_error(pairs) ** 0.5


def _mean_squared_error(pairs: int) -> float:
    return 4 / pairs**0.5 + 4 / pairs


STEP_WIDTH = Exercise(
    "ex-step-width",
    best_width,
    cases={
        "four pairs": (4,),
        "a hundred pairs": (100,),
        "a million pairs": (1_000_000,),
    },
)


@STEP_WIDTH.mistake(
    "Your width does not depend on N. The variance in eq-independent-noise is that of "
    "one pair; what is it for the mean of N?"
)
def _(pairs):
    return 2**0.5, 8**0.5


@STEP_WIDTH.mistake(
    "You add the bias itself to the variance. A mean squared error is squared bias "
    "plus variance."
)
def _(pairs):
    h = (8 / pairs) ** (1 / 3)
    return h, (h + (4 / h**2 + 4) / pairs) ** 0.5


@STEP_WIDTH.mistake(
    "Your width is right, and your error is the mean squared one. Take its root."
)
def _(pairs):
    return best_width(pairs)[0], _mean_squared_error(pairs)


@STEP_WIDTH.mistake(
    "Your width is right, but your error leaves out the part of the variance that does "
    "not depend on h. See the last line of eq-independent-noise."
)
def _(pairs):
    return best_width(pairs)[0], 2 / pairs**0.25


@STEP_WIDTH.mistake(
    "Your width is right, but your error is the standard deviation alone. The bias at "
    "this width is as large as the noise."
)
def _(pairs):
    return best_width(pairs)[0], (2 / pairs**0.5 + 4 / pairs) ** 0.5


@STEP_WIDTH.mistake(
    "You return h squared. Where the derivative vanishes, the fourth power of h is a "
    "constant over N."
)
def _(pairs):
    return 2 / pairs**0.5, best_width(pairs)[1]


def end_score(x: Tensor, theta: float) -> Tensor:
    """Score of the density 2 (theta - x) / theta² on (0, theta), at x [N]."""
    return 1 / (theta - x) - 2 / theta


X = numbers(0.1, 0.5, 0.9)
VANISHING_END = Exercise(
    "ex-vanishing-end",
    end_score,
    cases={
        "theta is 1": (X, 1.0),
        "theta is 2": (X, 2.0),
        "a point close to the end": (numbers(2.999), 3.0),
    },
)


@VANISHING_END.mistake(
    "You leave out what theta does to the height. The density is divided by theta², "
    "and the logarithm of that depends on theta."
)
def _(x, theta):
    return 1 / (theta - x)


@VANISHING_END.mistake(
    "Your height falls like 1 / theta. That is the uniform density; this one has "
    "theta² in its denominator."
)
def _(x, theta):
    return 1 / (theta - x) - 1 / theta


@VANISHING_END.mistake(
    "You differentiate in x. A score is the derivative of the log-density in its "
    "parameter; see def-score."
)
def _(x, theta):
    return -1 / (theta - x)


@VANISHING_END.mistake(
    "You differentiate the density. By def-score it is its logarithm that is "
    "differentiated, so divide by the density."
)
def _(x, theta):
    return 2 * (theta - x) / theta**2 * end_score(x, theta)


@VANISHING_END.mistake(
    "You return the estimate, x times the score. Only the score is asked for."
)
def _(x, theta):
    return x * end_score(x, theta)


@VANISHING_END.mistake("Your score has the wrong sign.")
def _(x, theta):
    return -end_score(x, theta)
