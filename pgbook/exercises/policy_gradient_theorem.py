"""Exercises of the chapter `policy_gradient_theorem`: tangent, differential, noise."""

from dataclasses import replace

import torch
from torch import Tensor

from pgbook.environments import two_state_chain, two_step
from pgbook.exercises.exercise import Exercise, numbers
from pgbook.mdp import TabularMDP
from pgbook.policy_gradient_theorem import (
    average_reward,
    differential_values,
    stationary_distribution,
)


def surrogate(mdp: TabularMDP, pi: Tensor, other: Tensor) -> Tensor:
    """Tangent of J at pi, for another policy [S, A]."""
    gain = _gain(mdp.occupancy(pi), other, mdp.advantages(pi))
    return mdp.expected_return(pi) + gain


def _gain(weight: Tensor, policy: Tensor, worth: Tensor) -> Tensor:
    """Sum over states and actions, as in the theorem."""
    return weight @ (policy * worth).sum(1)


GAME = replace(two_step(), horizon=None)
CHAIN = two_state_chain(0.9)
LAZY = numbers([0.6, 0.4], [0.3, 0.7])
TANGENT = Exercise(
    "ex-tangent",
    surrogate,
    cases={
        "the same policy twice": (CHAIN, LAZY, LAZY),
        "the running example": (
            GAME,
            numbers([0.5, 0.5], [0.5, 0.5], [0.5, 0.5]),
            numbers([0.2, 0.8], [0.2, 0.8], [0.2, 0.8]),
        ),
        "a task without an end": (CHAIN, LAZY, numbers([0.1, 0.9], [0.5, 0.5])),
    },
)


@TANGENT.mistake(
    "You return J of the new policy itself. So does the sum if the states are weighed "
    "by the new occupancy, which is not known before the policy is tried; L keeps the "
    "states of the old one."
)
def _(mdp, pi, other):
    gain = _gain(mdp.occupancy(other), other, mdp.advantages(pi))
    return mdp.expected_return(pi) + gain


@TANGENT.mistake(
    "You weigh advantages with the very policy whose advantages they are, and so their "
    "mean is 0 in every state. In L one of the two is new: which factor of "
    "eq-policy-gradient-theorem is differentiated?"
)
def _(mdp, pi, other):
    return mdp.expected_return(pi)


@TANGENT.mistake(
    "You have put action values for advantages. The slope is right, but at the old "
    "policy the sum is not 0, so L starts too high or too low."
)
def _(mdp, pi, other):
    gain = _gain(mdp.occupancy(pi), other, mdp.action_values(pi))
    return mdp.expected_return(pi) + gain


@TANGENT.mistake(
    "You pay rewards, as in not-states-frozen. What an action earns later belongs to "
    "it, too."
)
def _(mdp, pi, other):
    gain = _gain(mdp.occupancy(pi), other - pi, mdp.reward)
    return mdp.expected_return(pi) + gain


@TANGENT.mistake(
    "You divide the occupancy by its sum. The weights of eq-occupancy are visits, not "
    "probabilities, and L becomes too flat."
)
def _(mdp, pi, other):
    d = mdp.occupancy(pi)
    gain = _gain(d / d.sum(), other, mdp.advantages(pi))
    return mdp.expected_return(pi) + gain


@TANGENT.mistake(
    "You count the first state only. Every visited state has its advantages, weighed "
    "by the occupancy of eq-occupancy."
)
def _(mdp, pi, other):
    gain = _gain(mdp.initial, other, mdp.advantages(pi))
    return mdp.expected_return(pi) + gain


@TANGENT.mistake(
    "You divide by the old probabilities. A ratio belongs to a mean over the actions "
    "of the old policy; this is a plain sum over all actions."
)
def _(mdp, pi, other):
    gain = _gain(mdp.occupancy(pi), other / pi, mdp.advantages(pi))
    return mdp.expected_return(pi) + gain


@TANGENT.mistake(
    "You leave out J of the old policy. A tangent touches the curve at its point."
)
def _(mdp, pi, other):
    return _gain(mdp.occupancy(pi), other, mdp.advantages(pi))


