"""REINFORCE on the short corridor, 100 runs per step size.

`python experiments/reinforce_corridor.py` writes book/data/reinforce_corridor.csv: the
settings of figure 13.1 of Sutton and Barto (2018), once with the update of their box
(gamma = 1), once with one update per episode from its total return.

Their policy has one parameter per action, each moved by alpha * G * (1[a] - pi). Only
the difference theta counts, and it moves by 2 * alpha * G * (a - p), p = sigma(theta).
"""

from collections.abc import Iterator, Mapping
from math import log, tanh
from pathlib import Path

import torch

from pgbook.experiments import run_seeds

RESULTS = Path(__file__).parents[1] / "book" / "data" / "reinforce_corridor.csv"
STEP_SIZES = (2**-12, 2**-13, 2**-14)
EPISODES, BLOCK = 1000, 25
STUCK = 100_000  # steps: an episode as long as this counts as one that never ends


def probability(theta: float) -> float:
    """Probability of going right, sigma(theta)."""
    return (1 + tanh(theta / 2)) / 2


def play(p: float, uniforms: Iterator[float]) -> list[int]:
    """Actions of one episode, 1 for right; each step pays -1. Stops when stuck."""
    state, actions = 0, []
    while state < 3 and len(actions) < STUCK:
        actions.append(int(next(uniforms) < p))
        right = actions[-1] == 1
        state = max(state + (1 if right != (state == 1) else -1), 0)
    return actions


def boxed_update(theta: float, actions: list[int], step_size: float) -> float:
    """One update per step, with the parameter that the last one left behind."""
    for t, action in enumerate(actions):
        reward_to_go = -(len(actions) - t)
        score = action - probability(theta)
        theta += 2 * step_size * reward_to_go * score
    return theta


def whole_update(theta: float, actions: list[int], step_size: float) -> float:
    """One update per episode: the total return times the sum of the scores."""
    p = probability(theta)
    total_return = -len(actions)
    score = sum(action - p for action in actions)
    return theta + 2 * step_size * total_return * score


UPDATES = {"boxed": boxed_update, "whole": whole_update}


def run(seed: int, update: str, step_size: float) -> Mapping[str, float]:
    """Returns of one run, averaged over blocks of episodes; NaN once it is stuck."""
    rng = torch.Generator().manual_seed(seed)
    uniforms = _uniforms(rng)
    theta = -log(19)  # right with probability 0.05
    returns = []
    while len(returns) < EPISODES:
        actions = play(probability(theta), uniforms)
        if len(actions) >= STUCK:
            break
        returns.append(-len(actions))
        theta = UPDATES[update](theta, actions, step_size)
    results = {"finished": len(returns), "last_p": probability(theta)}
    for end in range(BLOCK, EPISODES + 1, BLOCK):
        block = returns[end - BLOCK : end]
        mean = sum(block) / BLOCK if len(block) == BLOCK else float("nan")
        results[f"return_{end}"] = round(mean, 2)
    return results


def _uniforms(rng: torch.Generator) -> Iterator[float]:
    while True:
        yield from torch.rand(4096, generator=rng, dtype=torch.float64).tolist()


def main() -> None:
    """Run what is missing."""
    for update in UPDATES:
        for step_size in STEP_SIZES:
            run_seeds(run, range(100), RESULTS, update=update, step_size=step_size)


if __name__ == "__main__":
    main()
