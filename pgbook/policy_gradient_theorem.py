"""The policy gradient theorem: three objectives, one sum over states and actions.

Chapter `policy_gradient_theorem`. A policy is a table pi, [S, A], computed from theta.
With a horizon H, row t of a table belongs to time t = 0 … H-1. In what belongs to
recorded trajectories time is the first axis, then the N episodes, then the A actions.
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
)
from pgbook.mdp import ROUNDING, TabularMDP
from pgbook.trajectories import Trajectories


def theorem_gradient(pi: Tensor, theta: Tensor, weight: Tensor, q: Tensor) -> Tensor:
    """The sum that all versions of the theorem share; only pi is differentiated.

        gradient = sum_s weight[s] * sum_a q[s, a] * grad_theta pi[s, a]

    With a leading axis of times, the sum runs over times too.

    Args:
        pi: policy, computed from theta, [S, A].
        theta: parameters, any shape.
        weight: how much each state counts, constants, [S] or [H, S].
        q: what each action is worth, constants, [S, A] or [H, S, A].

    Returns:
        gradient, in the unit of weight * q, of the shape of theta.

    Raises:
        ValueError: if shapes do not fit, a number is not finite, weight or q requires
            a gradient, or pi does not depend on theta.

    Source: Sutton et al. (2000), eq. 2.
    """
    require_shape((None, None), pi=pi)
    require_distributions(pi=pi)
    require(q.ndim in (2, 3), "q", f"shape {list(q.shape)}", "[S, A] or [H, S, A]")
    require_shape((None,) * (q.ndim - 2) + tuple(pi.shape), q=q)
    require_shape(tuple(q.shape[:-1]), weight=weight)
    require_finite(weight=weight, q=q)
    require_no_gradient(weight=weight, q=q)
    need = "a table computed from theta"
    require(pi.requires_grad and theta.requires_grad, "pi", "a constant", need)
    total = torch.einsum("...s,...sa,sa->...", weight, q, pi).sum()
    (gradient,) = torch.autograd.grad(
        total, theta, retain_graph=True, allow_unused=True
    )
    require(gradient is not None, "theta", "parameters that pi does not use", "those")
    return gradient


def return_gradient(mdp: TabularMDP, pi: Tensor, theta: Tensor) -> Tensor:
    """Gradient of the expected return J, by the theorem.

        gradient = sum_s d[s] * sum_a q[s, a] * grad_theta pi[s, a]

        d[s] = sum_t gamma^t P(s_t = s)       without a horizon
        d[t, s] = gamma^t P(s_t = s)          with one, and q[t, s, a]

    Equal to the gradient of `TabularMDP.expected_return`, which differentiates the
    linear solve, or the backward induction, instead.

    Args:
        mdp: tables of S states and A actions, with or without a horizon.
        pi: policy, computed from theta, [S, A].
        theta: parameters, any shape.

    Returns:
        gradient, of the shape of theta.

    Raises:
        ValueError: if pi is no policy for this MDP, or does not depend on theta.

    Source: Sutton et al. (2000), theorem 1.
    """
    table = pi.detach()
    return theorem_gradient(pi, theta, mdp.occupancy(table), mdp.action_values(table))


def stationary_distribution(mdp: TabularMDP, pi: Tensor) -> Tensor:
    """Share of time that a policy spends in each state in the long run.

        mu @ (I - P_pi + 1 1') = 1',  so that mu @ P_pi = mu and sum_s mu[s] = 1

    Args:
        mdp: tables without a horizon; initial distribution and discount do not matter.
        pi: policy, [S, A].

    Returns:
        mu, differentiable in pi, [S].

    Raises:
        ValueError: if an episode can end, if the long run depends on the start, or if
            pi is no policy for this MDP.

    Source: Puterman (1994), appendix A.
    """
    transition_pi = _endless_chain(mdp, pi)
    ones = torch.ones_like(transition_pi)
    system = torch.eye(len(ones)) - transition_pi + ones
    return torch.linalg.solve(system.T, ones[0])


def average_reward(mdp: TabularMDP, pi: Tensor) -> Tensor:
    """Reward per step in the long run.

        rho = sum_s mu[s] * sum_a pi[s, a] * reward[s, a]

    Args:
        mdp: tables without a horizon.
        pi: policy, [S, A].

    Returns:
        rho, differentiable in pi, a scalar.

    Raises:
        ValueError: as `stationary_distribution` does.

    Source: Puterman (1994), section 8.2.
    """
    return stationary_distribution(mdp, pi) @ (pi * mdp.reward).sum(-1)


def differential_values(mdp: TabularMDP, pi: Tensor) -> Tensor:
    """What starting in a state earns beyond the average, over the whole future.

        v = r_pi - rho + P_pi @ v,  mu @ v = 0

    Args:
        mdp: tables without a horizon.
        pi: policy, [S, A].

    Returns:
        v, differentiable in pi, [S].

    Raises:
        ValueError: as `stationary_distribution` does.

    Source: Puterman (1994), section 8.2.
    """
    mu, rho = stationary_distribution(mdp, pi), average_reward(mdp, pi)
    system = torch.eye(len(mu)) - _endless_chain(mdp, pi) + mu
    return torch.linalg.solve(system, (pi * mdp.reward).sum(-1) - rho)


def differential_action_values(mdp: TabularMDP, pi: Tensor) -> Tensor:
    """What an action earns beyond the average, over the whole future.

        q[s, a] = reward[s, a] - rho + sum_s' transition[s, a, s'] * v[s']

    Args:
        mdp: tables without a horizon.
        pi: policy, [S, A].

    Returns:
        q, differentiable in pi, [S, A].

    Raises:
        ValueError: as `stationary_distribution` does.

    Source: Sutton and Barto (2018), section 10.3.
    """
    rho, v = average_reward(mdp, pi), differential_values(mdp, pi)
    return mdp.reward - rho + mdp.transition @ v


def average_reward_gradient(mdp: TabularMDP, pi: Tensor, theta: Tensor) -> Tensor:
    """Gradient of the average reward rho, by the theorem.

        gradient = sum_s mu[s] * sum_a q[s, a] * grad_theta pi[s, a]

    The stationary distribution weighs the states and is not differentiated; q are
    differential action values.

    Args:
        mdp: tables without a horizon.
        pi: policy, computed from theta, [S, A].
        theta: parameters, any shape.

    Returns:
        gradient, of the shape of theta.

    Raises:
        ValueError: as `stationary_distribution` does, or if pi does not depend on
            theta.

    Source: Sutton et al. (2000), theorem 1.
    """
    table = pi.detach()
    mu, q = stationary_distribution(mdp, table), differential_action_values(mdp, table)
    return theorem_gradient(pi, theta, mu, q)


def all_action_weights(
    mdp: TabularMDP, pi: Tensor, trajectories: Trajectories
) -> Tensor:
    """Discounted true value of every action, the ones not taken included.

        weight_t[t, n, a] = gamma^t * q[s_t, a]       0 at steps that are not valid

    With a horizon q is that of time t.

    Args:
        mdp: tables of S states and A actions.
        pi: policy, [S, A].
        trajectories: whole episodes, observations are state indices, [T+1, N].

    Returns:
        weight_t, constants, [T, N, A].

    Raises:
        ValueError: if pi is no policy for this MDP, or something recorded is no state
            of it, or comes after its horizon.
    """
    q, s_t = mdp.action_values(pi.detach()), trajectories.observations[:-1]
    steps, states = len(s_t), len(mdp.reward)
    whole = not s_t.is_floating_point() and s_t.ndim == 2
    inside = whole and bool(((s_t >= 0) & (s_t < states)).all())
    need = f"indices from 0 to {states - 1}"
    require(inside, "trajectories", "other observations", need)
    t = torch.arange(steps)
    if mdp.horizon is None:
        q = q.expand(steps, *q.shape)
    require(steps <= len(q), "trajectories", f"{steps} steps", f"at most {len(q)}")
    # In float64: a Python float to an integer power would be float32.
    weight_t = mdp.discount ** t.double()[:, None, None] * q[t[:, None], s_t]
    return weight_t.where(trajectories.valid[..., None], 0)


def all_action_loss(
    pi_t: Tensor, weight_t: Tensor, valid_t: Tensor | None = None
) -> Tensor:
    """Surrogate in which every action counts, weighed by its probability.

        loss = -sum_n sum_t sum_a weight_t * pi_t / N      over the valid steps

    Its gradient needs no score: probabilities are differentiated, not logarithms.

    Args:
        pi_t: pi(a | s_t) for every action a, [T, N, A].
        weight_t: what every action is worth, constants, [T, N, A].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.

    Returns:
        The loss, a scalar to minimize.

    Raises:
        ValueError: if the shapes differ, a number of a valid step is not finite, or a
            weight requires a gradient.

    Source: Sutton and Barto (2018), eq. 13.7.
    """
    require_shape((None, None, None), pi_t=pi_t)
    require_not_empty(pi_t=pi_t)
    require_same_shape(pi_t=pi_t, weight_t=weight_t)
    require_no_gradient(weight_t=weight_t)
    if valid_t is not None:
        require_shape(tuple(pi_t.shape[:-1]), valid_t=valid_t)
        require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
        pi_t = pi_t.where(valid_t[..., None], 0)
        weight_t = weight_t.where(valid_t[..., None], 0)
    require_finite(pi_t=pi_t, weight_t=weight_t)
    return -(weight_t * pi_t).sum((0, 2)).mean()


def _endless_chain(mdp: TabularMDP, pi: Tensor) -> Tensor:
    """P_pi, [S, S], of a policy whose long run does not depend on the start."""
    require(mdp.horizon is None, "mdp", f"horizon {mdp.horizon}", "no horizon")
    require_shape(tuple(mdp.reward.shape), pi=pi)
    require_distributions(pi=pi)
    ends = bool(((pi * mdp.ending).sum(-1) > ROUNDING).any())
    require(not ends, "pi", "a policy that ends episodes", "one that never does")
    transition_pi = torch.einsum("sa,sau->su", pi.double(), mdp.transition)
    reaches = (transition_pi > ROUNDING) | torch.eye(len(pi)).bool()
    for _ in range(len(pi).bit_length()):
        reaches = reaches.double() @ reaches.double() > 0
    need = "one that gets from every state to some common state"
    require(bool(reaches.all(0).any()), "pi", "separate long runs", need)
    return transition_pi
