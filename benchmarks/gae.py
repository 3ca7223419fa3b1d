"""Generalized advantage estimation: the book's two forms beside stable-baselines3's.

`make bench` writes book/data/advantages_kernels.csv: microseconds for one rollout, in
float32 on one thread, the median of rounds in which the three run one after the other.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from stable_baselines3.common.buffers import RolloutBuffer

import pgbook.advantages
from pgbook.advantages import fast_gae, gae
from pgbook.experiments import run_seeds

RESULTS = Path(__file__).parents[1] / "book" / "data" / "advantages_kernels.csv"
SIZES = ((128, 1), (2048, 1), (128, 8), (128, 1024))
GAMMA, LAMBDA, ROUNDS = 0.99, 0.95, 31


def peer_buffer(r_t, v_t, done_t) -> RolloutBuffer:
    """A full buffer of stable-baselines3, whose flags mark the first step."""
    steps, envs = r_t.shape
    buffer = RolloutBuffer(
        steps, Box(-1, 1, (1,)), Discrete(2), "cpu", LAMBDA, GAMMA, n_envs=envs
    )
    buffer.rewards[:], buffer.values[:] = r_t.numpy(), v_t[:-1].numpy()
    buffer.episode_starts[1:] = done_t[:-1].numpy()
    return buffer


def microseconds(call: Callable) -> float:
    """Time of one call."""
    start = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - start)


def run(seed: int, steps: int, envs: int) -> Mapping[str, float]:
    """Median times of the three forms at one size; they agree."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    r_t = torch.randn(steps, envs, generator=rng)
    v_t = torch.randn(steps + 1, envs, generator=rng)
    done_t = (torch.rand(steps, envs, generator=rng) < 0.02).float()
    discount_t, trace_t = GAMMA * (1 - done_t), 1 - done_t
    buffer, last = peer_buffer(r_t, v_t, done_t), done_t[-1].numpy()
    rollout = (r_t, discount_t, v_t[:-1], v_t[1:], LAMBDA, trace_t)
    forms = {
        "gae": lambda: gae(*rollout),
        "fast_gae": lambda: fast_gae(*rollout),
        "peer": lambda: buffer.compute_returns_and_advantage(v_t[-1], last),
    }
    forms["peer"]()
    for name in ("gae", "fast_gae"):
        np.testing.assert_allclose(forms[name](), buffer.advantages, atol=1e-4)
    times = {name: [] for name in forms}
    for _ in range(ROUNDS):
        for name, call in forms.items():
            times[name].append(microseconds(call))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return {name: round(value, 1) for name, value in medians.items()}


def main() -> None:
    """Measure all sizes."""
    RESULTS.unlink(missing_ok=True)
    for steps, envs in SIZES:
        run_seeds(
            run, [0], RESULTS, modules=[pgbook.advantages], steps=steps, envs=envs
        )


if __name__ == "__main__":
    main()
