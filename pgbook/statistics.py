"""Means, proportions, slopes and scores, each with an interval.

A shared room; the chapter `evaluation` explains it. One function, one number. Samples
are independent: one per run, per seed or per batch, never one per time step. Arrays
and tensors are taken alike, results are Python floats.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pgbook._checks import (
    require,
    require_count,
    require_distributions,
    require_finite,
    require_not_empty,
    require_same_shape,
    require_shape,
)


class Interval(NamedTuple):
    """An estimate between the ends of its confidence interval."""

    estimate: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Write each number by the specification: estimate (low to high)."""
        numbers = (format(number, spec).replace("inf", "∞") for number in self)
        return "{} ({} to {})".format(*numbers)


def mean_interval(samples: ArrayLike, confidence: float = 0.95) -> Interval:
    """Sample mean with Student's interval.

        mean ± t(n - 1, (1 + confidence) / 2) * sd / sqrt(n)

    Exact for normal samples, and for many of any kind with a variance.

    Args:
        samples: independent samples, at least two, [n].
        confidence: coverage of the interval, in (0, 1).

    Returns:
        The mean and the ends of its interval.

    Raises:
        ValueError: if there are fewer than two samples, or one is not finite.

    Source: Student (1908).
    """
    samples = _finite(samples=samples)
    require_shape((None,), samples=samples)
    n = len(samples)
    require(n >= 2, "samples", n, "at least two")
    mean = samples.mean().item()
    half = _student(confidence, n - 1) * samples.std().item() / n**0.5
    return Interval(mean, mean - half, mean + half)


def median_interval(samples: ArrayLike, outside: int = 0) -> Interval:
    """Sample median between two of the sorted samples.

        low, high = sorted(samples)[outside], sorted(samples)[n - 1 - outside]

    Covers the median of any continuous distribution with probability
    1 - 2 P(X <= outside), X binomial(n, 1/2): 0.94 for five samples and none outside,
    0.98 for ten and one. A sample may be infinite: a run that never arrived.

    Args:
        samples: independent samples, none of them NaN, [n].
        outside: how many samples lie beyond each end.

    Returns:
        The median and the ends of its interval.

    Raises:
        ValueError: if there is no sample, one is NaN, or none would be left.

    Source: Conover (1999), section 3.2.
    """
    samples = torch.as_tensor(samples, dtype=torch.float64).detach()
    require_shape((None,), samples=samples)
    require_not_empty(samples=samples)
    require(not samples.isnan().any(), "samples", "NaN", "numbers or infinities")
    require_count(0, outside=outside)
    n = len(samples)
    require(2 * outside < n, "outside", outside, f"less than half of {n} samples")
    ordered = samples.sort().values.tolist()
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return Interval(middle, ordered[outside], ordered[n - 1 - outside])


def proportion_interval(
    successes: int, trials: int, confidence: float = 0.95
) -> Interval:
    """Proportion of successes with the exact binomial interval.

        low:  P(X >= successes) = (1 - confidence) / 2
        high: P(X <= successes) = (1 - confidence) / 2

    Covers at least as often as it says, whatever the proportion.

    Args:
        successes: how many trials succeeded.
        trials: how many independent trials there were.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        successes / trials and the ends of its interval.

    Raises:
        ValueError: if the counts are no counts, or there are more successes.

    Source: Clopper and Pearson (1934).
    """
    require_count(trials=trials)
    require_count(0, successes=successes)
    require(successes <= trials, "successes", successes, f"at most {trials}")
    _require_confidence(confidence)
    test = scipy.stats.binomtest(successes, trials)
    low, high = test.proportion_ci(confidence)
    return Interval(successes / trials, float(low), float(high))


