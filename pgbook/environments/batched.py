"""N copies of an environment in one call: what every batched form shares.

A shared room. A subclass says how a batch starts, moves and looks; episodes, time
limits and resets are here. The copies stand along the last axis of `state`.
"""

from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from pgbook._checks import require, require_count


class BatchedEnv(VectorEnv):
    """N copies of an environment, played together in NumPy.

    Copies whose episode has ended are reset by the next step, which ignores their
    action, pays 0 and returns the observation of the new start (Gymnasium's next-step
    autoreset). All copies draw from one generator, so one integer seeds them all.

    Args:
        observation_space: of one copy.
        action_space: of one copy.
        num_envs: number of copies N.
        max_episode_steps: steps after which an episode is truncated, None for never;
            `gymnasium.make_vec` hands on the registered number.

    Raises:
        ValueError: if num_envs or max_episode_steps is no integer from 1; by `step`,
            if the actions are not N actions.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
    ) -> None:
        """Batch the spaces."""
        require_count(num_envs=num_envs)
        if max_episode_steps is not None:
            require_count(max_episode_steps=max_episode_steps)
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps or np.inf
        self.single_observation_space = observation_space
        self.single_action_space = action_space
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(action_space, num_envs)
        self.state: np.ndarray | None = None

    def starts(self, count: int) -> np.ndarray:
        """Draw initial states, [..., count]."""
        raise NotImplementedError

    def play(
        self, state: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Next states, [..., N], rewards and whether the task ended, [N]."""
        raise NotImplementedError

    def observe(self, state: np.ndarray) -> np.ndarray:
        """What the agent sees of the states, [N, ...]."""
        raise NotImplementedError

    def allows(self, actions: np.ndarray) -> bool:
        """Whether these are N actions of the space."""
        return self.action_space.contains(actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all episodes; options are not used."""
        super().reset(seed=seed)
        self.state = self.starts(self.num_envs)
        self.steps = np.zeros(self.num_envs, dtype=np.int64)
        self.ended = np.zeros(self.num_envs, dtype=bool)
        return self.observe(self.state), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action per copy, or reset the copy if its episode has ended."""
        if self.state is None:
            raise ResetNeeded("call reset before step")
        if not self.allows(actions):  # its text takes long: only then
            require(False, "actions", actions, f"an element of {self.action_space}")
        self.steps += 1
        state, reward, terminated = self.play(self.state, actions)
        truncated = self.steps >= self.max_episode_steps

        filler = self.ended
        if filler.any():
            state[..., filler] = self.starts(filler.sum())
            self.steps[filler] = 0
            reward[filler] = 0.0
            terminated[filler] = truncated[filler] = False

        self.state, self.ended = state, terminated | truncated
        return self.observe(state), reward, terminated, truncated, {}
