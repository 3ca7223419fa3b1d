"""Learning from what another policy did: ratios, their products, and V-trace.

Chapter `off_policy`. Time is the first axis, t = 0 … T-1; `ratio_t[t]` belongs to the
decision (s_t, a_t) and says how many times more probable the target policy makes it
than the behavior policy, which drew it. What takes a `TabularMDP` belongs to a task
without a horizon.
"""

from math import inf

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
from pgbook.advantages import td_errors
from pgbook.mdp import TabularMDP
from pgbook.policy_gradient_theorem import theorem_gradient
from pgbook.returns import reward_to_go_weights


def importance_ratios(
    log_prob_t: Tensor, behavior_log_prob_t: Tensor, valid_t: Tensor | None = None
) -> Tensor:
    """How many times more probable the target policy makes what was done.

        ratio_t = exp(log_prob_t - behavior_log_prob_t)      1 at steps not valid

    Args:
        log_prob_t: log pi(a_t | s_t) of the target, may be -inf, [T, ...].
        behavior_log_prob_t: the same of the policy that drew a_t, finite, [T, ...].
        valid_t: whether the step was a decision, bool, [T, ...]; None means all were.

    Returns:
        ratio_t, differentiable in log_prob_t, [T, ...].

    Raises:
        ValueError: if the shapes differ, or a number of a valid step does not fit.

    Source: Precup et al. (2000).
    """
    require_not_empty(log_prob_t=log_prob_t)
    require_same_shape(log_prob_t=log_prob_t, behavior_log_prob_t=behavior_log_prob_t)
    if valid_t is not None:
        _require_flags(log_prob_t, valid_t)
        log_prob_t = log_prob_t.where(valid_t, 0)
        behavior_log_prob_t = behavior_log_prob_t.where(valid_t, 0)
    require_finite(behavior_log_prob_t=behavior_log_prob_t)
    fits = bool((log_prob_t < inf).all())
    require(fits, "log_prob_t", "NaN or infinity", "numbers, or -inf")
    return (log_prob_t - behavior_log_prob_t).exp()


def importance_weights(
    r_t: Tensor, ratio_t: Tensor, valid_t: Tensor | None = None, gamma: float = 1.0
) -> Tensor:
    """Weights of the policy gradient, each times the ratio of the whole trajectory.

        weight_t[t] = prod_k ratio_t[k] * gamma^t * return_t[t]

    Args:
        r_t: rewards, floating point, one whole episode per column, [T, N].
        ratio_t: constants, at least 0, [T, N].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.
        gamma: discount, in [0, 1].

    Returns:
        weight_t, in the unit of the rewards, 0 at steps not valid, [T, N].

    Raises:
        ValueError: if a shape, dtype or number does not fit, or a column goes on
            behind its end.

    Source: Precup et al. (2000).
    """
    ratio_t = _masked_ratios(r_t, ratio_t, valid_t)
    return ratio_t.prod(0) * reward_to_go_weights(r_t, valid_t, gamma)


def per_decision_weights(
    r_t: Tensor, ratio_t: Tensor, valid_t: Tensor | None = None, gamma: float = 1.0
) -> Tensor:
    """Weights of the policy gradient, each reward times the ratios up to it.

        product_t[k] = prod_{j <= k} ratio_t[j]
        weight_t[t] = sum_{k >= t} gamma^k * product_t[k] * r_t[k]

    Args:
        r_t: rewards, floating point, one whole episode per column, [T, N].
        ratio_t: constants, at least 0, [T, N].
        valid_t: whether the step was a decision, bool, [T, N]; None means all were.
        gamma: discount, in [0, 1].

    Returns:
        weight_t, in the unit of the rewards, 0 at steps not valid, [T, N].

    Raises:
        ValueError: if a shape, dtype or number does not fit, or a column goes on
            behind its end.

    Source: Precup et al. (2000).
    """
    product_t = _masked_ratios(r_t, ratio_t, valid_t).cumprod(0)
    return reward_to_go_weights(product_t * r_t, valid_t, gamma)


def effective_sample_size(weight: Tensor) -> Tensor:
    """How many equal weights would average as well as these.

        size = (sum_n weight[n])² / sum_n weight[n]²

    Between 1 and N; tends to N / (1 + chi-square divergence), from samples that have
    met the large weights.

    Args:
        weight: importance weights of independent samples, at least 0, [N].

    Returns:
        The size, a scalar.

    Raises:
        ValueError: if a weight is negative or not finite, or all are 0.

    Source: Kish (1965), section 11.7; Kong (1992).
    """
    require_shape((None,), weight=weight)
    require_not_empty(weight=weight)
    _require_not_negative(weight=weight)
    largest = weight.max()
    require(bool(largest > 0), "weight", "zeros", "one that is not 0")
    weight = weight / largest  # squares neither overflow nor vanish
    return weight.sum() ** 2 / weight.square().sum()


