"""Speed against the number of environments, memory against the length of a record.

`make bench` writes book/data/ppo_scaling.csv (CartPole-v1, decisions per second of
processor time, on one thread: of Gymnasium's batched environment alone, of `collect`,
of a whole iteration of PPO) and book/data/ppo_memory.csv (64 environments: megabytes of
a record, and by how much the peak of the process grew while it was collected).
"""

import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import gymnasium
import torch
from gymnasium.vector import VectorEnv

import pgbook.ppo
import pgbook.trajectories
from pgbook.experiments import run_seeds
from pgbook.policies import CategoricalNetwork, ValueNetwork
from pgbook.ppo import train
from pgbook.trajectories import collect

DATA = Path(__file__).parents[1] / "book" / "data"
MODULES = [pgbook.ppo, pgbook.trajectories]
ENVIRONMENTS = (1, 4, 16, 64, 256, 1024, 4096)
LENGTHS = (64, 256, 1024, 4096)
ROLLOUT = 32


def cart_poles(number: int) -> VectorEnv:
    """Gymnasium's batched form of CartPole-v1."""
    mode = "vector_entry_point"
    return gymnasium.make_vec("CartPole-v1", num_envs=number, vectorization_mode=mode)


def seconds(call: Callable, rounds: int = 5) -> float:
    """Median processor time of a call; the first one does not count."""
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return sorted(times[1:])[rounds // 2]


def speed(seed: int, environments: int) -> Mapping[str, float]:
    """Decisions per second at one number of environments."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    envs = cart_poles(environments)
    policy, critic = CategoricalNetwork(4, 2, rng=rng), ValueNetwork(4, rng=rng)
    envs.reset(seed=seed)
    actions = envs.action_space.sample()
    count = ROLLOUT * environments

    def step() -> None:
        for _ in range(ROLLOUT):
            envs.step(actions)

    calls = {
        "environment": step,
        "collect": lambda: collect(envs, policy, ROLLOUT, rng),
        "train": lambda: train(envs, policy, critic, rng, budget=1, rollout=ROLLOUT),
    }
    return {name: round(count / seconds(call)) for name, call in calls.items()}


def memory(seed: int, steps: int) -> Mapping[str, float]:
    """Megabytes of a record, and of the growth of the peak while it was collected."""
    rng = torch.Generator().manual_seed(seed)
    envs, policy = cart_poles(64), CategoricalNetwork(4, 2, rng=rng)
    collect(envs, policy, 8, rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record = collect(envs, policy, steps, rng)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = sum(field.nbytes for field in vars(record).values())
    return {
        "record_mb": round(size / 2**20, 3),
        "peak_mb": round((after - before) / 2**10, 3),
    }


def main() -> None:
    """Measure all sizes; memory first, from short to long, since a peak only grows."""
    for name in ("ppo_memory.csv", "ppo_scaling.csv"):
        (DATA / name).unlink(missing_ok=True)
    for steps in LENGTHS:
        run_seeds(memory, [0], DATA / "ppo_memory.csv", modules=MODULES, steps=steps)
    for number in ENVIRONMENTS:
        settings = {"modules": MODULES, "environments": number}
        run_seeds(speed, [0], DATA / "ppo_scaling.csv", **settings)


if __name__ == "__main__":
    main()