def mean_product(
    mdp: TabularMDP, pi: Tensor, score: Tensor, v: Tensor, rho: float
) -> Tensor:
    """Mean of score [S, A, D] times differential TD error, over all (s, a, s')."""
    return _listed(_chance(mdp, pi), score, _delta(mdp, v, rho))


def _chance(mdp: TabularMDP, pi: Tensor) -> Tensor:
    """Probability of every (s, a, s') in the long run, [S, A, S]."""
    mu = stationary_distribution(mdp, pi)
    return mu[:, None, None] * pi[..., None] * mdp.transition


def _delta(mdp: TabularMDP, v: Tensor, rho: float) -> Tensor:
    return mdp.reward[..., None] - rho + v - v[:, None, None]


def _listed(chance: Tensor, score: Tensor, delta: Tensor) -> Tensor:
    return torch.einsum("sau,sau,sad->d", chance, delta, score)


RING = TabularMDP(
    transition=numbers(
        [[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]],
        [[0.2, 0.1, 0.7], [0, 0.4, 0.6]],
        [[0.8, 0.1, 0.1], [0.3, 0.3, 0.4]],
    ),
    reward=numbers([1, 0], [0, 2], [-1, 3]),
    initial=numbers(0.5, 0.5, 0),
    discount=0.8,
)
TURNING = numbers([0.5, 0.5], [0.2, 0.8], [0.7, 0.3])
ROWS = numbers(  # two logits per state
    [[0.4, -0.4, 0, 0], [-0.6, 0.6, 0, 0]], [[0, 0, 0.7, -0.7], [0, 0, -0.3, 0.3]]
)
SHARED = numbers([[-0.5], [0.5]], [[-0.8], [0.2]], [[-0.3], [0.7]])  # one logit
ON_RING = RING, TURNING, SHARED
V, RHO = differential_values(RING, TURNING), average_reward(RING, TURNING)
SAMPLED_DIFFERENTIAL = Exercise(
    "ex-sampled-differential",
    mean_product,
    cases={
        "the two-state chain": (
            CHAIN,
            LAZY,
            ROWS,
            differential_values(CHAIN, LAZY),
            average_reward(CHAIN, LAZY),
        ),
        "three states and one parameter": (*ON_RING, V, RHO),
        "constants added to v and rho": (*ON_RING, V + 5, RHO + 2),
        "a wrong guess of v": (*ON_RING, numbers(0, 1, -2), 1.0),
    },
)


@SAMPLED_DIFFERENTIAL.mistake(
    "Your states have the distribution of the start. In the long run it is forgotten; "
    "s comes from the stationary distribution of def-average-reward."
)
def _(mdp, pi, score, v, rho):
    chance = mdp.initial[:, None, None] * pi[..., None] * mdp.transition
    return _listed(chance, score, _delta(mdp, v, rho))


@SAMPLED_DIFFERENTIAL.mistake(
    "You weigh the states by the discounted occupancy. Nothing is discounted here, and "
    "the weights of eq-average-theorem sum to 1."
)
def _(mdp, pi, score, v, rho):
    d = mdp.occupancy(pi)
    chance = d[:, None, None] * pi[..., None] * mdp.transition
    return _listed(chance, score, _delta(mdp, v, rho))


@SAMPLED_DIFFERENTIAL.mistake(
    "All states count the same. The share of time spent in each of them is the "
    "stationary distribution of def-average-reward."
)
def _(mdp, pi, score, v, rho):
    chance = pi[..., None] * mdp.transition / len(pi)
    return _listed(chance, score, _delta(mdp, v, rho))


@SAMPLED_DIFFERENTIAL.mistake(
    "You leave out with which probability the policy takes the action. An action "
    "counts as often as it is drawn."
)
def _(mdp, pi, score, v, rho):
    return mean_product(mdp, pi, score / pi[..., None], v, rho)


@SAMPLED_DIFFERENTIAL.mistake(
    "You discount the next value. The differential values of def-differential-values "
    "have no discount: rho takes its place."
)
def _(mdp, pi, score, v, rho):
    delta = _delta(mdp, v, rho) - (1 - mdp.discount) * v
    return _listed(_chance(mdp, pi), score, delta)


@SAMPLED_DIFFERENTIAL.mistake(
    "Your values have changed places. What follows the action, v(s'), adds to its "
    "reward; what was to be expected anyway is taken off."
)
def _(mdp, pi, score, v, rho):
    return mean_product(mdp, pi, score, -v, rho)


