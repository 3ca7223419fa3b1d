"""Five ways to bound a torque, on Pendulum-v1, with the same settings for all.

`python experiments/gaussian_policies_pendulum.py` writes
book/data/gaussian_policies_pendulum.csv. The time limit only cuts the recording: there
the critic's value of the final observation is bootstrapped. All returns are training
returns of the sampled policy. The settings were chosen on seeds 100 and 101.
"""

from collections.abc import Mapping
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from gymnasium.wrappers.vector import TransformAction
from torch import Tensor, nn

import pgbook.advantages
import pgbook.gaussian_policies
import pgbook.policies
import pgbook.trajectories
from pgbook.advantages import fast_gae
from pgbook.environments import batched, classic
from pgbook.experiments import run_seeds
from pgbook.gaussian_policies import BetaPolicy, clipped_log_prob
from pgbook.policies import DiagonalGaussian, ValueNetwork
from pgbook.trajectories import Trajectories, collect

RESULTS = Path(__file__).parents[1] / "book" / "data" / "gaussian_policies_pendulum.csv"
WAYS = ("drawn", "censored", "squashed", "beta", "played")
LIMIT, ENVIRONMENTS, ROLLOUT, BUDGET, EVERY = 2.0, 32, 64, 200_000, 10_000
EPOCHS, MINIBATCH, STEP_SIZE, CLIP = 4, 512, 2e-3, 0.2
GAMMA, LAMBDA, REWARD_SCALE = 0.9, 0.95, 0.1


def make_world(way: str) -> VectorEnv:
    """Pendulums that turn what the policy draws into a torque from -2 to 2."""
    envs = gymnasium.make_vec(
        "pgbook/Pendulum-v1",
        num_envs=ENVIRONMENTS,
        vectorization_mode="vector_entry_point",
    )
    if way == "squashed":
        return TransformAction(envs, lambda u: LIMIT * np.tanh(u))
    if way == "beta":
        return TransformAction(envs, lambda x: LIMIT * (2 * x - 1))
    return envs  # Pendulum clips by itself


def make_policy(way: str, rng: torch.Generator) -> nn.Module:
    """At the start the torque's standard deviation is between 0.89 and 0.96."""
    if way == "beta":
        return BetaPolicy(3, 1, rng=rng)
    policy = DiagonalGaussian(3, 1, rng=rng)
    nn.init.constant_(policy.log_std, -0.6 if way == "squashed" else 0.0)
    return policy


def log_prob(way: str, policy: nn.Module, s: Tensor, u: Tensor) -> Tensor:
    """Which log-probability belongs to a draw: all in which the ways differ here."""
    if way == "censored":
        return clipped_log_prob(u, policy.mean(s), policy.log_std, -LIMIT, LIMIT)
    if way == "played":  # wrong: the density of a normal draw at a clipped one
        u = u.clamp(-LIMIT, LIMIT)
    return policy.distribution(s).log_prob(u)


def update(
    way: str,
    policy: nn.Module,
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    record: Trajectories,
    rng: torch.Generator,
) -> bool:
    """Some passes over a record, with the clipped ratio of the chapter `ppo`.

    Returns whether every loss was finite; after the first that is not, it stops.
    """
    valid, s = record.valid, record.observations[:-1][record.valid]
    u = record.actions[valid]
    with torch.no_grad():
        v = critic(record.observations)
        r_t, discount_t = REWARD_SCALE * record.rewards, record.discount_t(GAMMA)
        adv_t = fast_gae(r_t, discount_t, v[:-1], v[1:], LAMBDA, record.trace_t)
        adv, target = adv_t[valid], (adv_t + v[:-1])[valid]
        adv = (adv - adv.mean()) / (adv.std() + 1e-8)
        old = log_prob(way, policy, s, u)
    for _ in range(EPOCHS):
        for i in torch.randperm(len(s), generator=rng).split(MINIBATCH):
            ratio = (log_prob(way, policy, s[i], u[i]) - old[i]).exp()
            bounded = ratio.clamp(1 - CLIP, 1 + CLIP)
            actor = -torch.minimum(ratio * adv[i], bounded * adv[i]).mean()
            loss = actor + (critic(s[i]) - target[i]).square().mean() / 2
            if not loss.isfinite():
                return False
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return True


def learn(
    way: str, budget: int, rng: torch.Generator
) -> tuple[list[tuple[int, float]], int | None, float]:
    """Log of steps and mean return of each round of 32 episodes.

    Then the step at which the loss overflowed, if it did, and `edge_share`.
    """
    envs, policy = make_world(way), make_policy(way, rng)
    critic = ValueNetwork(3, rng=rng)
    networks = nn.ModuleList([policy, critic])
    optimizer = torch.optim.Adam(networks.parameters(), lr=STEP_SIZE, fused=True)
    record, steps, running, log = None, 0, torch.zeros(ENVIRONMENTS), []
    while steps < budget:
        record = collect(envs, policy, ROLLOUT, rng, after=record)
        ends = record.truncated.all(1)  # all 32 episodes end with their 200th step
        for r, valid, ended in zip(record.rewards, record.valid, ends, strict=True):
            running, steps = running + r, steps + int(valid.sum())
            if ended:
                log.append((steps, running.mean().item()))
                running = torch.zeros(ENVIRONMENTS)
        if not update(way, policy, critic, optimizer, record, rng):
            return log, steps, float("nan")
    return log, None, edge_share(way, record)


def edge_share(way: str, record: Trajectories) -> float:
    """Share of the played torques within 1 % of a limit."""
    u = record.actions[record.valid]
    played = {"squashed": u.tanh(), "beta": 2 * u - 1}.get(way, u / LIMIT)
    return (played.abs() >= 0.99).double().mean().item()


def run(seed: int, way: str) -> Mapping[str, float]:
    """Learning curve of one seed; none after an overflow."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    log, broken, edge = learn(way, BUDGET, rng)
    late = sum(g for _, g in log[-5:]) / 5 if broken is None else float("nan")
    results = {
        "broken_steps": broken or float("nan"),
        "last_return": round(late, 2),
        "edge": round(edge, 3),
    }
    for mark in range(EVERY, BUDGET + 1, EVERY):
        past = [g for steps, g in log if steps <= mark]
        alive = broken is None or mark < broken
        results[f"return_{mark}"] = round(past[-1], 2) if alive else float("nan")
    return results


def main() -> None:
    """Run what is missing."""
    names = ("advantages", "gaussian_policies", "policies", "trajectories")
    modules = [batched, classic, *(getattr(pgbook, name) for name in names)]
    for way in WAYS:
        run_seeds(run, range(10), RESULTS, modules=modules, way=way)


if __name__ == "__main__":
    main()
