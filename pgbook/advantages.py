"""Advantages: rewards for a while, then the critic's word for the rest.

Chapter `advantages`. Time is the first axis, t = 0 … T-1. `v_t[t]` values s_t and
`v_tp1[t]` the state after it, the true successor also where an episode ends.
`discount_t[t]` and `trace_t[t]` tell what follows the step t itself: a termination
stops the bootstrap, any end stops the trace.
"""

from math import isfinite

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_count,
    require_finite,
    require_no_gradient,
    require_not_empty,
    require_same_shape,
    require_unit_interval,
)


def td_errors(r_t: Tensor, discount_t: Tensor, v_t: Tensor, v_tp1: Tensor) -> Tensor:
    """One-step temporal-difference errors.

        delta_t = r_t + discount_t * v_tp1 - v_t

    Args:
        r_t: rewards, floating point, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        v_t: value estimates of s_t, [T, ...].
        v_tp1: value estimates of the state after s_t, [T, ...].

    Returns:
        delta_t, in the unit of the rewards, [T, ...].

    Raises:
        ValueError: if the shapes differ, or a number does not fit.

    Source: Sutton and Barto (2018), eq. 6.5.
    """
    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    return r_t + discount_t * v_tp1 - v_t


def n_step_returns(
    r_t: Tensor,
    discount_t: Tensor,
    v_tp1: Tensor,
    n: int,
    trace_t: Tensor | None = None,
) -> Tensor:
    """Rewards of n steps, then the critic's value of where they lead.

        return_t(1) = r_t + discount_t * v_tp1
        return_t(n) = r_t + discount_t * (
            (1 - trace_t) * v_tp1 + trace_t * return_{t+1}(n - 1)
        )

    Behind an end, or behind the last recorded step, the value of the state reached
    there takes the place of the return.

    Args:
        r_t: rewards, floating point, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        v_tp1: value estimates of the state after s_t, [T, ...].
        n: number of rewards, at least 1.
        trace_t: 1 - (terminated_t | truncated_t), [T, ...]; None means ones, which is
            right only without truncations.

    Returns:
        return_t, in the unit of the rewards, [T, ...].

    Raises:
        ValueError: if the shapes differ, or a number does not fit.

    Source: Sutton and Barto (2018), eq. 7.1.
    """
    require_count(n=n)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = r_t + discount_t * v_tp1
    for _ in range(n - 1):
        later_t = torch.cat([return_t[1:], v_tp1[-1:]])
        mixed = (1 - trace_t) * v_tp1 + trace_t * later_t
        return_t = r_t + discount_t * mixed
    return return_t


def lambda_returns(
    r_t: Tensor,
    discount_t: Tensor,
    v_tp1: Tensor,
    lambda_: float,
    trace_t: Tensor | None = None,
) -> Tensor:
    """Exponential average of the returns of n steps, n = 1, 2, ….

        keep_t = lambda_ * trace_t
        return_t = r_t + discount_t * ((1 - keep_t) * v_tp1 + keep_t * return_{t+1})

    Behind the last recorded step, `v_tp1` takes the place of `return_{t+1}`.

    Args:
        r_t: rewards, floating point, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        v_tp1: value estimates of the state after s_t, [T, ...].
        lambda_: weight of what comes later, in [0, 1].
        trace_t: 1 - (terminated_t | truncated_t), [T, ...]; None means ones, which is
            right only without truncations.

    Returns:
        return_t, in the unit of the rewards, [T, ...].

    Raises:
        ValueError: if the shapes differ, or a number does not fit.

    Source: Sutton and Barto (2018), eq. 12.2.
    """
    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    keep_t, return_t = lambda_ * trace_t, [v_tp1[-1]]
    for t in reversed(range(len(r_t))):
        mixed = (1 - keep_t[t]) * v_tp1[t] + keep_t[t] * return_t[-1]
        return_t.append(r_t[t] + discount_t[t] * mixed)
    return torch.stack(return_t[:0:-1])