@SAMPLED_DIFFERENTIAL.mistake(
    "You pay rewards alone, as in not-states-frozen. What an action does to the states "
    "that follow is in v(s')."
)
def _(mdp, pi, score, v, rho):
    return mean_product(mdp, pi, score, torch.zeros_like(v), rho)


@SAMPLED_DIFFERENTIAL.mistake(
    "You return the mean of the TD error. Each one is multiplied by the score of its "
    "action first, as in eq-average-theorem."
)
def _(mdp, pi, score, v, rho):
    return mean_product(mdp, pi, torch.ones_like(score), v, rho)


def cross_terms(x_t: Tensor, y_t: Tensor, probability: Tensor) -> Tensor:
    """Mean product of the action's noise at time t with y at time k, [T, T]."""
    return _products(x_t - y_t, y_t, probability)


def _products(left: Tensor, right: Tensor, probability: Tensor) -> Tensor:
    return torch.einsum("n,tnd,knd->tk", probability, left, right)


ALL_ACTIONS_WIN = Exercise(
    "ex-all-actions-win",
    cross_terms,
    cases={
        "the game built against it": (
            numbers([-0.5, -0.5, 0.5, 0.5], [0.5, 0.5, -0.5, -0.5])[..., None],
            numbers([0, 0, 0, 0], [0.5, 0.5, -0.5, -0.5])[..., None],
            numbers(0.25, 0.25, 0.25, 0.25),
        ),
        "a parameter for each state": (
            numbers([[-1, 0, 0], [1, 0, 0]], [[0, 3, 0], [0, 0, -2]]),
            numbers([[0, 0, 0], [0, 0, 0]], [[0, 3, 0], [0, 0, -2]]),
            numbers(0.5, 0.5),
        ),
        "three steps and unequal chances": (
            numbers(
                [[3, 0], [0, 1], [0, -1]],
                [[1, 2], [2, 1], [-1, -1]],
                [[2, 3], [-2, -2], [-1, 0]],
            ),
            numbers(
                [[2, 0], [1, 0], [1, 0]],
                [[0, 1], [2, 2], [1, 0]],
                [[0, 3], [1, -2], [0, 0]],
            ),
            numbers(0.5, 0.25, 0.25),
        ),
    },
)


@ALL_ACTIONS_WIN.mistake(
    "Rows and columns are exchanged: the first axis is the time t of the noise of an "
    "action, the second the time k of a mean over actions."
)
def _(x_t, y_t, probability):
    return cross_terms(x_t, y_t, probability).T


@ALL_ACTIONS_WIN.mistake(
    "You multiply the sampled terms themselves with the means over actions. What "
    "eq-action-integrated splits off is their difference."
)
def _(x_t, y_t, probability):
    return _products(x_t, y_t, probability)


@ALL_ACTIONS_WIN.mistake(
    "You multiply the noise of an action with the noise of another. The second factor "
    "is the mean over the actions."
)
def _(x_t, y_t, probability):
    return _products(x_t - y_t, x_t - y_t, probability)


@ALL_ACTIONS_WIN.mistake(
    "Your noise has the wrong sign: it is what the action drawn adds to the mean over "
    "the actions."
)
def _(x_t, y_t, probability):
    return -cross_terms(x_t, y_t, probability)


@ALL_ACTIONS_WIN.mistake(
    "You count all trajectories the same. Each has its probability."
)
def _(x_t, y_t, probability):
    equal = torch.full_like(probability, 1 / len(probability))
    return cross_terms(x_t, y_t, equal)


@ALL_ACTIONS_WIN.mistake(
    "You multiply means. The first is 0 at every time, so nothing would ever be left; "
    "take the mean of the products."
)
def _(x_t, y_t, probability):
    mean = torch.einsum("n,tnd->td", probability, x_t - y_t)
    return mean @ torch.einsum("n,tnd->td", probability, y_t).T


@ALL_ACTIONS_WIN.mistake(
    "You average over the parameters. The product of two vectors is a sum."
)
def _(x_t, y_t, probability):
    return cross_terms(x_t, y_t, probability) / x_t.shape[-1]
