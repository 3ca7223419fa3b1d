"""Entropy in the loss, entropy in the reward, and the best policy that each aims at.

Chapter `entropy`. A policy is a table pi, [S, A], and beta is the temperature: how
much one nat of entropy is worth in units of reward. With a horizon H, row t of a table
belongs to time t = 0 … H-1. In what belongs to recorded trajectories time is the first
axis, then the N columns.
"""

import math
from dataclasses import replace

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
from pgbook.mdp import TabularMDP
from pgbook.policy_gradient_theorem import theorem_gradient

ACCURACY = 1e-15  # of soft value iteration, relative to where it starts


def policy_entropy(pi: Tensor) -> Tensor:
    """Entropy of the action in each state, in nats.

        entropy[s] = -sum_a pi[s, a] * log pi[s, a]      where 0 log 0 = 0

    Args:
        pi: policy, [..., A].

    Returns:
        entropy, between 0 and log A, [...].

    Raises:
        ValueError: if the last axis of pi holds no distributions.

    Source: Shannon (1948), section 6.
    """
    require_distributions(pi=pi)
    return -torch.special.xlogy(pi, pi).sum(-1)


def entropy_gradient(pi: Tensor, theta: Tensor, weight: Tensor) -> Tensor:
    """Direction of an entropy bonus: the weights of the states are constants.

        gradient = sum_s weight[s] * sum_a -log pi[s, a] * grad_theta pi[s, a]

    Args:
        pi: policy, positive, computed from theta, [S, A].
        theta: parameters, any shape.
        weight: how much each state counts, usually its occupancy, [S] or [H, S].

    Returns:
        gradient, in nats, of the shape of theta.

    Raises:
        ValueError: if a shape or number does not fit, a probability is 0, or pi does
            not depend on theta.

    Source: Williams and Peng (1991).
    """
    surprise = -_log(pi.detach())
    times = weight.shape[:-1]
    return theorem_gradient(pi, theta, weight, surprise.expand(*times, *pi.shape))


