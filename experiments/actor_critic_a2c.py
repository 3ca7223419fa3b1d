"""A2C on CartPole-v1 and Acrobot-v1, with the same settings for both.

`python experiments/actor_critic_a2c.py` writes book/data/actor_critic_a2c.csv. The time
limit of both tasks only cuts the recording: there the critic's value of the final
observation is bootstrapped. All returns are training returns of the sampled policy.
The settings were chosen on seeds 100 to 102.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import gymnasium
import torch
from gymnasium.vector import VectorEnv
from torch import nn

import pgbook.actor_critic
import pgbook.advantages
import pgbook.policies
import pgbook.trajectories
from pgbook.actor_critic import critic_loss, stream_policy_gradient_loss
from pgbook.advantages import fast_gae
from pgbook.experiments import run_seeds
from pgbook.policies import CategoricalNetwork, CategoricalPolicy, ValueNetwork
from pgbook.trajectories import Trajectories, collect, finished_returns

RESULTS = Path(__file__).parents[1] / "book" / "data" / "actor_critic_a2c.csv"
THRESHOLDS = {"CartPole-v1": 475, "Acrobot-v1": -100}
BUDGET, EVERY = 300_000, 20_000
ENVIRONMENTS, ROLLOUT = 16, 16
GAMMA, STEP_SIZE, ENTROPY = 0.98, 3e-3, 0.01


def make_envs(task: str) -> VectorEnv:
    """Return 16 copies of a task, in one batch where Gymnasium has such a form."""
    mode = "vector_entry_point" if task == "CartPole-v1" else "sync"
    return gymnasium.make_vec(task, num_envs=ENVIRONMENTS, vectorization_mode=mode)


def a2c_loss(policy: CategoricalPolicy, critic: nn.Module, record: Trajectories):
    """Loss of actor and critic on one rollout, a scalar."""
    v = critic(record.observations)  # [T+1, N]
    v_t, v_tp1 = v[:-1].detach(), v[1:].detach()
    discount_t = record.discount_t(GAMMA)
    adv_t = fast_gae(record.rewards, discount_t, v_t, v_tp1, 1.0, record.trace_t)
    distribution = policy.distribution(record.observations[:-1])
    log_prob_t = distribution.log_prob(record.actions)
    actor = stream_policy_gradient_loss(log_prob_t, adv_t, record.valid)
    entropy = distribution.entropy()[record.valid].mean()
    return actor - ENTROPY * entropy + critic_loss(v[:-1], adv_t + v_t, record.valid)


def train(
    envs: VectorEnv,
    policy: CategoricalPolicy,
    critic: nn.Module,
    budget: int,
    rng: torch.Generator,
    until: float = float("inf"),
) -> list[tuple[int, float, float]]:
    """Improve both; list steps, processor seconds and return of each episode."""
    networks = nn.ModuleList([policy, critic])
    optimizer = torch.optim.Adam(networks.parameters(), lr=STEP_SIZE, fused=True)
    record, steps, start, log = None, 0, time.process_time(), []
    running = torch.zeros(envs.num_envs)
    while steps < budget and recent_mean(log) < until:
        record = collect(envs, policy, ROLLOUT, rng, after=record)
        optimizer.zero_grad()
        a2c_loss(policy, critic, record).backward()
        for network in networks:
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        steps += int(record.valid.sum())
        returns, running = finished_returns(record, running)
        log += [(steps, time.process_time() - start, g) for g in returns]
    return log


def recent_mean(log: list[tuple[int, float, float]]) -> float:
    """Mean return of the last 100 episodes, minus infinity before there are as many."""
    returns = [g for *_, g in log[-100:]]
    return sum(returns) / 100 if len(returns) == 100 else -float("inf")


def learn(
    task: str, budget: int, rng: torch.Generator, until: float = float("inf")
) -> list[tuple[int, float, float]]:
    """Train fresh networks on a task; the log of `train`."""
    envs = make_envs(task)
    size, actions = envs.single_observation_space.shape[0], envs.single_action_space.n
    policy = CategoricalNetwork(size, actions, rng=rng)
    return train(envs, policy, ValueNetwork(size, rng=rng), budget, rng, until)


def first_at(
    log: list[tuple[int, float, float]], threshold: float
) -> tuple[float, float]:
    """Steps and seconds until the mean of 100 episodes reached a threshold, or NaN."""
    for end in range(100, len(log) + 1):
        if recent_mean(log[end - 100 : end]) >= threshold:
            return log[end - 1][0], round(log[end - 1][1], 2)
    return float("nan"), float("nan")


def run(seed: int, task: str) -> Mapping[str, float]:
    """Learning curve of one seed, and when it reached the threshold of the task."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    log = learn(task, BUDGET, rng)
    steps, seconds = first_at(log, THRESHOLDS[task])
    results = {"solved_steps": steps, "solved_seconds": seconds}
    for mark in range(EVERY, BUDGET + 1, EVERY):
        before = [row for row in log if row[0] <= mark]
        results[f"return_{mark}"] = round(recent_mean(before), 2)
    return results


def main() -> None:
    """Run what is missing."""
    names = ("actor_critic", "advantages", "policies", "trajectories")
    modules = [getattr(pgbook, name) for name in names]
    for task in THRESHOLDS:
        run_seeds(run, range(10), RESULTS, modules=modules, task=task)


if __name__ == "__main__":
    main()
