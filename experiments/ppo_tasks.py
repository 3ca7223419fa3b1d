"""PPO on CartPole-v1, Acrobot-v1 and Pendulum-v1.

`python experiments/ppo_tasks.py` writes book/data/ppo_tasks.csv. The time limits only
cut the recording. A learning curve shows training returns of the sampled policy; after
the budget is spent, the policy that samples and its mode (the most probable action, or
the mean) each play 100 fresh episodes. The settings were chosen on seeds 100 to 102.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import gymnasium
import torch
from gymnasium.vector import VectorEnv
from gymnasium.wrappers.vector import RescaleObservation
from torch import Tensor, nn

import pgbook.advantages
import pgbook.environments  # registers pgbook/…
import pgbook.policies
import pgbook.ppo
import pgbook.trajectories
from pgbook.experiments import run_seeds
from pgbook.policies import CategoricalNetwork, DiagonalGaussian, ValueNetwork
from pgbook.ppo import Diagnostics, train
from pgbook.trajectories import collect_episodes

RESULTS = Path(__file__).parents[1] / "book" / "data" / "ppo_tasks.csv"
MODULES = [pgbook.advantages, pgbook.policies, pgbook.ppo, pgbook.trajectories]
THRESHOLDS = {"CartPole-v1": 475, "Acrobot-v1": -100, "Pendulum-v1": -200}
BUDGET, EVERY = 200_000, 10_000
# All of Pendulum's episodes take 200 steps: copies that start together stay together,
# and a short record of many shows one phase only. So few copies, and long records.
ENVIRONMENTS = {"CartPole-v1": 64, "Acrobot-v1": 64, "Pendulum-v1": 16}
# What differs from the defaults of `train` and `update`.
SETTINGS = {
    "CartPole-v1": {},
    "Acrobot-v1": {"gamma": 0.99},
    "Pendulum-v1": {
        "gamma": 0.9,
        "rollout": 128,
        "epochs": 10,
        "minibatches": 8,
        "step_size": 2e-3,
        "reward_scale": 0.1,
    },
}


class Mode(nn.Module):
    """Plays what a policy finds most probable, and draws nothing."""

    def __init__(self, policy: nn.Module) -> None:
        """Keep the policy."""
        super().__init__()
        self.policy = policy

    def sample(self, observation: Tensor, rng: torch.Generator) -> Tensor:
        """Return the mode of each distribution."""
        return self.policy.distribution(observation).mode


def make_envs(task: str) -> VectorEnv:
    """Batched copies of a task; a pendulum's velocity is scaled to -1 … 1."""
    name = task if task == "CartPole-v1" else f"pgbook/{task}"
    mode = "vector_entry_point"
    envs = gymnasium.make_vec(name, ENVIRONMENTS[task], vectorization_mode=mode)
    return RescaleObservation(envs, -1, 1) if task == "Pendulum-v1" else envs


def make_networks(
    envs: VectorEnv, rng: torch.Generator
) -> tuple[nn.Module, ValueNetwork]:
    """Fresh networks: a policy that fits the actions, and a critic."""
    size, actions = envs.single_observation_space.shape[0], envs.single_action_space
    if isinstance(actions, gymnasium.spaces.Discrete):
        policy = CategoricalNetwork(size, int(actions.n), rng=rng)
    else:
        policy = DiagonalGaussian(size, actions.shape[0], rng=rng)
    return policy, ValueNetwork(size, rng=rng)


def learn(
    task: str,
    seed: int,
    budget: int = BUDGET,
    until: float = float("inf"),
    **settings: object,
) -> tuple[list[tuple[int, float]], list[Diagnostics]]:
    """Train fresh networks on a task; the episodes and diagnostics of `train`.

    Settings replace those of the task.
    """
    rng, envs = torch.Generator().manual_seed(seed), make_envs(task)
    networks = make_networks(envs, rng)
    settings = {"budget": budget, "until": until, **SETTINGS[task], **settings}
    return train(envs, *networks, rng, **settings)


def played(task: str, policy: nn.Module, rng: torch.Generator) -> float:
    """Mean return of 100 fresh episodes."""
    record = collect_episodes(make_envs(task), policy, 100, rng)
    return round(record.rewards.sum(0).mean().item(), 2)


def run(seed: int, task: str) -> Mapping[str, float]:
    """Learning curve of one seed, and what the policy is worth in the end."""
    torch.set_num_threads(1)
    rng, envs = torch.Generator().manual_seed(seed), make_envs(task)
    policy, critic = make_networks(envs, rng)
    start, settings = time.process_time(), SETTINGS[task]
    episodes, _ = train(envs, policy, critic, rng, budget=BUDGET, **settings)
    results = {"cpu_seconds": round(time.process_time() - start, 2)}
    results["sampled"] = played(task, policy, rng)
    results["mode"] = played(task, Mode(policy), rng)
    for mark in range(EVERY, BUDGET + 1, EVERY):
        returns = [r for steps, r in episodes if steps <= mark][-100:]
        known = len(returns) == 100
        results[f"return_{mark}"] = round(sum(returns) / 100, 2) if known else torch.nan
    return results


def main() -> None:
    """Run what is missing."""
    for task in THRESHOLDS:
        run_seeds(run, range(10), RESULTS, modules=MODULES, task=task)


if __name__ == "__main__":
    main()
