"""Trust regions: how far data of the old policy may be believed, and TRPO.

Chapter `trust_region`. The first half is exact, on the tables of a `TabularMDP`: the
surrogate, and by how much the return may fall short of it. With a horizon the tables of
the old policy have an axis of time in front. The second half is the step of TRPO on
recorded decisions, where M decisions stand in one row, in any order.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.distributions import kl_divergence
from torch.nn.utils import parameters_to_vector, vector_to_parameters

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
from pgbook.natural_gradient import conjugate_gradient, fisher_vector_product

DAMPING = 0.1  # added to the Fisher matrix, times the identity
SHRINK, TRIES = 0.8, 10  # line search: 1, 0.8, 0.64, … of the full step


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """Largest difference between the probabilities that p and q give to an event.

        distance = sum_a |p[a] - q[a]| / 2

    Args:
        p: distributions, [..., A].
        q: distributions, [..., A].

    Returns:
        distance, in [0, 1], [...].

    Raises:
        ValueError: if the shapes differ, or a row is no distribution.
    """
    require_same_shape(p=p, q=q)
    require_distributions(p=p, q=q)
    return (p - q).abs().sum(-1) / 2


def relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    """Kullback-Leibler divergence of tables, from p to q.

        KL = sum_a p[a] * log(p[a] / q[a])

    Where p is 0 the term is 0; where only q is 0 it is infinite.

    Args:
        p: distributions, [..., A].
        q: distributions, [..., A].

    Returns:
        KL, [...].

    Raises:
        ValueError: if the shapes differ, or a row is no distribution.

    Source: Kullback and Leibler (1951), section 2.
    """
    require_same_shape(p=p, q=q)
    require_distributions(p=p, q=q)
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)


def surrogate_return(mdp: TabularMDP, old: Tensor, pi: Tensor) -> Tensor:
    """What the old policy's visits and advantages promise for another policy.

        surrogate = J(old) + sum_s d[s] * sum_a pi[s, a] * advantage[s, a]

    d and advantage belong to the old policy; with a horizon the sum runs over time too.

    Args:
        mdp: tables of S states and A actions.
        old: policy that was played, [S, A].
        pi: policy to be judged, [S, A].

    Returns:
        surrogate, a scalar, differentiable in pi.

    Raises:
        ValueError: if a table is no policy of this shape.

    Source: Schulman et al. (2015), eq. 3.
    """
    _require_policies(mdp, old, pi)
    gain = (mdp.occupancy(old) * _gain(mdp, old, pi)).sum()
    return mdp.expected_return(old) + gain


def average_penalty(mdp: TabularMDP, old: Tensor, pi: Tensor) -> Tensor:
    """Most by which the return misses the surrogate, from the mean distance.

        gain[s] = sum_a pi[s, a] * advantage[s, a]
        penalty = 2 * gamma / (1 - gamma) * max_s |gain[s]| * sum_s d[s] * TV[s]

    d and advantage belong to the old policy, TV is their distance in each state.

    Args:
        mdp: tables of S states and A actions, with a discount below 1.
        old: policy that was played, [S, A].
        pi: policy to be judged, [S, A].

    Returns:
        penalty, a scalar.

    Raises:
        ValueError: if a table is no policy of this shape, or nothing is discounted.

    Source: Achiam et al. (2017), corollary 1.
    """
    _require_policies(mdp, old, pi)
    factor = 2 * mdp.discount / (1 - _discount_below_one(mdp))
    distance = (mdp.occupancy(old) * total_variation(old, pi)).sum()
    return factor * _gain(mdp, old, pi).abs().max() * distance


def largest_penalty(mdp: TabularMDP, old: Tensor, pi: Tensor) -> Tensor:
    """Most by which the return misses the surrogate, from the largest divergence.

        penalty = 2 * gamma / (1 - gamma)² * max_sa |advantage[s, a]| * max_s KL[s]

    KL runs from old to pi. Half the constant of the source, by Pinsker's inequality.

    Args:
        mdp: tables of S states and A actions, with a discount below 1.
        old: policy that was played, [S, A].
        pi: policy to be judged, [S, A].

    Returns:
        penalty, a scalar.

    Raises:
        ValueError: if a table is no policy of this shape, or nothing is discounted.

    Source: Schulman et al. (2015), theorem 1.
    """
    _require_policies(mdp, old, pi)
    factor = 2 * mdp.discount / (1 - _discount_below_one(mdp)) ** 2
    return factor * mdp.advantages(old).abs().max() * relative_entropy(old, pi).max()


def full_step(
    product: Callable[[Tensor], Tensor], gradient: Tensor, radius: float
) -> Tensor:
    """Step that promises most of all those within the radius, to lowest order.

        natural = F^-1 @ gradient
        step = sqrt(2 * radius / (natural @ F @ natural)) * natural

    It maximizes gradient @ step subject to step @ F @ step / 2 <= radius.

    Args:
        product: from a vector x, [D], to F @ x, [D]; F is positive definite.
        gradient: of the surrogate, not zero, [D].
        radius: largest mean divergence, positive.

    Returns:
        step, [D].

    Raises:
        ValueError: if the gradient is zero, the radius is not positive, or F is not
            positive definite.

    Source: Schulman et al. (2015), appendix C.
    """
    require_shape((None,), gradient=gradient)
    require_finite(gradient=gradient)
    require(bool(gradient.any()), "gradient", "zeros", "a direction")
    require(radius > 0, "radius", radius, "a positive number")
    natural = conjugate_gradient(product, gradient, 10)
    length = natural @ product(natural)
    need = "a positive definite matrix times its argument"
    require(bool(length > 0), "product", f"length² {length:g}", need)
    return (2 * radius / length).sqrt() * natural


class Taken(NamedTuple):
    """What a line search has done.

    Args:
        gain: of the surrogate, by the step that was taken.
        kl: mean divergence from the old to the new policy.
        full_kl: how far the full step would have gone.
        tries: how many steps were measured; the last one was taken unless kl is 0.
    """

    gain: float
    kl: float
    full_kl: float
    tries: int


def line_search(
    measure: Callable[[Tensor], tuple[float, float]], step: Tensor, radius: float
) -> Taken:
    """Take the first of 1, 0.8, 0.64, … times the step that keeps both promises.

        gain > 0  and  kl <= radius

    Args:
        measure: moves the policy by a vector, [D], away from where it was, and returns
            gain and kl there.
        step: full step, [D].
        radius: largest mean divergence, positive.

    Returns:
        What was measured where the policy now stands: at the old parameters if each of
        the ten tries has failed.

    Raises:
        ValueError: if the radius is not positive.

    Source: Schulman et al. (2015), appendix C.
    """
    require_shape((None,), step=step)
    require(radius > 0, "radius", radius, "a positive number")
    kls = []
    for k in range(TRIES):
        gain, kl = measure(SHRINK**k * step)
        kls.append(kl)
        if gain > 0 and kl <= radius:
            return Taken(gain, kl, kls[0], k + 1)
    measure(torch.zeros_like(step))
    return Taken(0.0, 0.0, kls[0], TRIES)


def trpo_step(
    policy: nn.Module, observation: Tensor, action: Tensor, adv: Tensor, radius: float
) -> Taken:
    """Move the policy to where its surrogate is higher, within the trust region.

        ratio = pi(action | observation) / pi_old(action | observation)
        maximize mean(ratio * adv)  subject to  mean KL(pi_old || pi) <= radius

    The full step comes from the gradient and the Fisher matrix, both at the old
    policy, with a tenth of the identity added to the matrix; a line search shortens it.

    Args:
        policy: a categorical or Gaussian policy; its parameters are changed.
        observation: of M decisions that this policy has taken, [M, ...].
        action: what it did, as it was drawn, [M, ...].
        adv: advantages, constants; their unit does not matter, [M].
        radius: largest mean divergence, positive.

    Returns:
        What the line search has done.

    Raises:
        ValueError: if a shape does not fit, a number is not finite, or all advantages
            are zero.

    Source: Schulman et al. (2015), section 6 and appendix C.
    """
    _require_decisions(observation, action, adv)
    parameters = list(policy.parameters())
    start = parameters_to_vector(parameters).detach()
    with torch.no_grad():
        old = policy.distribution(observation)
        old_log_prob = old.log_prob(action)

    def surrogate() -> Tensor:
        log_prob = policy.distribution(observation).log_prob(action)
        return ((log_prob - old_log_prob).exp() * adv).mean()

    def product(vector: Tensor) -> Tensor:
        return fisher_vector_product(policy, observation, vector) + DAMPING * vector

    def measure(step: Tensor) -> tuple[float, float]:
        vector_to_parameters(start + step, parameters)
        with torch.no_grad():
            kl = kl_divergence(old, policy.distribution(observation)).mean()
            return (surrogate() - adv.mean()).item(), kl.item()

    gradient = parameters_to_vector(grad(surrogate(), parameters))
    return line_search(measure, full_step(product, gradient, radius), radius)


def _gain(mdp: TabularMDP, old: Tensor, pi: Tensor) -> Tensor:
    """Mean advantage over old of the actions of pi, [S]; with a horizon [H, S]."""
    return (pi * mdp.advantages(old)).sum(-1)


def _require_policies(mdp: TabularMDP, old: Tensor, pi: Tensor) -> None:
    for name, table in (("old", old), ("pi", pi)):
        require_shape(tuple(mdp.reward.shape), **{name: table})
        require_distributions(**{name: table})


def _require_decisions(observation: Tensor, action: Tensor, adv: Tensor) -> None:
    require_shape((None,), adv=adv)
    require_not_empty(adv=adv)
    require_no_gradient(adv=adv)
    require_finite(adv=adv)
    require(bool(adv.any()), "adv", "zeros", "something to prefer")
    for name, rows in (("observation", observation), ("action", action)):
        require(len(rows) == len(adv), name, len(rows), f"{len(adv)} rows, as adv has")


def _discount_below_one(mdp: TabularMDP) -> float:
    require(mdp.discount < 1, "mdp", "discount 1", "a discount below 1")
    return mdp.discount
