"""TRPO on Acrobot-v1 and Pendulum-v1, with the same settings but for the discount.

`python experiments/trust_region_trpo.py` writes book/data/trust_region_trpo.csv. The
time limit of both tasks only cuts the recording: there the critic's value of the final
observation is bootstrapped. All returns are training returns of the sampled policy,
means over the last 100 episodes. The settings were chosen on seeds 100 and 101.
"""

from collections.abc import Mapping
from pathlib import Path

import gymnasium
import torch
from gymnasium.vector import VectorEnv
from gymnasium.wrappers.vector import RescaleObservation
from torch import Tensor

import pgbook.actor_critic
import pgbook.advantages
import pgbook.natural_gradient
import pgbook.policies
import pgbook.trajectories
import pgbook.trust_region
from pgbook.actor_critic import critic_loss
from pgbook.advantages import fast_gae
from pgbook.environments import batched, classic
from pgbook.experiments import run_seeds
from pgbook.policies import CategoricalNetwork, DiagonalGaussian, ValueNetwork
from pgbook.trajectories import collect, finished_returns
from pgbook.trust_region import trpo_step

RESULTS = Path(__file__).parents[1] / "book" / "data" / "trust_region_trpo.csv"
GAMMAS = {"Acrobot-v1": 0.99, "Pendulum-v1": 0.9}
# Pendulum's episodes have 200 steps, in all copies at once: few copies, long records.
ENVIRONMENTS, ROLLOUT, UPDATES = 16, 128, 100
LAMBDA, RADIUS = 0.95, 0.02
CRITIC_STEP_SIZE, EPOCHS, BATCH = 1e-3, 10, 256


def fit_critic(critic, optimizer, observation: Tensor, target: Tensor, rng) -> None:
    """Move the critic toward its targets, [M], in a few epochs of minibatches."""
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(target), generator=rng).split(BATCH):
            valid = torch.ones(len(rows), dtype=torch.bool)
            optimizer.zero_grad()
            critic_loss(critic(observation[rows]), target[rows], valid).backward()
            optimizer.step()


def train(envs: VectorEnv, policy, critic, gamma: float, updates: int, rng) -> list:
    """Improve both; list steps, mean return and what was taken, update by update."""
    optimizer = torch.optim.Adam(critic.parameters(), lr=CRITIC_STEP_SIZE, fused=True)
    record, running = None, torch.zeros(envs.num_envs)
    steps, returns, log = 0, [], []
    for _ in range(updates):
        record = collect(envs, policy, ROLLOUT, rng, after=record)
        with torch.no_grad():
            v = critic(record.observations)  # [T+1, N]
        data = record.rewards, record.discount_t(gamma), v[:-1], v[1:]
        adv_t, valid = fast_gae(*data, LAMBDA, record.trace_t), record.valid
        observation, action = record.observations[:-1][valid], record.actions[valid]
        taken = trpo_step(policy, observation, action, adv_t[valid], RADIUS)
        fit_critic(critic, optimizer, observation, (adv_t + v[:-1])[valid], rng)
        steps += int(valid.sum())
        finished, running = finished_returns(record, running)
        returns = (returns + finished)[-100:]
        mean = sum(returns) / 100 if len(returns) == 100 else float("nan")
        log.append((steps, mean, taken))
    return log


def learn(task: str, updates: int, rng: torch.Generator):
    """Train fresh networks on a task; the log of `train`."""
    envs = gymnasium.make_vec(
        f"pgbook/{task}", ENVIRONMENTS, vectorization_mode="vector_entry_point"
    )
    envs = RescaleObservation(envs, -1, 1)  # velocities are far larger than cosines
    size, space = envs.single_observation_space.shape[0], envs.single_action_space
    if hasattr(space, "n"):
        policy = CategoricalNetwork(size, space.n, rng=rng)
    else:
        policy = DiagonalGaussian(size, space.shape[0], rng=rng)
    critic = ValueNetwork(size, rng=rng)
    return train(envs, policy, critic, GAMMAS[task], updates, rng)


def run(seed: int, task: str) -> Mapping[str, float]:
    """Learning curve of one seed, and the divergence of each step, full and taken."""
    torch.set_num_threads(1)
    log = learn(task, UPDATES, torch.Generator().manual_seed(seed))
    results = {"steps": log[-1][0]}
    for k, (_, mean, taken) in enumerate(log, 1):
        results[f"return_{k}"] = round(mean, 2)
        results[f"full_kl_{k}"] = round(taken.full_kl, 6)
        results[f"kl_{k}"] = round(taken.kl, 6)
    return results


def main() -> None:
    """Run what is missing."""
    names = ("actor_critic", "advantages", "natural_gradient", "policies")
    modules = [getattr(pgbook, name) for name in (*names, "trajectories")]
    modules += [pgbook.trust_region, batched, classic]
    for task in GAMMAS:
        run_seeds(run, range(5), RESULTS, modules=modules, task=task)


if __name__ == "__main__":
    main()
