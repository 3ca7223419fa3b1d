"""Exercises of the chapter `gaussian_policies`: plays, wrappers, a small number."""

import math
from statistics import NormalDist

import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.vector import ClipAction, RescaleAction
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers
from pgbook.gaussian_policies import log_tanh_slope

STANDARD = NormalDist()
density, chance_below = STANDARD.pdf, STANDARD.cdf


def information_left(mu: float, sigma: float) -> float:
    """Share of 1 / sigma² that is left if draws are clipped to (-1, 1)."""
    low, high = _bounds(mu, sigma)
    below = density(low) ** 2 / chance_below(low)
    above = density(high) ** 2 / chance_below(-high)
    return _inside(mu, sigma) + below + above


def _bounds(mu: float, sigma: float) -> tuple[float, float]:
    return (-1 - mu) / sigma, (1 - mu) / sigma


def _inside(mu: float, sigma: float) -> float:
    """Integral of z² over the draws between the bounds."""
    low, high = _bounds(mu, sigma)
    edges = low * density(low) - high * density(high)
    return chance_below(high) - chance_below(low) + edges


INFORMATION = Exercise(
    "ex-information",
    information_left,
    cases={
        "the mean in the middle": (0.0, 0.5),
        "the mean on a bound": (1.0, 0.5),
        "the mean beyond a bound": (1.5, 0.5),
        "a wide policy": (-0.3, 2.0),
    },
)


@INFORMATION.mistake(
    "You count the draws between the bounds alone. A play on a bound tells something, "
    "too: there the score is the mean of eq-censored-score."
)
def _(mu, sigma):
    return _inside(mu, sigma)


@INFORMATION.mistake(
    "You square the score of the played action. That is the score of a density which "
    "played actions do not have; see not-clipped-score."
)
def _(mu, sigma):
    low, high = _bounds(mu, sigma)
    return (
        _inside(mu, sigma) + low**2 * chance_below(low) + high**2 * chance_below(-high)
    )


@INFORMATION.mistake(
    "You square the score of the draw, whose information is all there. The world only "
    "hears of the draw after clipping: average the score over draws played alike."
)
def _(mu, sigma):
    return 1.0


@INFORMATION.mistake(
    "You return the information itself; asked is its share in that of the draw."
)
def _(mu, sigma):
    return information_left(mu, sigma) / sigma**2


@INFORMATION.mistake("You return the share that is lost; asked is what is left.")
def _(mu, sigma):
    return 1 - information_left(mu, sigma)


@INFORMATION.mistake(
    "You average over both bounds together. The world tells -1 from 1, so each has a "
    "mean score of its own."
)
def _(mu, sigma):
    low, high = _bounds(mu, sigma)
    outside = chance_below(low) + chance_below(-high)
    return _inside(mu, sigma) + (density(high) - density(low)) ** 2 / outside


@INFORMATION.mistake(
    "You divide by the probability of a draw between the bounds, as if the others were "
    "drawn again. They are played, on the bounds."
)
def _(mu, sigma):
    low, high = _bounds(mu, sigma)
    chance = chance_below(high) - chance_below(low)
    mean = (density(low) - density(high)) / chance
    return _inside(mu, sigma) / chance - mean**2


class Payback(VectorEnv):
    """A world that pays the action that has reached it, and clips nothing itself."""

    def __init__(self, low: float, high: float, num_envs: int) -> None:
        """Take the bounds of the action, which are announced and not enforced."""
        self.num_envs = num_envs
        self.single_action_space = Box(low, high, (1,))
        self.single_observation_space = Box(-1, 1, (1,))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def reset(self, *, seed=None, options=None):
        """Observe nothing."""
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions):
        """Pay, and end the episodes."""
        ended = np.ones(self.num_envs, bool)
        return self.reset()[0], np.float64(actions)[:, 0], ended, ~ended, {}


def rewards_of(envs: VectorEnv, u: Tensor) -> Tensor:
    """Rewards of one step with draws u [N, 1] in units of (-1, 1), [N]."""
    return _rewards(ClipAction(_rescaled(envs)), u)


def _rescaled(envs: VectorEnv) -> VectorEnv:
    return RescaleAction(envs, -1, 1)


