"""The scoreboard: the same network on CartPole-v1, one row per estimator.

`python experiments/actor_critic_scoreboard.py` writes two files to book/data:
actor_critic_scoreboard.csv, when the mean of the last 100 training episodes reached 475
within 500,000 steps, for ten seeds with one step size, and for the first three of them
with a smaller and a larger one; actor_critic_variance.csv, mean and variance of the
gradient that each estimator gives at one policy, which is the same for all.
Seconds are those of the processor, on one thread.

The limit of 500 steps belongs to the objective, so nothing is bootstrapped there.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean

import gymnasium
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

import pgbook.actor_critic
import pgbook.advantages
import pgbook.baselines
import pgbook.policies
import pgbook.reinforce
import pgbook.returns
import pgbook.trajectories
from pgbook.actor_critic import critic_loss
from pgbook.advantages import fast_gae, n_step_returns
from pgbook.baselines import batch_mean_baseline, leave_one_out_baseline, whitened
from pgbook.experiments import run_seeds
from pgbook.policies import CategoricalNetwork, ValueNetwork
from pgbook.reinforce import policy_gradient_loss, total_return_weights
from pgbook.returns import rewards_to_go
from pgbook.trajectories import Trajectories, collect_episodes

DATA = Path(__file__).parents[1] / "book" / "data"
RESULTS = DATA / "actor_critic_scoreboard.csv"
VARIANCES = DATA / "actor_critic_variance.csv"
GAMMA, EPISODES, THRESHOLD = 0.99, 16, 475
CRITIC_UPDATES, CRITIC_STEP_SIZE = 10, 3e-3
BUDGET, STEP_SIZE, OTHERS = 500_000, 3e-3, (1e-3, 1e-2)
BATCHES = 100  # for the variance

# A weight takes a batch of whole episodes, the critic's values v, [T+1, N], and the
# mean return of the batch before.
Weight = Callable[[Trajectories, Tensor, float], Tensor]


def to_go(batch: Trajectories) -> Tensor:
    """Return from each step on, [T, N]."""
    return rewards_to_go(batch.rewards, batch.discount_t(GAMMA))


def mean_to_go(batch: Trajectories) -> float:
    """Mean of the return over all steps of a batch."""
    return to_go(batch)[batch.valid].mean().item()


def gae_weight(
    batch: Trajectories, v: Tensor, previous: float, lambda_: float
) -> Tensor:
    """Generalized advantage estimate."""
    discount_t = batch.discount_t(GAMMA)
    return fast_gae(batch.rewards, discount_t, v[:-1], v[1:], lambda_, batch.trace_t)


def n_step_weight(batch: Trajectories, v: Tensor, previous: float, n: int) -> Tensor:
    """Return of n steps minus the value."""
    discount_t = batch.discount_t(GAMMA)
    return_t = n_step_returns(batch.rewards, discount_t, v[1:], n, batch.trace_t)
    return return_t - v[:-1]


WITHOUT_CRITIC: dict[str, Weight] = {
    "total return": lambda b, v, m: total_return_weights(b.rewards, b.valid, GAMMA),
    "reward-to-go": lambda b, v, m: to_go(b),
    "constant baseline": lambda b, v, m: to_go(b) - m,
    "batch mean": lambda b, v, m: to_go(b) - batch_mean_baseline(to_go(b)),
    "leave-one-out": lambda b, v, m: to_go(b) - leave_one_out_baseline(to_go(b)),
    "whitened": lambda b, v, m: whitened(to_go(b), b.valid),
}
WITH_CRITIC: dict[str, Weight] = {
    "state value": lambda b, v, m: to_go(b) - v[:-1],
    "20 steps": partial(n_step_weight, n=20),
    "GAE 0.95": partial(gae_weight, lambda_=0.95),
    "GAE 0.8": partial(gae_weight, lambda_=0.8),
    "GAE 0.5": partial(gae_weight, lambda_=0.5),
}
WEIGHTS = WITHOUT_CRITIC | WITH_CRITIC


def make_envs() -> VectorEnv:
    """Return 16 copies of CartPole in one batch."""
    mode = "vector_entry_point"
    return gymnasium.make_vec("CartPole-v1", num_envs=EPISODES, vectorization_mode=mode)


def play(envs: VectorEnv, policy: CategoricalNetwork, rng: torch.Generator):
    """Whole episodes, one per column; the time limit is an end like any other."""
    batch = collect_episodes(envs, policy, EPISODES, rng)
    ended = batch.terminated | batch.truncated
    return replace(batch, terminated=ended, truncated=torch.zeros_like(ended))


def actor_loss(
    policy: CategoricalNetwork, batch: Trajectories, weight_t: Tensor
) -> Tensor:
    """Surrogate of the batch, a scalar."""
    distribution = policy.distribution(batch.observations[:-1])
    log_prob_t = distribution.log_prob(batch.actions)
    return policy_gradient_loss(log_prob_t, weight_t, batch.valid)


def fit(critic: ValueNetwork, optimizer, batch: Trajectories, target_t: Tensor):
    """Move the critic toward its targets, with a few steps on the batch."""
    for _ in range(CRITIC_UPDATES):
        loss = critic_loss(critic(batch.observations[:-1]), target_t, batch.valid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def train(
    estimator: str,
    step_size: float,
    rng: torch.Generator,
    until: float = THRESHOLD,
) -> tuple[CategoricalNetwork, ValueNetwork, list[float], int]:
    """Learn until 100 episodes are that good: both networks, all returns, steps."""
    envs, critic = make_envs(), ValueNetwork(4, rng=rng)
    policy = CategoricalNetwork(4, 2, rng=rng)
    actor = torch.optim.Adam(policy.parameters(), lr=step_size, fused=True)
    tutor = torch.optim.Adam(critic.parameters(), lr=CRITIC_STEP_SIZE, fused=True)
    returns, steps, previous = [], 0, 0.0
    while steps < BUDGET and fmean(returns[-100:] or [0]) < until:
        batch = play(envs, policy, rng)
        with torch.no_grad():
            v = critic(batch.observations)  # [T+1, N]
        weight_t = WEIGHTS[estimator](batch, v, previous)
        actor.zero_grad()
        actor_loss(policy, batch, weight_t).backward()
        actor.step()
        if estimator in WITH_CRITIC:  # only now: its values were used
            fit(critic, tutor, batch, weight_t + v[:-1])
        previous = mean_to_go(batch)
        returns += batch.rewards.sum(0).tolist()
        steps += int(batch.valid.sum())
    return policy, critic, returns, steps


def run(seed: int, estimator: str, step_size: float) -> Mapping[str, float]:
    """Steps and processor seconds of one seed until 475, NaN if it never came."""
    torch.set_num_threads(1)
    rng, start = torch.Generator().manual_seed(seed), time.process_time()
    *_, returns, steps = train(estimator, step_size, rng)
    last, seconds = fmean(returns[-100:]), time.process_time() - start
    reached = last >= THRESHOLD
    return {
        "solved_steps": steps if reached else float("nan"),
        "solved_seconds": round(seconds, 2) if reached else float("nan"),
        "last_100": round(last, 2),
    }


@cache
def common_ground() -> tuple[CategoricalNetwork, list[tuple[Trajectories, Tensor]]]:
    """A policy good for 100 steps, and batches with the values of a good critic."""
    rng = torch.Generator().manual_seed(200)
    policy, *_ = train("reward-to-go", STEP_SIZE, rng, until=100)
    envs, critic = make_envs(), ValueNetwork(4, rng=rng)
    tutor = torch.optim.Adam(critic.parameters(), lr=CRITIC_STEP_SIZE, fused=True)
    for _ in range(BATCHES):
        batch = play(envs, policy, rng)
        fit(critic, tutor, batch, to_go(batch))
    batches = [play(envs, policy, rng) for _ in range(BATCHES)]
    return policy, [(batch, critic(batch.observations).detach()) for batch in batches]


def gradient_moments(seed: int, estimator: str) -> Mapping[str, float]:
    """Variance of the gradient of an episode, in units of its squared mean."""
    policy, ground = common_ground()
    gradients, previous = [], mean_to_go(ground[-1][0])
    for batch, v in ground:
        weight_t = WEIGHTS[estimator](batch, v, previous)
        loss = actor_loss(policy, batch, weight_t)
        parts = torch.autograd.grad(loss, list(policy.parameters()))
        gradients.append(-torch.cat([part.flatten() for part in parts]))
        previous = mean_to_go(batch)
    gradients = torch.stack(gradients).double()
    mean, noise = gradients.mean(0), EPISODES * gradients.var(0).sum()
    signal = mean.square().sum() - noise / EPISODES / BATCHES  # without its own noise
    return {"noise": (noise / signal).item(), "norm": signal.sqrt().item()}


def main() -> None:
    """Run what is missing."""
    names = ("actor_critic", "advantages", "baselines", "policies", "reinforce")
    modules = [getattr(pgbook, name) for name in (*names, "returns", "trajectories")]
    for name in WEIGHTS:
        settings = {"modules": modules, "estimator": name, "step_size": STEP_SIZE}
        run_seeds(run, range(10), RESULTS, **settings)
    for name in WEIGHTS:
        run_seeds(gradient_moments, [0], VARIANCES, modules=modules, estimator=name)
    for size in OTHERS:
        for name in WEIGHTS:
            settings = {"modules": modules, "estimator": name, "step_size": size}
            run_seeds(run, range(3), RESULTS, **settings)


if __name__ == "__main__":
    main()
