"""What an agent has seen: the `Trajectories` record, and how to fill it.

A shared room. Time comes first, then the N environments (or episodes) side by side.
Everything at index t belongs to the decision (s_t, a_t): `rewards[t]` follows
`actions[t]`, and `observations[t + 1]` is the true successor of `observations[t]`,
also where an episode ends. `valid` tells which steps were decisions.

A time limit that belongs to the objective is a termination, although Gymnasium
calls it a truncation; `dataclasses.replace` makes it one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pgbook._checks import (
    require,
    require_count,
    require_finite,
    require_not_empty,
    require_same_shape,
    require_shape,
    require_unit_interval,
)


class Policy(Protocol):
    """What `collect` needs of a policy: it draws one action per observation."""

    def sample(self, observation: Tensor, rng: torch.Generator) -> Tensor:
        """Draw actions, [N, ...], for observations, [N, ...]."""


@dataclass(frozen=True, eq=False)
class Trajectories:
    """N recorded trajectories of at most T steps, side by side.

    Values at steps that are not valid are arbitrary: every mean, whitening and loss
    takes `valid`.

    Args:
        observations: s_0 … s_T, [T+1, N, ...].
        actions: a_0 … a_{T-1}, [T, N, ...].
        rewards: r_t follows a_t, floating point, [T, N].
        terminated: the task ended with this step, bool, [T, N].
        truncated: the recording was cut after this step, bool, [T, N].
        valid: the step was a decision, neither filler nor padding, bool, [T, N].

    Raises:
        ValueError: if a shape or dtype is wrong, or a valid reward is not finite.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor

    def __post_init__(self) -> None:
        """Check shapes, dtypes and rewards."""
        require_shape((None, None), rewards=self.rewards)
        require_not_empty(rewards=self.rewards)
        dtype = self.rewards.dtype
        require(dtype.is_floating_point, "rewards", dtype, "a floating-point dtype")
        flags = ("terminated", "truncated", "valid")
        for name in flags:
            flag = getattr(self, name)
            require_same_shape(rewards=self.rewards, **{name: flag})
            require(flag.dtype == torch.bool, name, flag.dtype, "torch.bool")
        steps, columns = self.rewards.shape
        for name, length in (("observations", steps + 1), ("actions", steps)):
            shape = list(getattr(self, name).shape)
            need = f"a shape that starts with [{length}, {columns}]"
            require(shape[:2] == [length, columns], name, f"shape {shape}", need)
        require_finite(rewards=self.rewards.masked_fill(~self.valid, 0))

    def discount_t(self, gamma: float) -> Tensor:
        """Discount of what follows the step: a termination stops the bootstrap.

            discount_t = gamma * (1 - terminated_t)

        Args:
            gamma: discount, in [0, 1].

        Returns:
            discount_t, in the dtype of the rewards, [T, N].

        Raises:
            ValueError: if gamma lies outside [0, 1].
        """
        require_unit_interval(gamma=gamma)
        return gamma * (~self.terminated).to(self.rewards.dtype)

    @property
    def trace_t(self) -> Tensor:
        """Whether the episode goes on: any end stops the trace.

            trace_t = 1 - (terminated_t | truncated_t)

        Returns:
            trace_t, in the dtype of the rewards, [T, N].
        """
        return (~(self.terminated | self.truncated)).to(self.rewards.dtype)


def collect(
    envs: VectorEnv,
    policy: Policy,
    steps: int,
    rng: torch.Generator,
    after: Trajectories | None = None,
) -> Trajectories:
    """Record a stream of batched steps, episode after episode.

    The step after an end is Gymnasium's filler: its action is ignored, its reward is
    0, the observation that follows it opens the next episode, and `valid` is False.
    Rewards take the floating dtype of the observations, float64 for integer states.
    Actions are recorded as sampled: clipping is the environment's affair.

    Args:
        envs: N environments with next-step autoreset.
        policy: draws the actions, without gradient.
        steps: length T of the record, fillers included.
        rng: draws the actions and, at a reset, the integer seed of the environments.
        after: the record that this one continues; since then nobody has stepped the
            environments. None resets them.

    Returns:
        The stream, [T, N].

    Raises:
        ValueError: if the environments reset otherwise, or a shape is wrong.
    """
    require_count(steps=steps)
    _require_next_step_autoreset(envs)
    if after is None:
        observation = _reset(envs, rng)
        ended = torch.zeros(envs.num_envs, dtype=torch.bool)
    else:
        shape = list(after.observations.shape[1:])
        need = f"observations of shape {list(envs.observation_space.shape)}"
        require(shape == list(envs.observation_space.shape), "after", shape, need)
        observation = after.observations[-1]
        ended = after.terminated[-1] | after.truncated[-1]
    stream = islice(_stream(envs, policy, rng, observation, ended), steps)
    for t, step in enumerate(stream):
        if t == 0:
            fields = [value.new_empty(steps, *value.shape) for value in step]
        for field, value in zip(fields, step, strict=True):
            field[t] = value
    return _record(observation, *fields)


