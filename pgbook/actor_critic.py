"""Actor and critic: what a guessed value function does to the policy gradient.

Chapter `actor_critic`. What is computed from the tables of a `TabularMDP` belongs to a
task without a horizon, where values do not depend on time. What is recorded has time as
its first axis, t = 0 … T-1; a column is the stream of one environment, with several
episodes and the fillers between them.
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
from pgbook.mdp import TabularMDP
from pgbook.policy_gradient_theorem import theorem_gradient
from pgbook.trajectory_probability import trajectory_score


def critic_gradient(
    mdp: TabularMDP, pi: Tensor, theta: Tensor, q_hat: Tensor
) -> Tensor:
    """Mean of the actor's update when a critic takes the place of the action values.

        gradient = sum_s d[s] * sum_a q_hat[s, a] * grad_theta pi[s, a]

    With q_hat = q it is the policy gradient; the difference is the critic's bias.

    Args:
        mdp: tables of S states and A actions, no horizon; d is its occupancy.
        pi: policy, computed from theta, [S, A].
        theta: parameters, any shape.
        q_hat: the critic's action values, constants, [S, A].

    Returns:
        gradient, of the shape of theta.

    Raises:
        ValueError: if a shape does not fit, a number is not finite, or pi does not
            depend on theta.

    Source: Sutton et al. (2000), eq. 2.
    """
    _require_no_horizon(mdp)
    require_shape(tuple(mdp.reward.shape), q_hat=q_hat)
    require_finite(q_hat=q_hat)
    require_no_gradient(q_hat=q_hat)
    return theorem_gradient(pi, theta, mdp.occupancy(pi.detach()), q_hat)


def one_step_action_values(mdp: TabularMDP, v: Tensor) -> Tensor:
    """What a TD error sees of an action: its reward, then the critic's word.

        q_hat[s, a] = reward[s, a] + gamma * sum_s' transition[s, a, s'] * v[s']

    The end has the value 0.

    Args:
        mdp: tables of S states and A actions, no horizon.
        v: the critic's state values, [S].

    Returns:
        q_hat, [S, A].

    Raises:
        ValueError: if a shape does not fit, or a number is not finite.
    """
    _require_no_horizon(mdp)
    require_shape((len(mdp.initial),), v=v)
    require_finite(v=v)
    return mdp.reward + mdp.discount * mdp.transition @ v


def td_fixed_point(
    mdp: TabularMDP, pi: Tensor, features: Tensor, weight: Tensor
) -> Tensor:
    """Where temporal-difference learning with linear features comes to rest.

        sum_s weight[s] * features[s] * E[delta | s] = 0,  v = features @ w

    Args:
        mdp: tables of S states and A actions, no horizon.
        pi: policy, [S, A].
        features: of the states, linearly independent columns, [S, K].
        weight: how often each state is updated, [S].

    Returns:
        w, [K].

    Raises:
        ValueError: if a shape does not fit, a weight is negative, or w is not unique.

    Source: Sutton and Barto (2018), eq. 9.12.
    """
    _require_features(mdp, features, weight)
    require_shape(tuple(mdp.reward.shape), pi=pi)
    require_distributions(pi=pi)
    next_features = torch.einsum("sa,sau,uk->sk", pi, mdp.transition, features)
    weighted = features.T * weight  # [K, S]
    system = weighted @ (features - mdp.discount * next_features)
    return _solved(system, weighted @ (pi * mdp.reward).sum(-1))


def monte_carlo_fixed_point(
    mdp: TabularMDP, pi: Tensor, features: Tensor, weight: Tensor
) -> Tensor:
    """Where regression on returns with linear features comes to rest.

        w = argmin sum_s weight[s] * (v[s] - features[s] @ w)²

    Args:
        mdp: tables of S states and A actions, no horizon; v are its values.
        pi: policy, [S, A].
        features: of the states, linearly independent columns, [S, K].
        weight: how often each state is updated, [S].

    Returns:
        w, [K].

    Raises:
        ValueError: if a shape does not fit, a weight is negative, or w is not unique.

    Source: Sutton and Barto (2018), eq. 9.1.
    """
    _require_features(mdp, features, weight)
    weighted = features.T * weight  # [K, S]
    return _solved(weighted @ features, weighted @ mdp.values(pi))


def compatible_weights(mdp: TabularMDP, pi: Tensor, theta: Tensor) -> Tensor:
    """Least-squares fit of the advantages on the scores, the shortest of them.

        w = argmin sum_sa d[s] * pi[s, a] * (advantage[s, a] - w @ score[s, a])²

    The critic w @ score leaves no bias, and w is the natural gradient.

    Args:
        mdp: tables of S states and A actions, no horizon; d is its occupancy.
        pi: policy, computed from theta, all entries positive, [S, A].
        theta: parameters, D numbers in all.

    Returns:
        w, of the shape of theta.

    Raises:
        ValueError: if pi has a 0, is no policy, or does not depend on theta.

    Source: Sutton et al. (2000), theorem 2; Kakade (2002), theorem 1.
    """
    _require_no_horizon(mdp)
    require(bool((pi > 0).all()), "pi", "a probability of 0", "positive ones")
    require(pi.requires_grad, "pi", "a constant", "a table computed from theta")
    score = trajectory_score(pi.log().flatten(), theta)
    table = pi.detach()
    chance = (mdp.occupancy(table)[:, None] * table).flatten()
    root = chance.clamp(min=0).sqrt()[:, None]
    score = score.reshape(len(root), -1)  # [S * A, D]
    target = mdp.advantages(table).reshape(-1, 1)
    # gelsd gives the shortest solution, also where the scores are dependent.
    fit = torch.linalg.lstsq(root * score, root * target, driver="gelsd")
    return fit.solution.reshape(theta.shape)


def critic_loss(v_t: Tensor, target_t: Tensor, valid_t: Tensor) -> Tensor:
    """Half the mean squared distance of the critic from its targets.

        loss = sum_t (target_t - v_t)² / 2 / sum_t valid_t      over the valid steps

    The targets are constants: with bootstrapped ones, minus the gradient is the mean of
    the TD error times the gradient of v_t.

    Args:
        v_t: values of s_t, computed from the critic's parameters, [T, N].
        target_t: constants, [T, N].
        valid_t: whether the step was a decision, bool, [T, N].

    Returns:
        The loss, a scalar to minimize.

    Raises:
        ValueError: if the shapes differ, no step is valid, a number of a valid step is
            not finite, or a target requires a gradient.

    Source: Sutton and Barto (2018), section 9.3.
    """
    v_t, target_t, steps = _decisions(valid_t, v_t=v_t, target_t=target_t)
    return (target_t - v_t).square().sum() / 2 / steps


def stream_policy_gradient_loss(
    log_prob_t: Tensor, weight_t: Tensor, valid_t: Tensor
) -> Tensor:
    """Surrogate for a stream of steps, in which episodes begin and end anywhere.

        loss = -sum_t weight_t * log_prob_t / sum_t valid_t      over the valid steps

    Divides by the number of decisions, so its gradient tends to minus the policy
    gradient divided by the mean length of an episode: another step size, the same
    direction.

    Args:
        log_prob_t: log pi(a_t | s_t), [T, N].
        weight_t: constants, [T, N].
        valid_t: whether the step was a decision, bool, [T, N].

    Returns:
        The loss, a scalar to minimize.

    Raises:
        ValueError: if the shapes differ, no step is valid, a number of a valid step is
            not finite, or a weight requires a gradient.
    """
    log_prob_t, weight_t, steps = _decisions(
        valid_t, log_prob_t=log_prob_t, weight_t=weight_t
    )
    return -(weight_t * log_prob_t).sum() / steps


def _decisions(valid_t: Tensor, **pair: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A prediction and its constant, 0 at steps that are not valid, and their number.

    Where, not times: a filler may hold anything, NaN included.
    """
    (first, predicted), (second, constant) = pair.items()
    require_not_empty(**{first: predicted})
    require_same_shape(**pair, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    require(bool(valid_t.any()), "valid_t", "no valid step", "at least one")
    require_no_gradient(**{second: constant})
    predicted, constant = predicted.where(valid_t, 0), constant.where(valid_t, 0)
    require_finite(**{first: predicted, second: constant})
    return predicted, constant, valid_t.sum()


def _solved(system: Tensor, right: Tensor) -> Tensor:
    """Solution of a linear system, which has to be unique."""
    rank = int(torch.linalg.matrix_rank(system))
    got, need = f"{len(right)} columns of rank {rank}", "independent ones"
    require(rank == len(right), "features", got, need)
    return torch.linalg.solve(system, right)


def _require_features(mdp: TabularMDP, features: Tensor, weight: Tensor) -> None:
    _require_no_horizon(mdp)
    states = len(mdp.initial)
    require_shape((states, None), features=features)
    require_not_empty(features=features)
    require_finite(features=features)
    require_shape((states,), weight=weight)
    require_finite(weight=weight)
    require(bool((weight >= 0).all()), "weight", weight.min(), "numbers >= 0")


def _require_no_horizon(mdp: TabularMDP) -> None:
    need = "no horizon: states whose values do not depend on time"
    require(mdp.horizon is None, "mdp", f"horizon {mdp.horizon}", need)
