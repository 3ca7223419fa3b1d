"""The probability of a trajectory, its logarithm, its score, and products in floats.

Chapter `trajectory_probability`. Time comes first: entry [t, n] belongs to decision t
of trajectory n, and a step that is not valid contributes nothing. What is summed over
time has one number per trajectory, [N].
"""

import math

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_distributions,
    require_finite,
    require_not_empty,
    require_same_shape,
    require_shape,
)
from pgbook.mdp import TabularMDP
from pgbook.trajectories import Trajectories


def trajectory_log_prob(log_prob_t: Tensor, valid_t: Tensor | None = None) -> Tensor:
    """Log-probability of all actions of a trajectory.

        log_prob = sum_t valid_t * log_prob_t

    An invalid step is left out, not multiplied by zero: whatever stands there, NaN
    included, changes nothing.

    Args:
        log_prob_t: log pi(a_t | s_t), in nats, [T, N].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.

    Returns:
        log_prob, [N].

    Raises:
        ValueError: if the shapes differ, valid_t is not bool, or a log-probability
            of a valid step is not finite.
    """
    require_shape((None, None), log_prob_t=log_prob_t)
    require_not_empty(log_prob_t=log_prob_t)
    if valid_t is not None:
        require_same_shape(log_prob_t=log_prob_t, valid_t=valid_t)
        require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
        log_prob_t = log_prob_t.masked_fill(~valid_t, 0)
    require_finite(log_prob_t=log_prob_t)
    return log_prob_t.sum(0)


def policy_log_prob(pi: Tensor, trajectories: Trajectories) -> Tensor:
    """Log-probability of each recorded action under a table.

        log_prob_t = log pi[s_t, a_t]      0 at steps that are not valid

    Args:
        pi: policy, [S, A].
        trajectories: observations are state indices, [T+1, N].

    Returns:
        log_prob_t, [T, N].

    Raises:
        ValueError: if pi is no policy, or does not allow what was recorded.
    """
    require_shape((None, None), pi=pi)
    require_distributions(pi=pi)
    s_t, a_t, _ = _indices(trajectories, *pi.shape)
    chance = pi[s_t, a_t]
    return _log_of_possible(chance, trajectories.valid, "pi")


def initial_log_prob(mdp: TabularMDP, trajectories: Trajectories) -> Tensor:
    """Log-probability of the state in which each trajectory starts.

        log_prob = log initial[s_0]

    Args:
        mdp: the environment.
        trajectories: one episode per column from time 0, state indices, [T+1, N].

    Returns:
        log_prob, [N].

    Raises:
        ValueError: if a column does not start with a decision, or nothing starts in
            its first state.
    """
    starts = trajectories.valid[0]
    require(bool(starts.all()), "trajectories", "a filler at t = 0", "whole episodes")
    s_t, _, _ = _indices(trajectories, *mdp.reward.shape)
    return _log_of_possible(mdp.initial[s_t[0]], starts, "mdp")


def dynamics_log_prob(mdp: TabularMDP, trajectories: Trajectories) -> Tensor:
    """Log-probability of what the environment did after each action.

        log p(s_t+1 | s_t, a_t)      where the episode goes on
        log ending[s_t, a_t]         where it terminates
        0                            at steps that are not valid

    The last decision before a horizon moves on as well, but a record calls it
    terminated. Where it stays in its state the record does not tell whether the
    episode ended or stayed, and the two probabilities are added.

    Args:
        mdp: the environment.
        trajectories: one episode per column from time 0, state indices, [T+1, N].

    Returns:
        Log-probabilities, [T, N].

    Raises:
        ValueError: if the environment cannot do what was recorded.
    """
    s_t, a_t, s_tp1 = _indices(trajectories, *mdp.reward.shape)
    moves, ends = mdp.transition[s_t, a_t, s_tp1], mdp.ending[s_t, a_t]
    last = torch.zeros_like(trajectories.valid)
    if mdp.horizon is not None:
        last[mdp.horizon - 1 :] = True
    may_move = ~trajectories.terminated | last
    may_end = trajectories.terminated & (~last | (s_t == s_tp1))
    chance = moves.where(may_move, 0) + ends.where(may_end, 0)
    return _log_of_possible(chance, trajectories.valid, "mdp")


