"""PPO with one detail changed at a time, on CartPole-v1 and Acrobot-v1.

`python experiments/ppo_details.py` writes book/data/ppo_details.csv. The first variant
has the defaults of `train` and `update`; each other one differs from it in what its
name says. All returns are training returns of the sampled policy. The time limit of
both tasks only cuts the recording. Seconds are those of the processor.
"""

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import gymnasium
import torch
from torch import Tensor, nn

import pgbook.advantages
import pgbook.environments
import pgbook.policies
import pgbook.ppo
import pgbook.trajectories
from pgbook.advantages import fast_gae
from pgbook.experiments import run_seeds
from pgbook.policies import CategoricalNetwork, ValueNetwork
from pgbook.ppo import Diagnostics, clipped_surrogate_loss, standardized
from pgbook.trajectories import Trajectories

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "book" / "data" / "ppo_details.csv"
THRESHOLDS = {"CartPole-v1": 475, "pgbook/Acrobot-v1": -100}
BUDGETS = {"CartPole-v1": 150_000, "pgbook/Acrobot-v1": 80_000}
GAMMAS = {"CartPole-v1": 0.98, "pgbook/Acrobot-v1": 0.99}
SEEDS = {"CartPole-v1": 10, "pgbook/Acrobot-v1": 5}
CLIP = 0.2
ADAM = torch.optim.Adam


def unchanged(adv: Tensor) -> Tensor:
    """Leave the advantages as they are."""
    return adv


def other_update(
    policy: nn.Module,
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    record: Trajectories,
    rng: torch.Generator,
    *,
    gamma: float = 0.98,
    value_clip: float = math.inf,
    per_record: bool = False,
) -> Diagnostics:
    """Do what `update` does by default, with two more details to choose from.

    The values may be kept within `value_clip` of the old ones, in the pessimistic way
    of the ratios, and the advantages may be normalized once per record.
    """
    with torch.no_grad():
        v = critic(record.observations)
        rollout = record.rewards, record.discount_t(gamma), v[:-1], v[1:]
        adv_t = fast_gae(*rollout, 0.95, record.trace_t)
        observation = record.observations[:-1][record.valid]
        action, adv = record.actions[record.valid], adv_t[record.valid]
        old_v = v[:-1][record.valid]
        target = adv + old_v
        old_log_prob = policy.distribution(observation).log_prob(action)
    rescale = unchanged if per_record else standardized
    adv = standardized(adv) if per_record else adv
    for _ in range(4):
        for rows in torch.randperm(len(adv), generator=rng).chunk(4):
            log_prob = policy.distribution(observation[rows]).log_prob(action[rows])
            pair = log_prob, old_log_prob[rows]
            loss = clipped_surrogate_loss(*pair, rescale(adv[rows]), CLIP)
            new = critic(observation[rows])
            near = old_v[rows] + (new - old_v[rows]).clamp(-value_clip, value_clip)
            errors = torch.stack([new, near]) - target[rows]
            loss = loss + errors.square().amax(0).mean() / 2
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 0.5)
            optimizer.step()
    return Diagnostics(*[math.nan] * 5)


def usual_network(
    sizes: tuple[int, ...], rng: torch.Generator, last_gain: float = 1.0
) -> nn.Sequential:
    """Initialize as PyTorch does: all weights and biases within 1 / sqrt(inputs)."""
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        for parameter in linear.parameters():
            nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=rng)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def usual_adam(parameters, *, lr: float, eps: float, fused: bool):
    """Adam with PyTorch's eps."""
    return ADAM(parameters, lr=lr, fused=fused)


UPDATE = "pgbook.ppo.update"
VARIANTS = {  # settings of `train`, and what is replaced
    "as it is": ({}, None),
    "no clip": ({"epsilon": math.inf}, None),
    "one epoch": ({"epochs": 1}, None),
    "ten epochs": ({"epochs": 10}, None),
    "ten epochs, no clip": ({"epochs": 10, "epsilon": math.inf}, None),
    "ten epochs, KL at most 0.02": ({"epochs": 10, "max_kl": 0.02}, None),
    "one minibatch": ({"minibatches": 1}, None),
    "no normalization": ({"rescale": unchanged}, None),
    "normalized per record": ({}, (UPDATE, partial(other_update, per_record=True))),
    "constant step size": ({"last_step_size": 3e-3}, None),
    "no gradient clipping": ({"max_norm": math.inf}, None),
    "entropy bonus 0.01": ({"entropy_weight": 0.01}, None),
    "clipped values": ({}, (UPDATE, partial(other_update, value_clip=CLIP))),
    "Adam's eps 1e-8": ({}, ("torch.optim.Adam", usual_adam)),
    "PyTorch's initialization": ({}, ("pgbook.policies._tanh_network", usual_network)),
}


def learn(task: str, seed: int, **settings: object) -> list[tuple[int, float]]:
    """Train fresh networks; the episodes of `train`."""
    rng = torch.Generator().manual_seed(seed)
    mode = "vector_entry_point"
    envs = gymnasium.make_vec(task, num_envs=64, vectorization_mode=mode)
    size, actions = envs.single_observation_space.shape[0], envs.single_action_space.n
    policy = CategoricalNetwork(size, int(actions), rng=rng)
    critic = ValueNetwork(size, rng=rng)
    settings = {"budget": BUDGETS[task], "gamma": GAMMAS[task], **settings}
    return pgbook.ppo.train(envs, policy, critic, rng, **settings)[0]


def run(seed: int, task: str, variant: str) -> Mapping[str, float]:
    """When one seed reached the threshold, and its last hundred episodes."""
    torch.set_num_threads(1)
    settings, replaced = VARIANTS[variant]
    start = time.process_time()
    with patch(*replaced) if replaced else nullcontext():
        episodes = learn(task, seed, **settings)
    seconds = round(time.process_time() - start, 2)
    returns = torch.tensor([r for _, r in episodes], dtype=torch.float64)
    means = returns.unfold(0, 100, 1).mean(1)
    reached = (means >= THRESHOLDS[task]).nonzero()
    steps = episodes[99 + int(reached[0])][0] if len(reached) else math.nan
    last = round(means[-1].item(), 2)
    return {"solved_steps": steps, "last_100": last, "cpu_seconds": seconds}


def main() -> None:
    """Run what is missing, seed by seed."""
    names = ("ppo", "advantages", "policies", "trajectories")
    modules = [getattr(pgbook, name) for name in names]
    for seed in range(max(SEEDS.values())):
        for task in (task for task, seeds in SEEDS.items() if seed < seeds):
            for variant in VARIANTS:
                settings = {"modules": modules, "task": task, "variant": variant}
                run_seeds(run, [seed], RESULTS, **settings)


if __name__ == "__main__":
    main()
