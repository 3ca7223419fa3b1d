"""Actor and critic as tables on a slippery gridworld, across lambda, 20 runs each.

`python experiments/advantages_gridworld.py` writes book/data/advantages_gridworld.csv.
With probability 0.3 the agent slips: its direction is drawn anew. One environment,
64 steps per update; returns are exact, a linear solve for the policy of the moment.
The larger lambdas run once more with half the step size.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pgbook import advantages, mdp, policies, trajectories
from pgbook.advantages import fast_gae
from pgbook.environments import TabularVectorEnv, catalog, gridworld, tabular
from pgbook.experiments import run_seeds
from pgbook.mdp import TabularMDP
from pgbook.policies import TabularSoftmax
from pgbook.trajectories import Trajectories, collect

RESULTS = Path(__file__).parents[1] / "book" / "data" / "advantages_gridworld.csv"
MODULES = (advantages, mdp, policies, trajectories, catalog, tabular)
LAMBDAS = {2.0: (0.0, 0.5, 0.9, 1.0), 1.0: (0.9, 1.0)}  # by step size
STEPS, UPDATES, EVERY, CRITIC_STEP = 64, 60, 3, 0.3


def slippery_gridworld() -> TabularMDP:
    """Four by four cells; with probability 0.3 any of the four directions is taken."""
    world = gridworld()
    anywhere = world.transition.mean(1, keepdim=True)
    return replace(world, transition=0.7 * world.transition + 0.3 * anywhere)


def update(
    record: Trajectories,
    policy: TabularSoftmax,
    value: Tensor,
    optimizer: torch.optim.Optimizer,
    lambda_: float,
) -> None:
    """Move the policy along its gradient and the critic, [S], to the lambda-returns."""
    v = value[record.observations]  # [T+1, N]
    adv_t = fast_gae(
        record.rewards, record.discount_t(1.0), v[:-1], v[1:], lambda_, record.trace_t
    )
    s_t = record.observations[:-1]
    log_prob_t = policy.distribution(s_t).log_prob(record.actions)
    optimizer.zero_grad()
    (-(adv_t * log_prob_t)[record.valid].mean()).backward()
    optimizer.step()
    visited, errors = s_t[record.valid], adv_t[record.valid]
    count = torch.bincount(visited, minlength=len(value)).clamp(min=1)
    value += CRITIC_STEP * torch.bincount(visited, errors, len(value)) / count


def run(seed: int, lambda_: float, step_size: float) -> Mapping[str, float]:
    """Exact returns of the policy after 0, 3, 6, … updates."""
    rng = torch.Generator().manual_seed(seed)
    world = slippery_gridworld()
    envs = TabularVectorEnv(num_envs=1, mdp=world)
    policy = TabularSoftmax(*world.reward.shape)
    value = torch.zeros(len(world.initial), dtype=torch.float64)
    optimizer = torch.optim.SGD(policy.parameters(), lr=step_size)
    results, record = {}, None
    for done in range(UPDATES + 1):
        if done % EVERY == 0:
            exact = world.expected_return(policy.table().detach())
            results[f"return_{done}"] = round(exact.item(), 4)
        record = collect(envs, policy, STEPS, rng, record)
        update(record, policy, value, optimizer, lambda_)
    return results


def main() -> None:
    """Run what is missing."""
    torch.set_num_threads(1)
    for step_size, lambdas in LAMBDAS.items():
        for lambda_ in lambdas:
            settings = {"lambda_": lambda_, "step_size": step_size}
            run_seeds(run, range(20), RESULTS, modules=MODULES, **settings)


if __name__ == "__main__":
    main()
