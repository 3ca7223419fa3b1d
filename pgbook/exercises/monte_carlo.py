"""Exercises of the chapter `monte_carlo`: darts, small samples, opposite draws."""

from collections.abc import Callable

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers

RNG = torch.Generator().manual_seed(0)


def uniforms(*shape: int) -> Tensor:
    """Numbers between 0 and 1, short enough to be shown."""
    return torch.rand(shape, generator=RNG, dtype=torch.float64).round(decimals=2)


def pi_from_darts(dart: Tensor) -> tuple[float, float]:
    """Estimate of pi, and the half-width of its interval, from darts [N, 2]."""
    four_inside = 4.0 * (dart.square().sum(-1) <= 1)
    return four_inside.mean(), 1.96 * four_inside.std() / len(dart) ** 0.5


DARTS = Exercise(
    "ex-darts",
    pi_from_darts,
    cases={
        "one of two darts inside": (numbers([0.6, 0.6], [0.9, -0.8]),),
        "all darts inside": (numbers([0.1, 0.2], [0.3, -0.4]),),
        "a hundred darts": (2 * uniforms(100, 2) - 1,),
    },
)


@DARTS.mistake(
    "You estimate the share of the darts that lie in the disk, and the disk covers "
    "only a part of the square. Which value has the mean pi?"
)
def _(dart):
    mean, half_width = pi_from_darts(dart)
    return mean / 4, half_width / 4


@DARTS.mistake(
    "Your estimate is right, but your half-width belongs to the share of darts in the "
    "disk. The s of eq-coverage is that of the values which are averaged."
)
def _(dart):
    mean, half_width = pi_from_darts(dart)
    return mean, half_width / 4


@DARTS.mistake(
    "You count the darts with |x| + |y| at most 1. That is a diamond; a dart is in the "
    "disk if its distance from the center is at most 1."
)
def _(dart):
    value = 4.0 * (dart.abs().sum(-1) <= 1)
    return value.mean(), 1.96 * value.std() / len(dart) ** 0.5


@DARTS.mistake(
    "Your half-width does not shrink with more darts: it is that of one dart. The "
    "interval eq-coverage is about the mean of all."
)
def _(dart):
    mean, half_width = pi_from_darts(dart)
    return mean, half_width * len(dart) ** 0.5


@DARTS.mistake(
    "You divide s by N. The variance of a mean falls like 1 / N; how does its square "
    "root fall?"
)
def _(dart):
    mean, half_width = pi_from_darts(dart)
    return mean, half_width / len(dart) ** 0.5


@DARTS.mistake(
    "Your s divides the sum of squares by N. The squares are measured from the mean of "
    "the same darts, and that costs one of them."
)
def _(dart):
    mean, half_width = pi_from_darts(dart)
    return mean, half_width * (1 - 1 / len(dart)) ** 0.5


@DARTS.mistake(
    "You return the standard error. The interval eq-coverage reaches further, so as to "
    "contain the truth in 95 of 100 cases."
)
def _(dart):
    mean, half_width = pi_from_darts(dart)
    return mean, half_width / 1.96


def coverage(x: Tensor, mean: float, z: float) -> float:
    """Share of the rows of x [R, N] whose interval contains the mean."""
    half_width = z * x.std(1) / x.shape[1] ** 0.5
    return ((x.mean(1) - mean).abs() <= half_width).double().mean()


BATCHES = uniforms(400, 5)
SMALL_SAMPLE = Exercise(
    "ex-small-sample",
    coverage,
    cases={
        "the second of two rows misses": (
            numbers([0.2, 0.4, 0.9], [0.1, 0.1, 0.2]),
            0.5,
            1.96,
        ),
        "400 rows of five": (BATCHES, 0.5, 1.96),
        "a larger z": (BATCHES, 0.5, 2.776),
    },
)


