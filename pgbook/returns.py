"""Rewards-to-go: each decision is credited with what comes after it.

Chapter `returns`. Time is the first axis, t = 0 … T-1; `return_t[t]` belongs to the
decision (s_t, a_t) and begins with the reward that follows it. A weight is what
multiplies the score of a decision in an estimate of the policy gradient.
"""

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_count,
    require_finite,
    require_not_empty,
    require_same_shape,
    require_shape,
    require_unit_interval,
)


def rewards_to_go(
    r_t: Tensor, discount_t: Tensor, trace_t: Tensor | None = None
) -> Tensor:
    """Sum of the rewards from each decision to the end of its episode.

        return_t[t] = r_t[t] + discount_t[t] * trace_t[t] * return_t[t + 1]

    Nothing is bootstrapped: `return_t[T]` is 0, so whole episodes are needed. A stream
    of several episodes is fine, the recursion stops at each end.

    Args:
        r_t: rewards, floating point, 0 at fillers and padding, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        trace_t: 1 - (terminated_t | truncated_t), [T, ...]; None means ones, which is
            right only without truncations.

    Returns:
        return_t, in the unit of the rewards, [T, ...].

    Raises:
        ValueError: if the shapes differ, a reward is not finite, or a discount or a
            trace lies outside [0, 1].

    Source: Sutton and Barto (2018), eq. 3.9.
    """
    floating = r_t.dtype.is_floating_point
    require(floating, "r_t", r_t.dtype, "a floating-point dtype")
    require(r_t.ndim > 0, "r_t", "a scalar", "shape [T, ...]")
    require_not_empty(r_t=r_t)
    require_finite(r_t=r_t)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    require_same_shape(r_t=r_t, discount_t=discount_t, trace_t=trace_t)
    require_unit_interval(discount_t=discount_t, trace_t=trace_t)
    keep_t = discount_t * trace_t
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] += keep_t[t] * return_t[t + 1]
    return return_t


def reward_to_go_weights(
    r_t: Tensor, valid_t: Tensor | None = None, gamma: float = 1.0
) -> Tensor:
    """Weights of the discounted gradient: what follows, discounted from the start.

        weight_t[t] = gamma^t * return_t[t] = sum_{k >= t} gamma^k * r_t[k]

    Weight 0 at steps that are not valid. Without gamma^t it is the usual update, which
    is another direction unless gamma is 1.

    Args:
        r_t: rewards, floating point, one whole episode per column, [T, N].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.
        gamma: discount, in [0, 1].

    Returns:
        weight_t, in the unit of the rewards, [T, N].

    Raises:
        ValueError: if a shape, dtype or number does not fit, or a column goes on
            behind its end.

    Source: Sutton and Barto (2018), section 13.3.
    """
    require_unit_interval(gamma=gamma)
    r_t = _rewards_of_episodes(r_t, valid_t)
    t = torch.arange(len(r_t), dtype=r_t.dtype, device=r_t.device)
    return_t = rewards_to_go(r_t, torch.full_like(r_t, gamma))
    weight_t = gamma ** t[:, None] * return_t
    return weight_t if valid_t is None else weight_t.where(valid_t, 0)


def random_horizons(count: int, gamma: float, rng: torch.Generator) -> Tensor:
    """Lengths of episodes that stop after each step with probability 1 - gamma.

        P(length > t) = gamma^t,    E[length] = 1 / (1 - gamma)

    Args:
        count: number N of lengths.
        gamma: probability to go on, at least 0 and below 1.
        rng: draws them.

    Returns:
        length, at least 1, int64, [N].

    Raises:
        ValueError: if count is no positive integer, or gamma lies outside [0, 1).
    """
    require_count(count=count)
    require(0 <= gamma < 1, "gamma", gamma, "a number in [0, 1)")
    uniform = 1 - torch.rand(count, generator=rng, dtype=torch.float64)  # in (0, 1]
    steps = uniform.log() / torch.tensor(gamma, dtype=torch.float64).log()
    return 1 + steps.floor().long()


def random_horizon_weights(
    r_t: Tensor, length: Tensor, valid_t: Tensor | None = None
) -> Tensor:
    """Rewards-to-go without discount, of episodes cut at a random length.

        weight_t[t] = sum_{t <= k < length} r_t[k]      0 from t = length on

    With `length` from `random_horizons`, independent of all else, its mean over the
    lengths is gamma^t * return_t[t]: unbiased for the discounted gradient.

    Args:
        r_t: rewards, floating point, one episode per column, recorded up to its
            length or its end, whichever comes first, [T, N].
        length: at least 1, integer, [N].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.

    Returns:
        weight_t, in the unit of the rewards, [T, N].

    Raises:
        ValueError: if a shape, dtype or number does not fit, or a column goes on
            behind its end.
    """
    r_t = _rewards_of_episodes(r_t, valid_t)
    require_shape((r_t.shape[1],), length=length)
    whole = not length.dtype.is_floating_point and bool((length >= 1).all())
    require(whole, "length", length.dtype, "integers >= 1")
    played = torch.arange(len(r_t), device=r_t.device)[:, None] < length
    return reward_to_go_weights(r_t.where(played, 0), valid_t)


def _rewards_of_episodes(r_t: Tensor, valid_t: Tensor | None) -> Tensor:
    """Checked rewards of one episode per column, 0 behind its end, [T, N]."""
    require_shape((None, None), r_t=r_t)
    require_not_empty(r_t=r_t)
    floating = r_t.dtype.is_floating_point
    require(floating, "r_t", r_t.dtype, "a floating-point dtype")
    if valid_t is not None:
        require_same_shape(r_t=r_t, valid_t=valid_t)
        require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
        whole = bool(valid_t[0].all() and not (valid_t[1:] & ~valid_t[:-1]).any())
        need = "one whole episode per column"
        require(whole, "valid_t", "a filler or a second episode", need)
        r_t = r_t.where(valid_t, 0)
    require_finite(r_t=r_t)
    return r_t
