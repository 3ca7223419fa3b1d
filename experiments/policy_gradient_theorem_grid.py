"""Three weights for one episode per update on a gridworld, 20 runs per step size.

`python experiments/policy_gradient_theorem_grid.py` writes
book/data/policy_gradient_theorem_grid.csv: the exact expected return along stochastic
gradient ascent from the rewards-to-go, from the true advantage of the action taken, and
from the true values of all actions. The horizon belongs to the objective; nothing is
discounted.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pgbook import policy_gradient_theorem, reinforce, returns
from pgbook.environments import TabularVectorEnv, gridworld
from pgbook.experiments import run_seeds
from pgbook.mdp import TabularMDP
from pgbook.policies import TabularSoftmax
from pgbook.policy_gradient_theorem import all_action_loss, all_action_weights
from pgbook.reinforce import policy_gradient_loss
from pgbook.returns import rewards_to_go
from pgbook.trajectories import Trajectories, collect_episodes

NAME = Path(__file__).with_suffix(".csv").name
RESULTS = Path(__file__).parents[1] / "book" / "data" / NAME
MDP = replace(gridworld(4), horizon=20)
STEP_SIZES = (0.03, 0.1)
EPISODES, UPDATES, EVERY = 1, 300, 10


def from_rewards(mdp: TabularMDP, policy: TabularSoftmax, tau: Trajectories) -> Tensor:
    """Loss with the rewards-to-go as weights."""
    log_prob_t = policy.distribution(tau.observations[:-1]).log_prob(tau.actions)
    return_t = rewards_to_go(tau.rewards, tau.discount_t(mdp.discount))
    return policy_gradient_loss(log_prob_t, return_t, tau.valid)


def own_action(mdp: TabularMDP, policy: TabularSoftmax, tau: Trajectories) -> Tensor:
    """Loss with the true advantage of the action taken as its weight."""
    distribution = policy.distribution(tau.observations[:-1])
    weight_t = all_action_weights(mdp, policy.table(), tau)
    q_t = weight_t.gather(-1, tau.actions[..., None])[..., 0]
    v_t = (distribution.probs.detach() * weight_t).sum(-1)
    log_prob_t = distribution.log_prob(tau.actions)
    return policy_gradient_loss(log_prob_t, q_t - v_t, tau.valid)


def all_actions(mdp: TabularMDP, policy: TabularSoftmax, tau: Trajectories) -> Tensor:
    """Loss with the true values of all actions, weighed by their probabilities."""
    pi_t = policy.distribution(tau.observations[:-1]).probs
    return all_action_loss(
        pi_t, all_action_weights(mdp, policy.table(), tau), tau.valid
    )


LOSSES = {"rewards": from_rewards, "own": own_action, "all": all_actions}


def run(
    seed: int, weights: str, step_size: float, updates: int = UPDATES
) -> Mapping[str, float]:
    """Exact J every few updates, from the uniform policy on."""
    rng = torch.Generator().manual_seed(seed)
    policy, envs = TabularSoftmax(15, 4), TabularVectorEnv(EPISODES, mdp=MDP)
    optimizer = torch.optim.SGD(policy.parameters(), lr=step_size)
    results = {}
    for update in range(updates + 1):
        if update % EVERY == 0:
            value = MDP.expected_return(policy.table().detach())
            results[f"return_{update}"] = round(value.item(), 4)
        tau = collect_episodes(envs, policy, EPISODES, rng)
        optimizer.zero_grad()
        LOSSES[weights](MDP, policy, tau).backward()
        optimizer.step()
    return results


def main() -> None:
    """Run what is missing."""
    torch.set_num_threads(1)
    modules = (policy_gradient_theorem, reinforce, returns)
    for step_size in STEP_SIZES:
        for weights in LOSSES:
            settings = {"weights": weights, "step_size": step_size}
            run_seeds(run, range(20), RESULTS, modules=modules, **settings)


if __name__ == "__main__":
    main()
