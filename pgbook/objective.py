"""The objective J: what a trajectory earns, and its mean over all trajectories.

Chapter `objective`. Time is the first axis, t = 0 … T-1, and `r_t[t]` follows the
action a_t; a column is one whole trajectory, padded behind its end.
"""

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_finite,
    require_not_empty,
    require_same_shape,
    require_unit_interval,
)
from pgbook.mdp import TabularMDP


def trajectory_returns(
    r_t: Tensor, gamma: float = 1.0, valid_t: Tensor | None = None
) -> Tensor:
    """What each trajectory earns in total, discounted from its first step.

        r(tau) = sum_t gamma^t * r_t      over the valid steps, 0^0 = 1

    Args:
        r_t: rewards, floating point, [T, N], or [T] for one trajectory.
        gamma: discount, in [0, 1].
        valid_t: False behind the end of a trajectory, where the reward may be
            anything; bool, of the shape of r_t. None means that all steps count.

    Returns:
        r(tau), [N], or a scalar for one trajectory.

    Raises:
        ValueError: if a shape, dtype or number does not fit, or a column of valid_t
            goes on behind its end and so holds more than one trajectory.

    Source: Sutton and Barto (2018), eq. 3.11.
    """
    require(r_t.ndim in (1, 2), "r_t", f"shape {list(r_t.shape)}", "[T] or [T, N]")
    require_not_empty(r_t=r_t)
    floating = r_t.dtype.is_floating_point
    require(floating, "r_t", r_t.dtype, "a floating-point dtype")
    require_unit_interval(gamma=gamma)
    if valid_t is not None:
        require_same_shape(r_t=r_t, valid_t=valid_t)
        require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
        resumes = bool((valid_t[1:] & ~valid_t[:-1]).any())
        need = "one trajectory per column"
        require(not resumes, "valid_t", "steps behind an end", need)
        r_t = torch.where(valid_t, r_t, 0)
    require_finite(r_t=r_t)
    t = torch.arange(len(r_t), dtype=r_t.dtype, device=r_t.device)
    return gamma**t @ r_t


def enumerated_objective(mdp: TabularMDP, pi: Tensor) -> Tensor:
    """The objective of a policy as a sum over every trajectory.

        J = sum_tau p(tau) * r(tau)

    Differentiable in pi. The number of trajectories grows exponentially with the
    horizon; `TabularMDP.expected_return` gives the same number by backward induction.

    Args:
        mdp: tables of S states and A actions, with a horizon.
        pi: policy, [S, A].

    Returns:
        J, a scalar.

    Raises:
        ValueError: if the MDP has no horizon or more than a million trajectories, or
            pi is no policy of its shape.
    """
    tau, probability = mdp.trajectories(pi)
    return probability @ trajectory_returns(tau.rewards, mdp.discount, tau.valid)


def short_corridor_return(p: Tensor) -> Tensor:
    """The objective of the short corridor in closed form.

        J(p) = -2 * (2 - p) / (p * (1 - p))

    Args:
        p: probability of "right" in each of the three states that look alike, above
            0 and below 1; any shape.

    Returns:
        J, of the shape of p: minus the mean number of steps.

    Raises:
        ValueError: if a number is not above 0 and below 1.

    Source: Sutton and Barto (2018), example 13.1.
    """
    require_not_empty(p=p)
    require_finite(p=p)
    inside = bool(((p > 0) & (p < 1)).all())
    need = "numbers above 0 and below 1: at the ends no episode ends"
    require(inside, "p", f"[{p.min():g}, {p.max():g}]", need)
    return -2 * (2 - p) / (p * (1 - p))