def off_policy_semi_gradient(
    mdp: TabularMDP, pi: Tensor, theta: Tensor, behavior: Tensor
) -> Tensor:
    """Mean update of off-policy actor-critic with the true action values.

        gradient = sum_s d_b[s] * sum_a q[s, a] * grad_theta pi[s, a]

    The states are those of the behavior policy, the values those of the target. It is
    the policy gradient if the two policies are one, and otherwise leaves out how the
    values of later states change.

    Args:
        mdp: tables of S states and A actions, no horizon.
        pi: target policy, computed from theta, [S, A].
        theta: parameters, any shape.
        behavior: policy whose occupancy is d_b, [S, A].

    Returns:
        gradient, of the shape of theta.

    Raises:
        ValueError: if a table is no policy for this MDP, or pi does not depend on
            theta.

    Source: Degris et al. (2012), theorem 1.
    """
    _require_policies(mdp, pi=pi.detach(), behavior=behavior)
    d_b = mdp.occupancy(behavior).detach()
    return theorem_gradient(pi, theta, d_b, mdp.action_values(pi.detach()))


def implied_policy(pi: Tensor, behavior: Tensor, ratio_bar: float) -> Tensor:
    """The policy whose values V-trace estimates.

        implied[s, a] = min(ratio_bar * behavior[s, a], pi[s, a]) / sum_b of the same

    The target if no ratio exceeds ratio_bar, the behavior if none is below it.

    Args:
        pi: target policy, [S, A].
        behavior: policy that acts, positive where pi is, [S, A].
        ratio_bar: where ratios are truncated, positive, may be inf.

    Returns:
        implied, [S, A].

    Raises:
        ValueError: if a table is no policy, behavior lacks an action of pi, or
            ratio_bar is not positive.

    Source: Espeholt et al. (2018), eq. 2.
    """
    require_shape((None, None), pi=pi)
    mass = behavior * _truncated(pi, behavior, "ratio_bar", ratio_bar)
    return mass / mass.sum(-1, keepdim=True)


def vtrace_operator(
    mdp: TabularMDP,
    pi: Tensor,
    behavior: Tensor,
    v: Tensor,
    ratio_bar: float,
    trace_bar: float,
) -> Tensor:
    """Mean V-trace target of each state, over endless data of the behavior policy.

        v_new = v + (I - gamma * C)^-1 @ delta
        C[s, s'] = E_b[min(trace_bar, ratio) ; s'],  delta[s] = E_b[ratio_t * delta_t]

    Ratios in delta are truncated at ratio_bar.

    Args:
        mdp: tables of S states and A actions, no horizon.
        pi: target policy, [S, A].
        behavior: policy that acts, positive where pi is, [S, A].
        v: state values, [S].
        ratio_bar: where the ratios of the errors are truncated, positive.
        trace_bar: where the traces are truncated, positive.

    Returns:
        v_new, [S].

    Raises:
        ValueError: if a shape or number does not fit.

    Source: Espeholt et al. (2018), appendix A.
    """
    _require_policies(mdp, pi=pi, behavior=behavior)
    require_shape((len(mdp.initial),), v=v)
    require_finite(v=v)
    mass = behavior * _truncated(pi, behavior, "ratio_bar", ratio_bar)
    trace = behavior * _truncated(pi, behavior, "trace_bar", trace_bar)
    error = mdp.reward + mdp.discount * mdp.transition @ v - v[:, None]  # [S, A]
    traced = torch.einsum("sa,sau->su", trace, mdp.transition)
    system = torch.eye(len(v)) - mdp.discount * traced
    return v + torch.linalg.solve(system, (mass * error).sum(-1))