def full_log_probability(
    mdp: TabularMDP, pi: Tensor, trajectories: Trajectories
) -> Tensor:
    """Logarithm of the probability of a trajectory, with every factor in it.

        log p(tau) = log p(s_0) + sum_t log pi(a_t | s_t)
                                + sum_t log p(s_t+1 | s_t, a_t)

    Args:
        mdp: the environment; its tables may depend on parameters.
        pi: policy, [S, A].
        trajectories: one episode per column from time 0, state indices, [T+1, N].

    Returns:
        log p(tau), [N].

    Raises:
        ValueError: if pi is no policy for this environment, if a column does not
            start with a decision, or if something recorded has probability 0.

    Source: Sutton and Barto (2018), section 5.5.
    """
    require_shape(tuple(mdp.reward.shape), pi=pi)
    return (
        initial_log_prob(mdp, trajectories)
        + policy_log_prob(pi, trajectories).sum(0)
        + dynamics_log_prob(mdp, trajectories).sum(0)
    )


def trajectory_score(log_prob: Tensor, theta: Tensor) -> Tensor:
    """Gradient of each trajectory's log-probability.

        score[n] = grad_theta log_prob[n]

    All at once: row n of the identity asks for the gradient of log_prob[n].

    Args:
        log_prob: computed from theta, [N].
        theta: parameters that require a gradient, any shape [...].

    Returns:
        score, [N, ...].

    Raises:
        ValueError: if log_prob does not depend on theta.
    """
    require_shape((None,), log_prob=log_prob)
    require_not_empty(log_prob=log_prob)
    require(theta.requires_grad, "theta", "a constant", "parameters with a gradient")
    require(log_prob.requires_grad, "log_prob", "a constant", "a function of theta")
    (score,) = torch.autograd.grad(
        log_prob,
        theta,
        torch.eye(len(log_prob), dtype=log_prob.dtype),
        retain_graph=True,
        allow_unused=True,
        is_grads_batched=True,
    )
    got = "parameters that log_prob does not use"
    require(score is not None, "theta", got, "those of log_prob")
    return score


def running_product(factor_t: Tensor) -> Tensor:
    """Products of the first n factors, from left to right, rounded after each step.

        product[n] = round(product[n - 1] * factor_t[n])

    `torch.prod` and `torch.cumprod` take other orders or other formats on the way.

    Args:
        factor_t: factors, floating point, [T].

    Returns:
        product, in the format of the factors, [T].

    Raises:
        ValueError: if there is no factor, or one is not finite.
    """
    require_shape((None,), factor_t=factor_t)
    require_not_empty(factor_t=factor_t)
    dtype = factor_t.dtype
    require(dtype.is_floating_point, "factor_t", dtype, "a floating-point dtype")
    require_finite(factor_t=factor_t)
    products = [factor_t[0]]
    for factor in factor_t[1:]:
        products.append(products[-1] * factor)
    return torch.stack(products)


def first_beyond(factor: float, exponent: float) -> int:
    """First n at which factor^n lies beyond 2^exponent.

        n = floor(exponent / log2(factor)) + 1

    "Beyond" is below for a factor under 1, and above for one over 1.

    Args:
        factor: positive, not 1.
        exponent: negative for a factor under 1, positive for one over 1.

    Returns:
        n, at least 1.

    Raises:
        ValueError: if no power ever gets there.
    """
    possible = 0 < factor < math.inf and factor != 1
    require(possible, "factor", factor, "a positive finite number that is not 1")
    there = math.isfinite(exponent) and exponent * math.log2(factor) > 0
    require(there, "exponent", exponent, f"one that powers of {factor} move toward")
    return math.floor(exponent / math.log2(factor)) + 1


def _indices(
    trajectories: Trajectories, states: int, actions: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Recorded s_t, a_t and s_t+1, [T, N] each, 0 at steps that are not valid."""
    observations, valid = trajectories.observations, trajectories.valid
    recorded = (
        (observations[:-1], states),
        (trajectories.actions, actions),
        (observations[1:], states),
    )
    found = []
    for index, size in recorded:
        whole = not index.is_floating_point() and index.shape == valid.shape
        require(whole, "trajectories", index.dtype, "one integer per step")
        index = index.masked_fill(~valid, 0)
        low, high = index.min(), index.max()
        need = f"indices from 0 to {size - 1}"
        require(bool(low >= 0 and high < size), "trajectories", f"{low}, {high}", need)
        found.append(index)
    return tuple(found)


def _log_of_possible(chance: Tensor, valid: Tensor, argument: str) -> Tensor:
    """Logarithms at valid steps, 0 elsewhere; the probabilities must not be 0.

    Invalid steps are filled before the logarithm: masked after it, a probability of 0
    would still send NaN into the gradient.
    """
    chance = chance.masked_fill(~valid, 1)
    impossible = (chance <= 0).nonzero()
    if len(impossible):
        index = impossible[0].tolist()
        need = "tables that allow what was recorded"
        require(False, argument, f"probability 0 at index {index}", need)
    return chance.log()
