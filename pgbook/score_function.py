"""Estimates of the gradient of an expectation, and the scores of three families.

Chapter `score_function`. No time index: samples are the first axis, parameters the
last. Estimates are per sample, [N, d]: their mean over the first axis estimates the
gradient of E[f(x)] in d parameters, and their spread is what the mean costs.
"""

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_finite,
    require_no_gradient,
    require_not_empty,
    require_same_shape,
    require_shape,
)


def score_function_estimates(value: Tensor, score: Tensor) -> Tensor:
    """Gradient estimates from values and scores; f is never differentiated.

        estimate[i, k] = value[i] * score[i, k]

    Unbiased when the score is that of the density which drew the samples, and
    Leibniz' rule holds. A constant taken off every value does not change the mean.

    Args:
        value: f(x_i), in the unit of f, [N].
        score: grad_theta log p_theta(x_i), [N, d].

    Returns:
        One estimate per sample, [N, d].

    Raises:
        ValueError: if the shapes do not fit, or a number is not a finite constant.

    Source: Williams (1992), theorem 1; Glynn (1990).
    """
    _check_factors(value=value, score=score)
    return value[:, None] * score


def pathwise_estimates(value_slope: Tensor, sample_slope: Tensor) -> Tensor:
    """Gradient estimates from the slope of f along the path of each sample.

        estimate[i, k] = value_slope[i] * sample_slope[i, k]

    Each sample is a function of theta and of noise that does not depend on theta.
    Unbiased when f has no jumps and its difference quotients are dominated.

    Args:
        value_slope: f'(x_i), in the unit of f per unit of x, [N].
        sample_slope: grad_theta x_i at fixed noise, [N, d].

    Returns:
        One estimate per sample, [N, d].

    Raises:
        ValueError: if the shapes do not fit, or a number is not a finite constant.

    Source: Mohamed et al. (2020), section 5.
    """
    _check_factors(value_slope=value_slope, sample_slope=sample_slope)
    return value_slope[:, None] * sample_slope


def finite_difference_estimates(ahead: Tensor, behind: Tensor, width: float) -> Tensor:
    """Gradient estimates from values at two parameters; nothing is differentiated.

        estimate[i, k] = (ahead[i, k] - behind[i, k]) / width

    Column k belongs to parameter k, which differs by `width` between the two. Biased
    in general; rows with the same noise on both sides vary least.

    Args:
        ahead: values of f at the larger parameter, [N, d].
        behind: values of f at the smaller parameter, [N, d].
        width: distance between the parameters, positive.

    Returns:
        One estimate per sample, [N, d].

    Raises:
        ValueError: if the shapes differ, a number is not finite, or width <= 0.

    Source: Glasserman (2003), section 7.1.
    """
    require_shape((None, None), ahead=ahead)
    require_same_shape(ahead=ahead, behind=behind)
    require_not_empty(ahead=ahead)
    require_finite(ahead=ahead, behind=behind)
    _require_positive(width=width)
    return (ahead - behind) / width


def gaussian_score(x: Tensor, mean: float, std: float) -> Tensor:
    """Score of a normal distribution, for its mean and the log of its deviation.

        z = (x - mean) / std
        score = (z / std, z² - 1)

    Args:
        x: samples, [N].
        mean: of the distribution, in the unit of x.
        std: standard deviation, in the unit of x, positive.

    Returns:
        The derivatives of log p(x_i) in mean and in log(std), [N, 2].

    Raises:
        ValueError: if x is no [N] of finite numbers, or std is not positive.

    Source: Williams (1992), section 6.
    """
    _check_samples(x)
    require_finite(mean=torch.as_tensor(mean))
    _require_positive(std=std)
    z = (x - mean) / std
    return torch.stack([z / std, z**2 - 1], dim=1)


def bernoulli_score(x: Tensor, logit: float) -> Tensor:
    """Score of a coin flip, for its logit.

        p = sigmoid(logit)
        score = x - p

    Args:
        x: outcomes, 0 or 1, [N].
        logit: log(p / (1 - p)), finite.

    Returns:
        The derivative of log p(x_i) in the logit, [N, 1].

    Raises:
        ValueError: if x is no [N] of zeros and ones, or the logit is not finite.

    Source: Williams (1992), eq. 7.
    """
    _check_samples(x)
    require(bool(((x == 0) | (x == 1)).all()), "x", "another outcome", "zeros and ones")
    logit = torch.as_tensor(logit, dtype=torch.float64)
    require_finite(logit=logit)
    return (x - logit.sigmoid())[:, None]


def categorical_score(x: Tensor, logits: Tensor) -> Tensor:
    """Score of a draw from K outcomes, for their logits.

        p = softmax(logits)
        score[i, k] = (x[i] == k) - p[k]

    Args:
        x: outcomes, integers from 0 to K - 1, [N].
        logits: log-probabilities up to a constant, [K].

    Returns:
        The derivatives of log p(x_i) in the logits, [N, K].

    Raises:
        ValueError: if x is no [N] of such integers, or a logit is not finite.

    Source: Sutton and Barto (2018), exercise 13.3.
    """
    require_shape((None,), logits=logits)
    require_not_empty(logits=logits)
    require_finite(logits=logits)
    _check_samples(x)
    require(x.dtype == torch.int64, "x", x.dtype, "torch.int64")
    outcomes = torch.arange(len(logits))
    inside = bool(torch.isin(x, outcomes).all())
    require(inside, "x", "another outcome", f"0 to {len(logits) - 1}")
    return (x[:, None] == outcomes).to(logits.dtype) - logits.softmax(0)


def _check_factors(**factors: Tensor) -> None:
    """One number per sample, [N], and one row per sample, [N, d], both constant."""
    (first, weight), (second, _) = factors.items()
    require_shape((None,), **{first: weight})
    require_not_empty(**factors)
    require_shape((len(weight), None), **{second: factors[second]})
    require_no_gradient(**factors)
    require_finite(**factors)


def _check_samples(x: Tensor) -> None:
    require_shape((None,), x=x)
    require_not_empty(x=x)
    require_finite(x=x)


def _require_positive(**numbers: float) -> None:
    for name, number in numbers.items():
        require(0 < number < float("inf"), name, number, "a positive finite number")
