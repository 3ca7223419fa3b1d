"""A2C of the book beside the tuned A2C of stable-baselines3, in one run.

`make bench` writes book/data/actor_critic_peers.csv: for each seed and task the two run
one after the other, on one thread, until the mean of the last 100 training episodes
reaches the threshold. Seconds are those of the processor, from the first reset on.

The peer's settings are those of rl-baselines3-zoo: 8 environments and no entropy bonus
on CartPole-v1; 16, and normalized observations and rewards, on Acrobot-v1.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path

import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from pgbook.experiments import run_seeds

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "book" / "data" / "actor_critic_peers.csv"
SCRIPT = ROOT / "experiments" / "actor_critic_a2c.py"
BOOK = run_path(str(SCRIPT))
THRESHOLDS, BUDGET = BOOK["THRESHOLDS"], 500_000
PEER = {"CartPole-v1": 8, "Acrobot-v1": 16}  # environments


class StopAt(BaseCallback):
    """Stop when the mean of the last 100 episodes reaches a threshold."""

    def __init__(self, threshold: float) -> None:
        """Start counting."""
        super().__init__()
        self.threshold, self.reached = threshold, False

    def _on_step(self) -> bool:
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        mean = sum(returns) / 100 if len(returns) == 100 else -torch.inf
        self.reached = mean >= self.threshold
        return not self.reached


def peer(seed: int, task: str) -> tuple[float, float]:
    """Steps and seconds of stable-baselines3."""
    envs = make_vec_env(task, n_envs=PEER[task], seed=seed)
    if task == "Acrobot-v1":
        envs = VecNormalize(envs)
    options = {"seed": seed, "ent_coef": 0.0, "device": "cpu"}
    model = stable_baselines3.A2C("MlpPolicy", envs, **options)
    stop, start = StopAt(THRESHOLDS[task]), time.process_time()
    model.learn(BUDGET, callback=stop)
    seconds = round(time.process_time() - start, 2)
    return (model.num_timesteps if stop.reached else float("nan")), seconds


def book(seed: int, task: str) -> tuple[float, float]:
    """Steps and seconds of the book."""
    rng = torch.Generator().manual_seed(seed)
    start = time.process_time()
    log = BOOK["learn"](task, BUDGET, rng, until=THRESHOLDS[task])
    seconds = round(time.process_time() - start, 2)
    steps = BOOK["first_at"](log, THRESHOLDS[task])[0]
    return steps, seconds


def run(seed: int, task: str, library: str) -> Mapping[str, float]:
    """One run of one of the two."""
    torch.set_num_threads(1)
    steps, seconds = {"pgbook": book, "stable-baselines3": peer}[library](seed, task)
    return {"solved_steps": steps, "solved_seconds": seconds}


def main() -> None:
    """Run what is missing, the two libraries in turn."""
    names = ("actor_critic", "advantages", "policies", "trajectories")
    code = [SCRIPT, *(ROOT / "pgbook" / f"{name}.py" for name in names)]
    for seed in range(5):
        for task in THRESHOLDS:
            for library in ("pgbook", "stable-baselines3"):
                settings = {"modules": code, "task": task, "library": library}
                run_seeds(run, [seed], RESULTS, **settings)


if __name__ == "__main__":
    main()
