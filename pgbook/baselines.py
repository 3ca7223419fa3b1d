"""Baselines: what is subtracted from a return before it weighs a score.

Chapter `baselines`. Time is the first axis, t = 0 … T-1, then the N episodes of a
batch; a baseline has the shape of the returns from which it is subtracted. What is
computed for a whole trajectory has one row per trajectory, [K, D] or [K].
"""

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_distributions,
    require_finite,
    require_no_gradient,
    require_not_empty,
    require_same_shape,
    require_shape,
    require_unit_interval,
)


def batch_mean_baseline(return_t: Tensor) -> Tensor:
    """Mean over the batch at each time, the episode itself included.

        baseline_t[t, n] = sum_m return_t[t, m] / N

    Scales the expected gradient by 1 - 1/N. An episode that is over counts with 0.

    Args:
        return_t: returns, floating point, 0 behind the end of an episode, [T, N].

    Returns:
        baseline_t, in the unit of the returns, [T, N].

    Raises:
        ValueError: if the shape or dtype does not fit, or a return is not finite.
    """
    _require_batch(return_t=return_t)
    return return_t.mean(1, keepdim=True).expand_as(return_t).clone()


def leave_one_out_baseline(return_t: Tensor) -> Tensor:
    """Mean over the other episodes of the batch at each time.

        baseline_t[t, n] = sum_{m != n} return_t[t, m] / (N - 1)

    Independent of episode n, hence unbiased. An episode that is over counts with 0.

    Args:
        return_t: returns, floating point, 0 behind the end of an episode, [T, N] with
            N at least 2.

    Returns:
        baseline_t, in the unit of the returns, [T, N].

    Raises:
        ValueError: if the shape or dtype does not fit, or a return is not finite.

    Source: Kool et al. (2019), "Buy 4 REINFORCE samples, get a baseline for free!".
    """
    _require_batch(return_t=return_t)
    episodes = return_t.shape[1]
    require(episodes >= 2, "return_t", f"{episodes} episode", "at least two")
    return (return_t.sum(1, keepdim=True) - return_t) / (episodes - 1)