def interquartile_mean(scores: ArrayLike) -> float:
    """Mean of the middle half of all scores, runs and tasks pooled.

        k = floor(n / 4);  mean(sorted(scores)[k : n - k])

    Args:
        scores: any shape, usually [runs, tasks].

    Returns:
        The mean without the lowest and the highest quarter.

    Raises:
        ValueError: if there is no score, or one is not finite.

    Source: Agarwal et al. (2021), section 4.3.
    """
    scores = _finite(scores=scores)
    return float(scipy.stats.trim_mean(scores.numpy(), 0.25, axis=None))


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Callable[[Tensor], float],
    rng: torch.Generator,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """A statistic of runs on several tasks, with the stratified bootstrap's interval.

    Runs are drawn anew, with replacement, within each task on its own; the ends are
    percentiles of the statistic over the resamples. Too narrow for very few runs.

    Args:
        scores: one per run and task, [runs, tasks].
        statistic: from scores, float64, [runs, tasks], to a number.
        rng: draws the resamples.
        confidence: coverage aimed at, in (0, 1).
        resamples: how many there are.

    Returns:
        The statistic of the scores and the ends of its interval.

    Raises:
        ValueError: if there are fewer than two runs, or a score is not finite.

    Source: Agarwal et al. (2021), section 4.1.
    """
    scores = _finite(scores=scores)
    require_shape((None, None), scores=scores)
    runs = len(scores)
    require(runs >= 2, "scores", f"{runs} run", "at least two runs")
    require_count(resamples=resamples)
    _require_confidence(confidence)
    values = []
    for _ in range(resamples):
        drawn = torch.randint(runs, scores.shape, generator=rng)
        values.append(float(statistic(scores.gather(0, drawn))))
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(statistic(scores)), float(low), float(high))


def slope_interval(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Interval:
    """Slope of log y on log x: the rate b in y = c * x^b, with Student's interval.

        u = log x - mean(log x),  v = log y - mean(log y)
        b = sum_i u_i * v_i / sum_i u_i²
        b ± t(n - 2, (1 + confidence) / 2) * sqrt(sum_i (v_i - b * u_i)² / (n - 2)
                                                  / sum_i u_i²)

    Exact when the log y scatter about the line independently, normally and equally.

    Args:
        x: positive numbers, not all equal, at least three, [n].
        y: positive numbers, [n].
        confidence: coverage of the interval, in (0, 1).

    Returns:
        The slope and the ends of its interval.

    Raises:
        ValueError: if the shapes differ, or a number is not positive and finite.
    """
    x, y = _finite(x=x), _finite(y=y)
    require_shape((None,), x=x)
    require_same_shape(x=x, y=y)
    require(len(x) >= 3, "x", f"{len(x)} points", "at least three")
    require(bool((x > 0).all()), "x", x.min().item(), "positive numbers")
    require(bool((y > 0).all()), "y", y.min().item(), "positive numbers")
    require(bool((x != x[0]).any()), "x", "equal numbers", "at least two different")
    u, v = (z.log() - z.log().mean() for z in (x, y))
    slope = (u @ v / (u @ u)).item()
    residual = (v - slope * u).norm().item()
    error = residual / (len(x) - 2) ** 0.5 / u.norm().item()
    half = _student(confidence, len(x) - 2) * error
    return Interval(slope, slope - half, slope + half)


def enumerated_moments(estimates: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
    """Exact mean and variance of an estimator of which every outcome is listed.

        mean = sum_k probability[k] * estimates[k]
        variance = sum_k probability[k] * |estimates[k] - mean|²

    The variance of a vector is the trace of its covariance matrix.

    Args:
        estimates: what the estimator says in each outcome, [K, D].
        probability: of the outcomes, [K].

    Returns:
        mean, [D], and variance, a scalar.

    Raises:
        ValueError: if a shape does not fit, a number is not finite, or the
            probabilities do not sum to 1.
    """
    require_shape((None, None), estimates=estimates)
    require_not_empty(estimates=estimates)
    require_finite(estimates=estimates)
    require_shape((len(estimates),), probability=probability)
    require_distributions(probability=probability)
    mean = probability @ estimates
    return mean, probability @ (estimates - mean).square().sum(-1)


def _student(confidence: float, freedom: int) -> float:
    """Quantile of Student's t between whose two signs the confidence lies."""
    _require_confidence(confidence)
    return float(scipy.stats.t.ppf((1 + confidence) / 2, freedom))


def _require_confidence(confidence: float) -> None:
    require(0 < confidence < 1, "confidence", confidence, "a number between 0 and 1")


def _finite(**arrays: ArrayLike) -> Tensor:
    """Return the one array as a float64 tensor, checked."""
    ((name, array),) = arrays.items()
    tensor = torch.as_tensor(array, dtype=torch.float64).detach()
    require_not_empty(**{name: tensor})
    require_finite(**{name: tensor})
    return tensor