def entropy_bonus(entropy_t: Tensor, gamma: float, valid_t: Tensor) -> Tensor:
    """Discounted entropy of whole episodes, to be added to the objective times beta.

        bonus = sum_n sum_t gamma^t * entropy_t / N      over the valid steps

    The mean of its gradient is `entropy_gradient` at the occupancy: the states, which
    were sampled, count as constants.

    Args:
        entropy_t: entropy of the policy at s_t, in nats, [T, N].
        gamma: discount, in [0, 1].
        valid_t: False behind the end of an episode, bool, [T, N].

    Returns:
        bonus, a scalar to maximize.

    Raises:
        ValueError: if the shapes differ, an entropy of a valid step is not finite, or
            gamma lies outside [0, 1].

    Source: Mnih et al. (2016), section 4.
    """
    require_shape((None, None), entropy_t=entropy_t)
    require_not_empty(entropy_t=entropy_t)
    require_same_shape(entropy_t=entropy_t, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    require_unit_interval(gamma=gamma)
    entropy_t = entropy_t.masked_fill(~valid_t, 0)
    require_finite(entropy_t=entropy_t)
    t = torch.arange(len(entropy_t), dtype=entropy_t.dtype)
    return (gamma**t @ entropy_t).mean()


def entropy_rewards(
    r_t: Tensor, log_prob_t: Tensor, beta: float, valid_t: Tensor
) -> Tensor:
    """Rewards of the maximum-entropy objective, one sampled term per decision.

        reward_t = r_t - beta * log_prob_t      0 at steps that are not valid

    Args:
        r_t: rewards, [T, N].
        log_prob_t: log pi(a_t | s_t) of the policy that sampled, constants, [T, N].
        beta: temperature, reward per nat, not negative.
        valid_t: False at fillers and padding, bool, [T, N].

    Returns:
        reward_t, [T, N].

    Raises:
        ValueError: if the shapes differ, log_prob_t requires a gradient, a number of
            a valid step is not finite, or beta is negative.

    Source: Haarnoja et al. (2018), eq. 3.
    """
    require_same_shape(r_t=r_t, log_prob_t=log_prob_t, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    require_no_gradient(log_prob_t=log_prob_t)
    r_t, log_prob_t = (x.masked_fill(~valid_t, 0) for x in (r_t, log_prob_t))
    require_finite(r_t=r_t, log_prob_t=log_prob_t)
    return r_t - _temperature(beta) * log_prob_t


def soft_values(mdp: TabularMDP, pi: Tensor, beta: float) -> Tensor:
    """State values when every decision also earns beta times its entropy.

        v = r_pi + beta * entropy + gamma * P_pi @ v

    Args:
        mdp: tables of S states and A actions, with or without a horizon.
        pi: policy, [S, A].
        beta: temperature, reward per nat, not negative.

    Returns:
        v, differentiable in pi, [S]; with a horizon [H+1, S].

    Raises:
        ValueError: if pi is no policy for this MDP, or beta is negative.

    Source: Haarnoja et al. (2018), eq. 3.
    """
    require_shape(tuple(mdp.reward.shape), pi=pi)
    earned = mdp.reward + _temperature(beta) * policy_entropy(pi)[:, None]
    return replace(mdp, reward=earned).values(pi)


def soft_action_values(mdp: TabularMDP, pi: Tensor, beta: float) -> Tensor:
    """Action values when every later decision also earns beta times its entropy.

        q[s, a] = reward[s, a] + gamma * sum_s' transition[s, a, s'] * v[s']

    The entropy of the decision itself is not in q: v = sum_a pi * (q - beta log pi).

    Args:
        mdp: tables of S states and A actions, with or without a horizon.
        pi: policy, [S, A].
        beta: temperature, reward per nat, not negative.

    Returns:
        q, differentiable in pi, [S, A]; with a horizon [H, S, A].

    Raises:
        ValueError: as `soft_values` does.

    Source: Haarnoja et al. (2018), eq. 2.
    """
    v = soft_values(mdp, pi, beta)
    return _look_ahead(mdp, v if mdp.horizon is None else v[1:])


def soft_gradient(mdp: TabularMDP, pi: Tensor, theta: Tensor, beta: float) -> Tensor:
    """Gradient of the maximum-entropy objective: the soft policy gradient theorem.

        gradient = sum_s d[s] * sum_a (q[s, a] - beta * log pi[s, a]) * grad pi[s, a]

    d is the occupancy and q the soft action value, both constants.

    Args:
        mdp: tables of S states and A actions, with or without a horizon.
        pi: policy, positive, computed from theta, [S, A].
        theta: parameters, any shape.
        beta: temperature, reward per nat, not negative.

    Returns:
        gradient, of the shape of theta.

    Raises:
        ValueError: as `soft_values` does, if a probability is 0, or if pi does not
            depend on theta.

    Source: Schulman, Chen and Abbeel (2017).
    """
    table = pi.detach()
    worth = soft_action_values(mdp, table, beta) - beta * _log(table)
    return theorem_gradient(pi, theta, mdp.occupancy(table), worth)


def soft_bellman(mdp: TabularMDP, v: Tensor, beta: float) -> Tensor:
    """Soft Bellman operator: the best decision now, and v afterward.

        (T v)[s] = beta * log sum_a exp((reward + gamma * transition @ v)[s, a] / beta)

    Args:
        mdp: tables of S states and A actions, without a horizon.
        v: what the next state is worth, [S].
        beta: temperature, reward per nat, positive.

    Returns:
        T v, [S].

    Raises:
        ValueError: if the MDP has a horizon, v does not fit, or beta is not positive.

    Source: Haarnoja et al. (2017), theorem 2.
    """
    require(mdp.horizon is None, "mdp", f"horizon {mdp.horizon}", "no horizon")
    require_shape(tuple(mdp.initial.shape), v=v)
    require_finite(v=v)
    require(0 < beta < math.inf, "beta", beta, "a positive number")
    return beta * torch.logsumexp(_look_ahead(mdp, v) / beta, -1)


def soft_optimal(mdp: TabularMDP, beta: float) -> tuple[Tensor, Tensor]:
    """Best policy of the maximum-entropy objective, by soft value iteration.

        v <- T v, repeated until gamma^n <= 1e-15
        pi[s, a] = exp((q[s, a] - v[s]) / beta)

    Args:
        mdp: tables of S states and A actions, without a horizon, discount below 1.
        beta: temperature, reward per nat, positive.

    Returns:
        pi, [S, A], and its soft values v, [S].

    Raises:
        ValueError: if the MDP has a horizon or is not discounted, or beta is not
            positive.

    Source: Haarnoja et al. (2017), theorems 1 and 3.
    """
    gamma, v = mdp.discount, torch.zeros_like(mdp.initial)
    require(gamma < 1, "mdp", f"discount {gamma}", "a discount below 1")
    steps = math.ceil(math.log(ACCURACY) / math.log(gamma)) if gamma > 0 else 1
    for _ in range(steps):
        v = soft_bellman(mdp, v, beta)
    return (_look_ahead(mdp, v) / beta).softmax(-1), v


def mirror_descent_step(pi: Tensor, q: Tensor, eta: float, beta: float) -> Tensor:
    """One step of entropy-regularized mirror descent, the natural policy gradient.

        pi_new[s, a] = pi[s, a]^(1 - eta * beta) * exp(eta * q[s, a]) / sum over a

    Exponential weights at beta = 0, soft policy iteration at eta = 1 / beta.

    Args:
        pi: policy, positive, [S, A].
        q: soft action values of pi, [S, A].
        eta: step size, positive, per unit of reward.
        beta: temperature, reward per nat, with 0 <= beta <= 1 / eta.

    Returns:
        pi_new, [S, A].

    Raises:
        ValueError: if shapes do not fit, a probability is 0, a number is not finite,
            or eta and beta are out of range.

    Source: Cen et al. (2022), algorithm 1, whose eta is (1 - gamma) times this one.
    """
    require_same_shape(pi=pi, q=q)
    require_finite(q=q)
    require(0 < eta < math.inf, "eta", eta, "a positive number")
    kept = 1 - eta * _temperature(beta)
    require(kept >= 0, "beta", beta, f"at most 1 / eta = {1 / eta:g}")
    return (kept * _log(pi) + eta * q).softmax(-1)


def _look_ahead(mdp: TabularMDP, v_tp1: Tensor) -> Tensor:
    """Value of an action if the next state is worth v_tp1, [..., S]: [..., S, A]."""
    expected_v = torch.einsum("sau,...u->...sa", mdp.transition, v_tp1)
    return mdp.reward + mdp.discount * expected_v


def _log(pi: Tensor) -> Tensor:
    """Logarithm of a policy, [S, A], that takes every action."""
    require_shape((None, None), pi=pi)
    require_not_empty(pi=pi)
    require_distributions(pi=pi)
    require(bool((pi > 0).all()), "pi", "a probability 0", "positive probabilities")
    return pi.log()


def _temperature(beta: float) -> float:
    require(0 <= beta < math.inf, "beta", beta, "a number >= 0")
    return beta