def whitened(weight_t: Tensor, valid_t: Tensor) -> Tensor:
    """Weights minus their mean, divided by their standard deviation, over a batch.

        weight_t = (weight_t - mean) / sd      over the valid steps, 0 elsewhere

    The standard deviation divides by the number of valid steps less one. Biased: both
    numbers contain the sample.

    Args:
        weight_t: floating point, [T, N].
        valid_t: whether the step was a decision, bool, [T, N].

    Returns:
        weight_t, without unit, [T, N].

    Raises:
        ValueError: if the shapes differ, a valid weight is not finite, or all valid
            weights are equal up to rounding, so that there is no standard deviation
            to divide by.
    """
    require_same_shape(weight_t=weight_t, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    _require_batch(weight_t=weight_t.masked_fill(~valid_t, 0))
    known = weight_t[valid_t]
    require(len(known) > 1, "valid_t", f"{len(known)} valid steps", "at least two")
    rounding = 8 * torch.finfo(known.dtype).eps * known.abs().max()
    differ = bool(known.max() - known.min() > rounding)
    require(differ, "weight_t", "equal weights", "at least two that differ")
    return torch.where(valid_t, (weight_t - known.mean()) / known.std(), 0)


def optimal_constant_baseline(
    score: Tensor, returns: Tensor, probability: Tensor
) -> Tensor:
    """The one number whose subtraction leaves the least total variance.

        b = sum_k p[k] * |score[k]|² * returns[k] / sum_k p[k] * |score[k]|²

    Minimizes the trace of the covariance of score * (returns - b).

    Args:
        score: summed scores of each trajectory, [K, D].
        returns: return of each trajectory, [K].
        probability: of each trajectory, or 1/K for a sample, [K].

    Returns:
        b, in the unit of the returns, a scalar.

    Raises:
        ValueError: if a shape or number does not fit, or all scores are 0.

    Source: Greensmith et al. (2004), section 4.
    """
    _require_trajectories(score, returns, probability)
    weight = probability * score.square().sum(1)
    require(bool(weight.sum() > 0), "score", "zeros", "one that is not 0")
    return weight @ returns / weight.sum()


def optimal_baseline_per_parameter(
    score: Tensor, returns: Tensor, probability: Tensor
) -> Tensor:
    """One number for each component of the gradient, with the least variance there.

        b[d] = sum_k p[k] * score[k, d]² * returns[k] / sum_k p[k] * score[k, d]²

    Args:
        score: summed scores of each trajectory, [K, D].
        returns: return of each trajectory, [K].
        probability: of each trajectory, or 1/K for a sample, [K].

    Returns:
        b, in the unit of the returns, [D]; 0 where all scores are.

    Raises:
        ValueError: if a shape or number does not fit.

    Source: Peters and Schaal (2008), section 3.
    """
    _require_trajectories(score, returns, probability)
    weight = probability[:, None] * score.square()  # [K, D]
    total = weight.sum(0)
    return (returns @ weight) / total.where(total > 0, 1)


def optimal_state_baseline(pi: Tensor, score: Tensor, q: Tensor) -> Tensor:
    """Per state, the number that leaves a single decision the least variance.

        weight[s, a] = pi[s, a] * |score[s, a]|²
        b[s] = sum_a weight[s, a] * q[s, a] / sum_a weight[s, a]

    It is the state value if the length of the score does not vary with the action. The
    variance of a sum over decisions has covariances besides, which are ignored here.

    Args:
        pi: policy, [S, A].
        score: gradient of log pi(a | s), [S, A, D].
        q: action values, [S, A].

    Returns:
        b, in the unit of the rewards, [S]; 0 where all scores are.

    Raises:
        ValueError: if a shape or number does not fit.

    Source: Greensmith et al. (2004), section 4.
    """
    require_shape((None, None), pi=pi)
    require_distributions(pi=pi)
    require_shape((*pi.shape, None), score=score)
    require_shape(tuple(pi.shape), q=q)
    require_finite(score=score, q=q)
    weight = pi * score.square().sum(-1)  # [S, A]
    total = weight.sum(1)
    return (weight * q).sum(1) / total.where(total > 0, 1)


def fitted_state_baseline(
    baseline: Tensor,
    s_t: Tensor,
    return_t: Tensor,
    valid_t: Tensor,
    step_size: float,
) -> Tensor:
    """Baseline of each state, moved toward the mean return of its visits.

        baseline[s] = baseline[s] + step_size * (mean[s] - baseline[s])

    where mean[s] is over the valid steps with s_t = s; states without one stay. For
    batches to come: subtracted from the returns that it was fitted to, it is biased.

    Args:
        baseline: present baseline, floating point, [S].
        s_t: state indices, [T, N].
        return_t: returns, [T, N].
        valid_t: whether the step was a decision, bool, [T, N].
        step_size: in [0, 1].

    Returns:
        baseline, in the unit of the returns, [S].

    Raises:
        ValueError: if a shape, dtype or number does not fit, or there is no such state.
    """
    require_shape((None,), baseline=baseline)
    require_finite(baseline=baseline)
    require_same_shape(s_t=s_t, return_t=return_t, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    _require_batch(return_t=return_t.masked_fill(~valid_t, 0))
    require_unit_interval(step_size=step_size)
    visited, seen = s_t[valid_t], return_t[valid_t]
    inside = bool(((visited >= 0) & (visited < len(baseline))).all())
    require(inside, "s_t", "another index", f"0 to {len(baseline) - 1}")
    visits = torch.zeros_like(baseline).index_add(0, visited, torch.ones_like(seen))
    total = torch.zeros_like(baseline).index_add(0, visited, seen)
    target = torch.where(visits > 0, total / visits.clamp(min=1), baseline)
    return baseline + step_size * (target - baseline)


def expected_action_baseline(
    pi_t: Tensor, baseline_t: Tensor, valid_t: Tensor | None = None
) -> Tensor:
    """Mean of an action-dependent baseline under the policy, differentiable in pi.

        mean_t = sum_a pi_t[..., a] * baseline_t[..., a]      0 at steps not valid

    Its gradient is the correction that such a baseline needs:
    grad mean_t + (return_t - baseline_t[a_t]) * grad log_prob_t is unbiased.

    Args:
        pi_t: probability of each action in s_t, computed from theta, [T, N, A].
        baseline_t: baseline of each action in s_t, constants, [T, N, A].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.

    Returns:
        mean_t, in the unit of the returns, [T, N].

    Raises:
        ValueError: if a shape does not fit, pi_t holds no probabilities, or the
            baseline is not finite or requires a gradient.

    Source: Tucker et al. (2018), section 2.
    """
    require_shape((None, None, None), pi_t=pi_t)
    require_distributions(pi_t=pi_t)
    require_same_shape(pi_t=pi_t, baseline_t=baseline_t)
    require_no_gradient(baseline_t=baseline_t)
    require_finite(baseline_t=baseline_t)
    mean_t = (pi_t * baseline_t).sum(-1)
    if valid_t is None:
        return mean_t
    require_same_shape(mean_t=mean_t, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    return mean_t.where(valid_t, 0)


def _require_batch(**tensors: Tensor) -> None:
    """Finite numbers, [T, N]."""
    require_shape((None, None), **tensors)
    require_not_empty(**tensors)
    require_finite(**tensors)
    for name, tensor in tensors.items():
        dtype = tensor.dtype
        require(dtype.is_floating_point, name, dtype, "a floating-point dtype")


def _require_trajectories(score: Tensor, returns: Tensor, probability: Tensor) -> None:
    """A score, a return and a probability for each of K trajectories."""
    require_shape((None, None), score=score)
    require_not_empty(score=score)
    require_shape((len(score),), returns=returns, probability=probability)
    require_finite(score=score, returns=returns)
    require_distributions(probability=probability)
