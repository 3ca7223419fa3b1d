"""REINFORCE: the return of a whole trajectory as the weight of each of its scores.

Chapter `reinforce`. Time is the first axis, t = 0 … T-1, and `weight_t[t]` belongs to
the decision (s_t, a_t). A column is one whole episode, padded behind its end.
"""

import itertools
from collections import Counter
from math import comb, factorial, prod

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_count,
    require_distributions,
    require_finite,
    require_no_gradient,
    require_not_empty,
    require_same_shape,
    require_shape,
)
from pgbook.objective import trajectory_returns
from pgbook.trajectory_probability import trajectory_score

MAX_BATCHES = 1_000_000


def total_return_weights(
    r_t: Tensor, valid_t: Tensor | None = None, gamma: float = 1.0
) -> Tensor:
    """Weights of REINFORCE: each decision gets the return of its whole trajectory.

        weight_t[t] = r(tau) = sum_k gamma^k * r_t[k]      0 at steps that are not valid

    Args:
        r_t: rewards, floating point, [T, N].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.
        gamma: discount, in [0, 1].

    Returns:
        weight_t, in the unit of the rewards, [T, N].

    Raises:
        ValueError: if a shape, dtype or number does not fit, or a column goes on
            behind its end.

    Source: Williams (1992), section 5.
    """
    require_shape((None, None), r_t=r_t)
    weight_t = trajectory_returns(r_t, gamma, valid_t).expand_as(r_t)
    return weight_t.clone() if valid_t is None else weight_t.where(valid_t, 0)


def policy_gradient_loss(
    log_prob_t: Tensor, weight_t: Tensor, valid_t: Tensor | None = None
) -> Tensor:
    """Surrogate whose gradient is minus the estimate of the policy gradient.

        loss = -sum_n sum_t weight_t * log_prob_t / N      over the valid steps

    Divides by the number of episodes, never by a number of steps. The value means
    nothing; the gradient is right at the parameters that sampled the actions.

    Args:
        log_prob_t: log pi(a_t | s_t), [T, N].
        weight_t: constants, [T, N].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.

    Returns:
        The loss, a scalar to minimize.

    Raises:
        ValueError: if the shapes differ, a column is no whole episode, a number of a
            valid step is not finite, or a weight requires a gradient.

    Source: Williams (1992), section 5.
    """
    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    return -(weight_t * log_prob_t).sum(0).mean()


def trajectory_gradients(
    log_prob_t: Tensor,
    weight_t: Tensor,
    theta: Tensor,
    valid_t: Tensor | None = None,
) -> Tensor:
    """Policy gradient estimated from each trajectory alone.

        gradient[n] = sum_t weight_t[t, n] * grad_theta log_prob_t[t, n]

    Their mean is minus the gradient of `policy_gradient_loss`; their spread is what
    that mean costs. One backward pass per trajectory.

    Args:
        log_prob_t: log pi(a_t | s_t), computed from theta, [T, N].
        weight_t: constants, [T, N].
        theta: parameters, D numbers in all.
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.

    Returns:
        gradient, [N, D].

    Raises:
        ValueError: as `policy_gradient_loss`, or if log_prob_t does not depend on
            theta.
    """
    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    depends = log_prob_t.requires_grad
    require(depends, "log_prob_t", "constants", "numbers computed from theta")
    sums = (weight_t * log_prob_t).sum(0)
    return trajectory_score(sums, theta).reshape(len(sums), -1)


def every_batch(probability: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Every batch of independent draws from K outcomes, up to order.

        chance[b] = N! / prod_k count_k! * prod_k probability[k]^count_k

    Args:
        probability: of the outcomes, [K].
        size: number N of draws in a batch.

    Returns:
        batches of outcome indices, [B, N], and their probabilities, [B].

    Raises:
        ValueError: if the probabilities do not sum to 1, N < 1, or there are more
            than a million batches.
    """
    require_shape((None,), probability=probability)
    require_distributions(probability=probability)
    require_count(size=size)
    outcomes = len(probability)
    count, most = comb(outcomes + size - 1, size), MAX_BATCHES
    require(count <= most, "size", f"{count:,} batches", f"at most {most:,}")
    batches = list(itertools.combinations_with_replacement(range(outcomes), size))
    repeats = [prod(map(factorial, Counter(batch).values())) for batch in batches]
    orders = [float(factorial(size) // n) for n in repeats]
    indices = torch.tensor(batches)
    chance = torch.tensor(orders, dtype=probability.dtype)
    return indices, chance * probability[indices].prod(1)


def _whole_episodes(
    log_prob_t: Tensor, weight_t: Tensor, valid_t: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Both arguments, checked, and 0 at steps that are not valid, [T, N]."""
    require_shape((None, None), log_prob_t=log_prob_t)
    require_not_empty(log_prob_t=log_prob_t)
    require_same_shape(log_prob_t=log_prob_t, weight_t=weight_t)
    require_no_gradient(weight_t=weight_t)
    if valid_t is not None:
        require_same_shape(log_prob_t=log_prob_t, valid_t=valid_t)
        require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
        whole = bool(valid_t[0].all() and not (valid_t[1:] & ~valid_t[:-1]).any())
        got, need = "a filler or a second episode", "one whole episode per column"
        require(whole, "valid_t", got, need)
        log_prob_t = log_prob_t.where(valid_t, 0)
        weight_t = weight_t.where(valid_t, 0)
    require_finite(log_prob_t=log_prob_t, weight_t=weight_t)
    return log_prob_t, weight_t