def _rewards(envs: VectorEnv, u: Tensor) -> Tensor:
    envs.reset(seed=0)
    return torch.from_numpy(envs.step(u.numpy())[1])


def _draws(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


WRAPPERS = Exercise(
    "ex-wrappers",
    rewards_of,
    cases={
        "the torques of Pendulum": (Payback(-2, 2, 3), _draws(1.7, 0.5, -0.1)),
        "a valve that opens one way": (Payback(0, 10, 2), _draws(-0.4, -3.0)),
        "a world with the units of the policy": (Payback(-1, 1, 2), _draws(0.3, 1.2)),
    },
)


@WRAPPERS.mistake(
    "You rescale and do not clip. Pendulum clips for itself, other worlds do not: here "
    "a draw beyond the units arrives beyond the bounds."
)
def _(envs, u):
    return _rewards(_rescaled(envs), u)


@WRAPPERS.mistake(
    "You clip and do not rescale. The policy speaks in units of (-1, 1), the world in "
    "its own."
)
def _(envs, u):
    return _rewards(ClipAction(envs), u)


@WRAPPERS.mistake(
    "You clip to (-1, 1) and play that. The units of the policy still have to be "
    "turned into those of the world."
)
def _(envs, u):
    return _rewards(envs, u.clamp(-1, 1))


@WRAPPERS.mistake(
    "You multiply by the upper bound. Where the bounds are not symmetric the middle of "
    "the interval moves, too."
)
def _(envs, u):
    return _rewards(envs, u.clamp(-1, 1) * float(envs.single_action_space.high[0]))


@WRAPPERS.mistake(
    "You squash the draw. That is the second way of this chapter; here it is to be "
    "clipped."
)
def _(envs, u):
    return _rewards(_rescaled(envs), u.tanh())


@WRAPPERS.mistake(
    "You neither clip nor rescale. An action space announces bounds; by itself it "
    "enforces none."
)
def _(envs, u):
    return _rewards(envs, u)


def correction_error(u: Tensor, small: float) -> Tensor:
    """By how much log(1 - tanh(u)² + small) exceeds log(1 - tanh(u)²), [N]."""
    return _with_small(u, small) - log_tanh_slope(u)


def _with_small(u: Tensor, small: float) -> Tensor:
    return (1 - u.tanh() ** 2 + small).log()


SMALL_NUMBER = Exercise(
    "ex-small-number",
    correction_error,
    cases={
        "the draws of the exercise": (numbers(5, 7, 9, 12), 1e-6),
        "draws whose tanh is rounded to 1": (numbers(20, 30), 1e-6),
        "negative draws": (numbers(-3, -8), 1e-6),
        "a larger small number": (numbers(0, 1, 2), 0.01),
    },
)


@SMALL_NUMBER.mistake(
    "Your exact value takes the logarithm of a rounded number, and in the end of 0. By "
    "eq-tanh-slope the slope of tanh can do without tanh."
)
def _(u, small):
    return _with_small(u, small) - _with_small(u, 0.0)


@SMALL_NUMBER.mistake(
    "You subtract the other way round. The small number makes the correction larger, "
    "and the log-density, from which it is subtracted, smaller."
)
def _(u, small):
    return -correction_error(u, small)


@SMALL_NUMBER.mistake(
    "You take log 4 - 2 u for the exact value. That is where it goes for large u; "
    "eq-tanh-slope has one more term, and is the same for u and -u."
)
def _(u, small):
    return _with_small(u, small) - (math.log(4) - 2 * u)


@SMALL_NUMBER.mistake(
    "You return the correction with the small number. Asked is its distance from the "
    "exact one."
)
def _(u, small):
    return _with_small(u, small)


@SMALL_NUMBER.mistake(
    "You add the small number to the logarithm. It is added under it, where it can "
    "outweigh what stands there."
)
def _(u, small):
    return torch.full_like(u, small)


@SMALL_NUMBER.mistake("You leave out the square of tanh in the slope.")
def _(u, small):
    return (1 - u.tanh() + small).log() - log_tanh_slope(u)


@SMALL_NUMBER.mistake(
    "You return the factor by which the density is off. Asked is the error of its "
    "logarithm."
)
def _(u, small):
    return correction_error(u, small).exp()
