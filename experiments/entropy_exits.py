"""A corridor with a small prize next to the start and a large one at the far end.

`python experiments/entropy_exits.py` writes book/data/entropy_exits.csv: the exact
expected return, without entropy, of the policy after 200 updates by REINFORCE, with a
temperature beta paid either in the loss ("bonus") or in the rewards ("reward"). The
horizon of 40 decisions belongs to the objective.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pgbook import baselines, entropy, policies, reinforce, returns, trajectories
from pgbook.baselines import leave_one_out_baseline
from pgbook.entropy import entropy_bonus, entropy_rewards
from pgbook.environments import TabularVectorEnv
from pgbook.experiments import run_seeds
from pgbook.mdp import TabularMDP
from pgbook.policies import TabularSoftmax
from pgbook.reinforce import policy_gradient_loss
from pgbook.returns import rewards_to_go
from pgbook.trajectories import Trajectories, collect_episodes

NAME = Path(__file__).with_suffix(".csv").name
RESULTS = Path(__file__).parents[1] / "book" / "data" / NAME
CELLS, SMALL, LARGE, GAMMA, HORIZON = 9, 1.0, 4.0, 0.95, 40
BETAS = (0.03, 0.1, 0.2, 0.4)
EPISODES, UPDATES, STEP_SIZE, SEEDS = 4, 200, 1.0, 20


def two_exits(horizon: int | None = HORIZON) -> TabularMDP:
    """Nine cells in a row; action 0 goes left, 1 right; the start is the leftmost.

    Leaving to the left earns 1, leaving to the right earns 4, and ends the episode.
    """
    moves = torch.zeros(CELLS, 2, CELLS, dtype=torch.float64)
    for cell in range(CELLS):
        for action, goal in enumerate((cell - 1, cell + 1)):
            if 0 <= goal < CELLS:
                moves[cell, action, goal] = 1
    reward = torch.zeros(CELLS, 2, dtype=torch.float64)
    reward[0, 0], reward[-1, 1] = SMALL, LARGE
    initial = torch.eye(CELLS, dtype=torch.float64)[0]
    return TabularMDP(moves, reward, initial, GAMMA, horizon)


def loss(policy: TabularSoftmax, tau: Trajectories, kind: str, beta: float) -> Tensor:
    """REINFORCE with a leave-one-out baseline; beta in the rewards or in the loss."""
    distribution = policy.distribution(tau.observations[:-1])
    log_prob_t = distribution.log_prob(tau.actions)
    r_t, gamma_t = tau.rewards, GAMMA ** torch.arange(len(tau.rewards)).double()
    if kind == "reward":
        r_t = entropy_rewards(r_t, log_prob_t.detach(), beta, tau.valid)
    return_t = rewards_to_go(r_t, tau.discount_t(GAMMA))
    weight_t = gamma_t[:, None] * (return_t - leave_one_out_baseline(return_t))
    surrogate = policy_gradient_loss(log_prob_t, weight_t, tau.valid)
    if kind == "bonus":
        bonus = entropy_bonus(distribution.entropy(), GAMMA, tau.valid)
        surrogate = surrogate - beta * bonus
    return surrogate


def train(seed: int, kind: str, beta: float, updates: int = UPDATES) -> TabularSoftmax:
    """Plain ascent from the uniform policy."""
    rng = torch.Generator().manual_seed(seed)
    policy, envs = TabularSoftmax(CELLS, 2), TabularVectorEnv(EPISODES, mdp=two_exits())
    optimizer = torch.optim.SGD(policy.parameters(), lr=STEP_SIZE)
    for _ in range(updates):
        tau = collect_episodes(envs, policy, EPISODES, rng)
        optimizer.zero_grad()
        loss(policy, tau, kind, beta).backward()
        optimizer.step()
    return policy


def run(
    seed: int, kind: str, beta: float, updates: int = UPDATES
) -> Mapping[str, float]:
    """Exact return and mean length of the policy that was learned."""
    torch.set_num_threads(1)
    pi = train(seed, kind, beta, updates).table().detach()
    task = two_exits()
    length = TabularMDP(
        task.transition, torch.ones_like(task.reward), task.initial, 1, HORIZON
    )
    return {
        "return": round(task.expected_return(pi).item(), 4),
        "length": round(length.expected_return(pi).item(), 2),
        "right": round(pi[0, 1].item(), 6),
    }


def main() -> None:
    """Run what is missing."""
    modules = (baselines, entropy, policies, reinforce, returns, trajectories)
    cases = [("none", 0.0)] + [(k, b) for k in ("bonus", "reward") for b in BETAS]
    for kind, beta in cases:
        run_seeds(run, range(SEEDS), RESULTS, modules=modules, kind=kind, beta=beta)


if __name__ == "__main__":
    main()