def collect_episodes(
    envs: VectorEnv, policy: Policy, episodes: int, rng: torch.Generator
) -> Trajectories:
    """Record whole episodes, one per column, without a preference for short ones.

    Environment i plays episodes i, i + N, i + 2N, …, each round from a fresh reset.
    Which environments of the last round are recorded is decided by their index before
    it is played. Each column starts at t = 0; behind its end everything is zero, and
    `valid` is False. An episode that never ends is never returned.

    Args:
        envs: N environments with next-step autoreset; every episode has to end.
        policy: draws the actions, without gradient.
        episodes: number of columns, not necessarily a multiple of N.
        rng: draws the actions and one integer seed per round.

    Returns:
        The episodes, [T, episodes], where T is the length of the longest.

    Raises:
        ValueError: if the environments reset otherwise, or a shape is wrong.
    """
    require_count(episodes=episodes)
    _require_next_step_autoreset(envs)
    columns = []
    while (missing := episodes - len(columns)) > 0:
        columns += _first_episodes(envs, policy, min(missing, envs.num_envs), rng)
    return Trajectories(*(pad_sequence(field) for field in zip(*columns, strict=True)))


def finished_returns(
    record: Trajectories, running: Tensor
) -> tuple[list[float], Tensor]:
    """Undiscounted returns of the episodes that end in a record of a stream.

    Args:
        record: the stream, [T, N].
        running: what each environment's episode had earned before the record, [N].

    Returns:
        The returns in the order of their ends, and what the episodes that go on have
        earned so far, [N].

    Raises:
        ValueError: if running has another shape.
    """
    require_shape((record.rewards.shape[1],), running=running)
    returns = []
    ended_t = record.terminated | record.truncated
    for r, ended in zip(record.rewards, ended_t, strict=True):
        running = running + r
        returns += running[ended].tolist()
        running = running.where(~ended, 0)
    return returns, running


def _require_next_step_autoreset(envs: VectorEnv) -> None:
    mode = envs.metadata.get("autoreset_mode")
    need = "AutoresetMode.NEXT_STEP of a vector environment"
    require(mode == AutoresetMode.NEXT_STEP, "envs", f"autoreset mode {mode}", need)
    spaces = (envs.observation_space, envs.action_space)
    single = all(space.shape is not None for space in spaces)
    require(single, "envs", spaces, "spaces of one array each")


def _reset(envs: VectorEnv, rng: torch.Generator) -> Tensor:
    """Reset all environments with a seed drawn from rng: first observations, [N, …]."""
    seed = int(torch.randint(2**31, (), generator=rng))
    return torch.tensor(envs.reset(seed=seed)[0])


def _stream(
    envs: VectorEnv,
    policy: Policy,
    rng: torch.Generator,
    observation: Tensor,
    ended: Tensor,
) -> Iterator[tuple[Tensor, ...]]:
    """Play on: (s_{t+1}, a_t, r_t, terminated_t, truncated_t, valid_t) of each step.

    The environment may write into these arrays again: who keeps them copies them.
    """
    space = envs.action_space
    while True:
        with torch.inference_mode():
            action = policy.sample(observation, rng)
        move = action.numpy()
        castable = np.can_cast(move.dtype, space.dtype, "same_kind")
        if move.shape != space.shape or not castable:
            got, need = f"{move.dtype} {move.shape}", f"{space.dtype} {space.shape}"
            raise ValueError(f"policy: got actions {got}, need {need}")
        move = move.astype(space.dtype, copy=False)
        observation, reward, *flags = map(torch.from_numpy, envs.step(move)[:4])
        yield observation, action, reward, *flags, ~ended
        ended = flags[0] | flags[1]


def _record(
    first: Tensor,
    successors: Tensor,
    actions: Tensor,
    rewards: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    valid: Tensor,
) -> Trajectories:
    """What `_stream` yielded, [T, N, ...], behind the observation of its start."""
    observations = torch.cat([first[None], successors])
    rewards = rewards.to(first.dtype if first.is_floating_point() else torch.float64)
    rewards = rewards.masked_fill(~valid, 0)
    return Trajectories(observations, actions, rewards, terminated, truncated, valid)


def _first_episodes(
    envs: VectorEnv, policy: Policy, recorded: int, rng: torch.Generator
) -> list[tuple[Tensor, ...]]:
    """First episode after a reset of environments 0 … recorded - 1, cut at its end."""
    first = _reset(envs, rng)
    lengths = torch.zeros(recorded, dtype=torch.int64)
    playing = torch.ones(recorded, dtype=torch.bool)
    steps = []
    for step in _stream(envs, policy, rng, first, torch.zeros(envs.num_envs).bool()):
        steps.append([value.clone() for value in step])
        lengths += playing
        playing &= ~(step[3] | step[4])[:recorded]
        if not playing.any():
            break
    whole = _record(first, *map(torch.stack, zip(*steps, strict=True)))
    fields = (whole.actions, whole.rewards, whole.terminated, whole.truncated)
    return [
        (
            whole.observations[: length + 1, i],
            *(field[:length, i] for field in fields),
            torch.ones(length, dtype=torch.bool),
        )
        for i, length in enumerate(lengths.tolist())
    ]
