"""A2C of the book beside the tuned A2C of stable-baselines3, in one run.

`make bench` writes book/data/actor_critic_peers.csv: for each seed and task the two run
one after the other, on one thread, until the task is solved (`peers.py`).
"""

import time
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path

import peers
import torch

from pgbook.experiments import run_seeds

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "book" / "data" / "actor_critic_peers.csv"
SCRIPT = ROOT / "experiments" / "actor_critic_a2c.py"
BOOK = run_path(str(SCRIPT))
TASKS, BUDGET = ("CartPole-v1", "Acrobot-v1"), 500_000


def book(seed: int, task: str) -> dict[str, float]:
    """Steps and seconds of the book."""
    rng = torch.Generator().manual_seed(seed)
    start = time.process_time()
    log = BOOK["learn"](task, BUDGET, rng, until=peers.THRESHOLDS[task])
    seconds = round(time.process_time() - start, 2)
    steps = BOOK["first_at"](log, peers.THRESHOLDS[task])[0]
    return {"solved_steps": steps, "solved_seconds": seconds}


def run(seed: int, task: str, library: str) -> Mapping[str, float]:
    """One run of one of the two."""
    torch.set_num_threads(1)
    if library == "pgbook":
        return book(seed, task)
    return peers.solve("A2C", task, seed, BUDGET)


def main() -> None:
    """Run what is missing, the two libraries in turn."""
    names = ("actor_critic", "advantages", "policies", "trajectories")
    code = [SCRIPT, peers, *(ROOT / "pgbook" / f"{name}.py" for name in names)]
    for seed in range(5):
        for task in TASKS:
            for library in ("pgbook", "stable-baselines3"):
                settings = {"modules": code, "task": task, "library": library}
                run_seeds(run, [seed], RESULTS, **settings)


if __name__ == "__main__":
    main()