def gae(
    r_t: Tensor,
    discount_t: Tensor,
    v_t: Tensor,
    v_tp1: Tensor,
    lambda_: float,
    trace_t: Tensor | None = None,
) -> Tensor:
    """Generalized advantage estimates: discounted sums of temporal-difference errors.

        delta_t = r_t + discount_t * v_tp1 - v_t
        adv_t = delta_t + discount_t * lambda_ * trace_t * adv_{t+1}

    Args:
        r_t: rewards, floating point, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        v_t: value estimates of s_t, [T, ...].
        v_tp1: value estimates of the state after s_t, [T, ...].
        lambda_: 0 trusts the critic, 1 the recorded rewards; in [0, 1].
        trace_t: 1 - (terminated_t | truncated_t), [T, ...]; None means ones, which is
            right only without truncations.

    Returns:
        adv_t, in the unit of the rewards, [T, ...].

    Raises:
        ValueError: if the shapes differ, or a number does not fit.

    Source: Schulman et al. (2016), eq. 16.
    """
    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, trace_t=trace_t)
    adv_t = td_errors(r_t, discount_t, v_t, v_tp1)
    keep_t = discount_t * lambda_ * trace_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += keep_t[t] * adv_t[t + 1]
    return adv_t


def fast_gae(
    r_t: Tensor,
    discount_t: Tensor,
    v_t: Tensor,
    v_tp1: Tensor,
    lambda_: float,
    trace_t: Tensor | None = None,
) -> Tensor:
    """Compute what `gae` does, with the recursion in place on NumPy arrays.

    Equal to `gae` to rounding, at a fraction of the time. Checks all numbers by four
    bounds and a sum, and looks for the culprit only if one of these does not fit.

    Args:
        r_t: rewards, floating point, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        v_t: value estimates of s_t, constants, [T, ...].
        v_tp1: value estimates of the state after s_t, constants, [T, ...].
        lambda_: 0 trusts the critic, 1 the recorded rewards; in [0, 1].
        trace_t: 1 - (terminated_t | truncated_t), [T, ...]; None means ones.

    Returns:
        adv_t, [T, ...].

    Raises:
        ValueError: as `gae` does, or if an argument requires a gradient.
    """
    require(0 <= lambda_ <= 1, "lambda_", lambda_, "a number in [0, 1]")
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    arguments = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    arguments["trace_t"] = trace_t
    _require_aligned(**arguments)
    require_no_gradient(**arguments)
    adv_t = (r_t + discount_t * v_tp1 - v_t).contiguous()
    bounds = [end.item() for x in (discount_t, trace_t) for end in torch.aminmax(x)]
    inside = all(0 <= bound <= 1 for bound in bounds)
    # A number that is not finite makes the sum so, whatever the others are.
    if not (inside and isfinite(adv_t.sum().item())):
        _require_transitions(**arguments)
    keep_t = (discount_t * trace_t).mul_(lambda_).contiguous()
    rows, factors = (x.reshape(len(x), -1).numpy() for x in (adv_t, keep_t))
    later = rows[-1]
    for row, factor in zip(rows[-2::-1], factors[-2::-1], strict=True):
        factor *= later
        row += factor
        later = row
    return adv_t


def _require_aligned(r_t: Tensor, **others: Tensor) -> None:
    """Rewards and what belongs to the same steps: dtype and shapes."""
    floating = r_t.dtype.is_floating_point
    require(floating, "r_t", r_t.dtype, "a floating-point dtype")
    require(r_t.ndim > 0, "r_t", "a scalar", "shape [T, ...]")
    require_not_empty(r_t=r_t)
    require_same_shape(r_t=r_t, **others)


def _require_transitions(r_t: Tensor, **others: Tensor) -> None:
    """The same, and their numbers."""
    _require_aligned(r_t, **others)
    require_finite(r_t=r_t, **others)
    inside = {k: v for k, v in others.items() if k in ("discount_t", "trace_t")}
    require_unit_interval(**inside)
