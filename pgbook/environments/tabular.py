"""Any `TabularMDP` as a Gymnasium environment, one at a time or many in a batch.

A shared room. Both classes draw from the tables alone, so what an agent meets is what
`TabularMDP` computes exactly. The horizon of the MDP is part of the objective: its end
is a termination. `max_episode_steps` only cuts the recording: that is a truncation.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from pgbook._checks import require
from pgbook.environments.batched import BatchedEnv
from pgbook.mdp import TabularMDP


class TabularEnv(gymnasium.Env):
    """Plays one episode of a `TabularMDP` after the other.

    When an episode ends the last state is observed once more, which means nothing:
    a table has no state behind the end.

    Args:
        mdp: tables of the environment, S states and A actions.
        observe: what the agent sees of each state, integers from 0, [S]; states with
            the same number look the same. None shows the state itself.
        noise: standard deviation of the Gaussian noise added to each reward.

    Raises:
        ValueError: if observe has not one integer from 0 per state, or noise is not a
            number from 0; by `step`, if the action is not one of the A actions.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        mdp: TabularMDP,
        observe: Sequence[int] | None = None,
        noise: float = 0.0,
    ) -> None:
        """Turn the tables into NumPy arrays."""
        states, actions = mdp.reward.shape
        self.observe = np.asarray(range(states) if observe is None else observe)
        whole = self.observe.dtype.kind in "iu" and self.observe.shape == (states,)
        fits = whole and self.observe.min() >= 0
        require(fits, "observe", observe, f"{states} integers >= 0")
        require(0 <= noise < np.inf, "noise", noise, "a finite number >= 0")
        self.noise = noise
        self.reward = mdp.reward.numpy()
        self.initial_sums = _cumulative(mdp.initial.numpy(), np.zeros(()))
        self.outcome_sums = _cumulative(mdp.transition.numpy(), mdp.ending.numpy())
        self.horizon = np.inf if mdp.horizon is None else mdp.horizon
        self.observation_space = spaces.Discrete(int(self.observe.max()) + 1)
        self.action_space = spaces.Discrete(actions)
        self.state: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Start an episode; options are not used."""
        super().reset(seed=seed)
        self.state = _draw(self.initial_sums, self.np_random)
        self.steps = 0
        return int(self.observe[self.state]), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Play one action."""
        if self.state is None:
            raise ResetNeeded("call reset before step")
        require(self.action_space.contains(action), "action", action, self.action_space)
        state, reward, ended = self.play(self.state, action, self.np_random)
        self.steps += 1
        terminated = bool(ended) or self.steps >= self.horizon
        self.state = None if terminated else state
        return int(self.observe[state]), float(reward), terminated, False, {}

    def play(
        self, state: np.ndarray, action: np.ndarray | int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw next state, reward and end for actions, each of the shape of state."""
        reward = self.reward[state, action]
        if self.noise:
            reward = rng.normal(reward, self.noise)
        successor = _draw(self.outcome_sums[state, action], rng)
        ended = successor == len(self.reward)
        return np.where(ended, state, successor), reward, ended


class TabularVectorEnv(BatchedEnv):
    """Plays N copies of a `TabularEnv` at once.

    Args:
        num_envs: number of copies N.
        max_episode_steps: steps after which an episode is truncated, None for never.
        **arguments: what the environment `single` takes.

    Raises:
        ValueError: as `BatchedEnv` does.
    """

    single: type[TabularEnv] = TabularEnv

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ) -> None:
        """Make the one environment that is played N times."""
        self.env = self.single(**arguments)
        spaces = self.env.observation_space, self.env.action_space
        super().__init__(*spaces, num_envs, max_episode_steps)

    def starts(self, count: int) -> np.ndarray:
        """Draw initial states, [count]."""
        sums = self.env.initial_sums
        return _draw(np.broadcast_to(sums, (count, len(sums))), self.np_random)

    def play(
        self, state: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw next states, rewards and ends, [N] each; a horizon ends the task."""
        state, reward, ended = self.env.play(state, actions, self.np_random)
        return state, reward, ended | (self.steps >= self.env.horizon)

    def observe(self, state: np.ndarray) -> np.ndarray:
        """Numbers under which the agent sees the states, [N]."""
        return self.env.observe[state]


def _cumulative(probability: np.ndarray, ending: np.ndarray) -> np.ndarray:
    """Cumulative sums over the last axis that end at exactly 1 unless an end is left.

    Dividing by the last one keeps a rounding error from becoming an outcome.
    """
    sums = np.cumsum(probability, -1)
    return sums / np.where(ending > 0, 1, sums[..., -1])[..., None]


def _draw(cumulative: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw an index per row of cumulative sums, [..., K]; K is what they leave out."""
    return (rng.random(cumulative.shape[:-1])[..., None] >= cumulative).sum(-1)
