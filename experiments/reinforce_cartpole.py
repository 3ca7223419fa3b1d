"""REINFORCE on CartPole-v1, 500,000 steps per seed.

`python experiments/reinforce_cartpole.py` writes book/data/reinforce_cartpole.csv: a
sweep over step sizes on seeds 100 to 104, then the chosen one on seeds 0 to 9. All
returns are training returns of the sampled policy. The limit of 500 steps belongs to
the objective, so nothing is bootstrapped there.
"""

from collections.abc import Mapping
from pathlib import Path

import gymnasium
import torch
from gymnasium.vector import VectorEnv

import pgbook.policies
import pgbook.reinforce
import pgbook.trajectories
from pgbook.experiments import run_seeds
from pgbook.policies import CategoricalNetwork
from pgbook.reinforce import policy_gradient_loss, total_return_weights
from pgbook.trajectories import collect_episodes

RESULTS = Path(__file__).parents[1] / "book" / "data" / "reinforce_cartpole.csv"
BUDGET, EVERY = 500_000, 20_000
SWEEP, CHOSEN = (3e-4, 1e-3, 3e-3), 1e-3


def make_envs() -> VectorEnv:
    """Return 32 copies of CartPole in one batch."""
    return gymnasium.make_vec(
        "CartPole-v1", num_envs=32, vectorization_mode="vector_entry_point"
    )


def train(
    envs: VectorEnv,
    policy: CategoricalNetwork,
    step_size: float,
    budget: int,
    rng: torch.Generator,
) -> tuple[list[float], list[int]]:
    """Improve the policy; return the return and the length of each episode."""
    optimizer = torch.optim.Adam(policy.parameters(), lr=step_size)
    returns, lengths = [], []
    while sum(lengths) < budget:
        batch = collect_episodes(envs, policy, envs.num_envs, rng)
        weight_t = total_return_weights(batch.rewards, batch.valid)
        distribution = policy.distribution(batch.observations[:-1])
        log_prob_t = distribution.log_prob(batch.actions)
        loss = policy_gradient_loss(log_prob_t, weight_t, batch.valid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        returns += weight_t[0].tolist()
        lengths += batch.valid.sum(0).tolist()
    return returns, lengths


def recent_mean(returns: list[float], lengths: list[int], steps: int) -> float:
    """Mean return of the last 100 episodes that were over after so many steps."""
    over = torch.tensor(lengths).cumsum(0) <= steps
    return torch.tensor(returns)[over][-100:].mean().item()


def run(seed: int, step_size: float) -> Mapping[str, float]:
    """Learning curve of one seed."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    policy = CategoricalNetwork(4, 2, rng=rng)
    returns, lengths = train(make_envs(), policy, step_size, BUDGET, rng)
    results = {"episodes": len(returns), "steps": sum(lengths)}
    results["last_100"] = round(sum(returns[-100:]) / 100, 2)
    for steps in range(EVERY, BUDGET + 1, EVERY):
        mean = recent_mean(returns, lengths, steps)
        results[f"return_{steps}"] = round(mean, 2)
    return results


def main() -> None:
    """Run what is missing."""
    modules = [pgbook.policies, pgbook.reinforce, pgbook.trajectories]
    runs = [(range(100, 105), size) for size in SWEEP] + [(range(10), CHOSEN)]
    for seeds, step_size in runs:
        run_seeds(run, seeds, RESULTS, modules=modules, step_size=step_size)


if __name__ == "__main__":
    main()