@SMALL_SAMPLE.mistake(
    "Your s divides the sum of squares by N. With five draws every interval becomes a "
    "tenth shorter than that of eq-coverage."
)
def _(x, mean, z):
    return coverage(x, mean, z * (1 - 1 / x.shape[1]) ** 0.5)


@SMALL_SAMPLE.mistake(
    "Your intervals are as wide as those of a single draw. The mean of N draws spreads "
    "less; see eq-coverage."
)
def _(x, mean, z):
    return coverage(x, mean, z * x.shape[1] ** 0.5)


@SMALL_SAMPLE.mistake(
    "You take means down the columns. Each row is a sample of its own and gives one "
    "interval."
)
def _(x, mean, z):
    return coverage(x.T, mean, z)


@SMALL_SAMPLE.mistake(
    "You look at one end of each interval only. The mean may lie beyond either end."
)
def _(x, mean, z):
    half_width = z * x.std(1) / x.shape[1] ** 0.5
    return (x.mean(1) - mean <= half_width).double().mean()


@SMALL_SAMPLE.mistake(
    "You use one s, that of all rows together. Whoever has five draws has only their "
    "s, and its luck is what this exercise is about."
)
def _(x, mean, z):
    half_width = z * x.std() / x.shape[1] ** 0.5
    return ((x.mean(1) - mean).abs() <= half_width).double().mean()


@SMALL_SAMPLE.mistake("You return how many rows cover the mean; which share is that?")
def _(x, mean, z):
    return coverage(x, mean, z) * len(x)


def antithetic(value: Callable, u: Tensor) -> tuple[float, float]:
    """Mean of value over u [N] and 1 - u, and its standard error."""
    pair = (value(u) + value(1 - u)) / 2
    return pair.mean(), pair.std() / len(u) ** 0.5


def square(x: Tensor) -> Tensor:
    """Rises, so that opposite draws help."""
    return x**2


def line(x: Tensor) -> Tensor:
    """Straight, so that opposite draws leave no error."""
    return 3 * x + 1


def bump(x: Tensor) -> Tensor:
    """The same at u and at 1 - u, so that opposite draws do not help."""
    return x * (1 - x)


U = uniforms(6)
ANTITHETIC = Exercise(
    "ex-antithetic",
    antithetic,
    cases={
        "a square": (square, U),
        "a straight line": (line, U),
        "a bump with the same value at u and 1 - u": (bump, U),
    },
)


@ANTITHETIC.mistake(
    "Your standard error takes the 2N values for independent. The two of a pair are "
    "not: whoever knows one knows the other. Of what are there N independent ones?"
)
def _(value, u):
    both = torch.cat([value(u), value(1 - u)])
    return both.mean(), both.std() / len(both) ** 0.5


@ANTITHETIC.mistake(
    "Your standard error divides by the root of 2N. The spread that you measured is "
    "that of a pair, and there are N pairs."
)
def _(value, u):
    mean, standard_error = antithetic(value, u)
    return mean, standard_error / 2**0.5


@ANTITHETIC.mistake(
    "You add the variances of the two halves. That leaves out their covariance, which "
    "is the whole point of opposite draws."
)
def _(value, u):
    variance = (value(u).var() + value(1 - u).var()) / 4
    return antithetic(value, u)[0], (variance / len(u)) ** 0.5


@ANTITHETIC.mistake(
    "You mirror u at 0. The draw -u is not uniform on the interval from 0 to 1, so its "
    "value has another mean."
)
def _(value, u):
    pair = (value(u) + value(-u)) / 2
    return pair.mean(), pair.std() / len(u) ** 0.5


@ANTITHETIC.mistake(
    "You add the two values of a pair. Each of them has the mean that is asked for, so "
    "their sum has twice that."
)
def _(value, u):
    mean, standard_error = antithetic(value, u)
    return 2 * mean, 2 * standard_error


@ANTITHETIC.mistake(
    "You use each u once. Its mirror image 1 - u is uniform as well, and costs no draw."
)
def _(value, u):
    return value(u).mean(), value(u).std() / len(u) ** 0.5