def vtrace_targets(
    r_t: Tensor,
    discount_t: Tensor,
    v_t: Tensor,
    v_tp1: Tensor,
    ratio_bar_t: Tensor,
    trace_bar_t: Tensor,
) -> Tensor:
    """Targets of a critic from data of another policy.

        delta_t = ratio_bar_t * (r_t + discount_t * v_tp1 - v_t)
        target_t = v_t + delta_t + discount_t * trace_bar_t * (target_{t+1} - v_{t+1})

    Behind the last recorded step, the last difference is 0. With ratios of 1 and
    traces of lambda it is the lambda-return.

    Args:
        r_t: rewards, floating point, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        v_t: value estimates of s_t, [T, ...].
        v_tp1: value estimates of the state after s_t, [T, ...].
        ratio_bar_t: ratios, truncated, at least 0, [T, ...].
        trace_bar_t: ratios, truncated, and 0 where an episode ends, [T, ...].

    Returns:
        target_t, in the unit of the rewards, [T, ...].

    Raises:
        ValueError: if the shapes differ, or a number does not fit.

    Source: Espeholt et al. (2018), eq. 1 and remark 1.
    """
    correction_t = td_errors(r_t, discount_t, v_t, v_tp1)
    require_same_shape(r_t=r_t, ratio_bar_t=ratio_bar_t, trace_bar_t=trace_bar_t)
    _require_not_negative(ratio_bar_t=ratio_bar_t, trace_bar_t=trace_bar_t)
    correction_t = ratio_bar_t * correction_t
    keep_t = discount_t * trace_bar_t
    for t in reversed(range(len(r_t) - 1)):
        correction_t[t] += keep_t[t] * correction_t[t + 1]
    return v_t + correction_t


def vtrace_advantages(
    r_t: Tensor,
    discount_t: Tensor,
    v_t: Tensor,
    v_tp1: Tensor,
    target_t: Tensor,
    trace_t: Tensor,
) -> Tensor:
    """Advantages of the actor that belongs to V-trace, to be weighed by the ratio.

        delta_t = r_t + discount_t * v_tp1 - v_t
        adv_t = delta_t + discount_t * trace_t * (target_{t+1} - v_tp1)

    Behind the last recorded step, the last difference is 0. On the policy, with full
    traces, it is gae(…, lambda_=1).

    Args:
        r_t: rewards, floating point, [T, ...].
        discount_t: gamma * (1 - terminated_t), [T, ...].
        v_t: value estimates of s_t, [T, ...].
        v_tp1: value estimates of the state after s_t, [T, ...].
        target_t: from `vtrace_targets`, [T, ...].
        trace_t: 1 - (terminated_t | truncated_t), without ratios, [T, ...].

    Returns:
        adv_t, in the unit of the rewards, [T, ...].

    Raises:
        ValueError: if the shapes differ, or a number does not fit.

    Source: Espeholt et al. (2018), section 4.2.
    """
    adv_t = td_errors(r_t, discount_t, v_t, v_tp1)
    require_same_shape(r_t=r_t, target_t=target_t, trace_t=trace_t)
    require_finite(target_t=target_t)
    require_unit_interval(trace_t=trace_t)
    later_t = torch.cat([target_t[1:], v_tp1[-1:]])
    return adv_t + discount_t * trace_t * (later_t - v_tp1)


def _truncated(pi: Tensor, behavior: Tensor, name: str, bar: float) -> Tensor:
    """Ratios of two tables, at most the bar, and 0 where behavior is, [S, A]."""
    require_distributions(pi=pi)
    require_same_shape(pi=pi, behavior=behavior)
    require_distributions(behavior=behavior)
    covered = bool(((behavior > 0) | (pi == 0)).all())
    require(covered, "behavior", "0 for an action of pi", "positive probabilities")
    require(bar > 0, name, bar, "a positive number")
    ratio = torch.where(behavior > 0, pi / behavior.where(behavior > 0, 1), 0)
    return ratio.clamp(max=bar)


def _masked_ratios(r_t: Tensor, ratio_t: Tensor, valid_t: Tensor | None) -> Tensor:
    """Checked ratios, 1 at steps that are not valid, [T, N]."""
    require_same_shape(r_t=r_t, ratio_t=ratio_t)
    require_no_gradient(ratio_t=ratio_t)
    if valid_t is not None:
        _require_flags(r_t, valid_t)
        ratio_t = ratio_t.where(valid_t, 1)
    _require_not_negative(ratio_t=ratio_t)
    return ratio_t


def _require_flags(reference: Tensor, valid_t: Tensor) -> None:
    require_same_shape(reference=reference, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")


def _require_not_negative(**tensors: Tensor) -> None:
    require_finite(**tensors)
    for name, tensor in tensors.items():
        smallest = tensor.min() if tensor.numel() else 0
        require(bool(smallest >= 0), name, smallest, "numbers >= 0")


def _require_policies(mdp: TabularMDP, **tables: Tensor) -> None:
    """Policies of this MDP, whose values do not depend on time."""
    need = "no horizon: states whose values do not depend on time"
    require(mdp.horizon is None, "mdp", f"horizon {mdp.horizon}", need)
    for name, table in tables.items():
        require_shape(tuple(mdp.reward.shape), **{name: table})
        require_distributions(**{name: table})
