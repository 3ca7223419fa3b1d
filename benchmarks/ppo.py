"""PPO of the book beside the tuned PPO of stable-baselines3, in one run.

`make bench` writes book/data/ppo_peers.csv: for each seed and task the two run one
after the other, on one thread, until the task is solved (`peers.py`). The book's
settings are those of experiments/ppo_tasks.py, chosen on seeds 100 to 102.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from runpy import run_path

import peers
import torch

from pgbook.experiments import run_seeds

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "book" / "data" / "ppo_peers.csv"
SCRIPT = ROOT / "experiments" / "ppo_tasks.py"
BOOK = run_path(str(SCRIPT))
BUDGET = 500_000


def book(seed: int, task: str) -> dict[str, float]:
    """Steps and seconds of the book."""
    threshold, start = peers.THRESHOLDS[task], time.process_time()
    episodes, _ = BOOK["learn"](task, seed, until=threshold)
    seconds = round(time.process_time() - start, 2)
    returns = [r for _, r in episodes[-100:]]
    reached = len(returns) == 100 and sum(returns) / 100 >= threshold
    steps = episodes[-1][0] if reached else float("nan")
    return {"solved_steps": steps, "solved_seconds": seconds}


def run(seed: int, task: str, library: str) -> Mapping[str, float]:
    """One run of one of the two."""
    torch.set_num_threads(1)
    if library == "pgbook":
        return book(seed, task)
    return peers.solve("PPO", task, seed, BUDGET)


def main() -> None:
    """Run what is missing, the two libraries in turn."""
    names = ("ppo", "advantages", "policies", "trajectories")
    code = [SCRIPT, peers, *(ROOT / "pgbook" / f"{name}.py" for name in names)]
    for seed in range(3):
        for task in peers.THRESHOLDS:
            for library in ("pgbook", "stable-baselines3"):
                settings = {"modules": code, "task": task, "library": library}
                run_seeds(run, [seed], RESULTS, **settings)


if __name__ == "__main__":
    main()
