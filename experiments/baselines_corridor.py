"""REINFORCE with a learned baseline on the short corridor, 100 runs per variant.

`python experiments/baselines_corridor.py` writes book/data/baselines_corridor.csv: the
settings of figure 13.2 of Sutton and Barto (2018), with the update of their box, with
that of a well-known reproduction, and with one move per episode. The file
book/data/baselines_corridor_stuck.csv counts, hundred by hundred of 1,000 seeds, the
runs that never finish.

The three states look alike, so the baseline is one number w, 0 at the start. As in
`reinforce_corridor`, the difference of their two policy parameters moves by twice what
each of them moves.
"""

from collections.abc import Mapping
from math import log
from pathlib import Path
from runpy import run_path

import torch

from pgbook.experiments import run_seeds

RESULTS = Path(__file__).parents[1] / "book" / "data" / "baselines_corridor.csv"
COUNTS = RESULTS.with_name("baselines_corridor_stuck.csv")
PLAIN = Path(__file__).with_name("reinforce_corridor.py")
plain = run_path(str(PLAIN))
probability, play = plain["probability"], plain["play"]
POLICY_STEP, BASELINE_STEP = 2**-9, 2**-6


def boxed_update(theta: float, w: float, actions: list[int]) -> tuple[float, float]:
    """Baseline and policy move at every step, both by the error before the step."""
    for t, action in enumerate(actions):
        error = -(len(actions) - t) - w
        w += BASELINE_STEP * error
        theta += 2 * POLICY_STEP * error * (action - probability(theta))
    return theta, w


def copied_update(theta: float, w: float, actions: list[int]) -> tuple[float, float]:
    """As the box; but the last step pays 0, and w moves before it is subtracted."""
    for t, action in enumerate(actions):
        reward_to_go = -(len(actions) - t - 1)
        w += BASELINE_STEP * (reward_to_go - w)
        error = reward_to_go - w
        theta += 2 * POLICY_STEP * error * (action - probability(theta))
    return theta, w


def whole_update(theta: float, w: float, actions: list[int]) -> tuple[float, float]:
    """Policy and baseline move once per episode, from what was known before it."""
    p, length = probability(theta), len(actions)
    errors = [-(length - t) - w for t in range(length)]
    pairs = zip(errors, actions, strict=True)
    theta += 2 * POLICY_STEP * sum(error * (action - p) for error, action in pairs)
    for t in range(length):
        w += BASELINE_STEP * (-(length - t) - w)
    return theta, w


UPDATES = {"boxed": boxed_update, "copied": copied_update, "whole": whole_update}


def run(seed: int, update: str) -> Mapping[str, float]:
    """True returns of one run, averaged over blocks of episodes; NaN once stuck."""
    uniforms = plain["_uniforms"](torch.Generator().manual_seed(seed))
    theta, w, returns = -log(19), 0.0, []  # right with probability 0.05
    while len(returns) < plain["EPISODES"]:
        actions = play(probability(theta), uniforms)
        if len(actions) >= plain["STUCK"]:
            break
        returns.append(-len(actions))
        theta, w = UPDATES[update](theta, w, actions)
    results = {"finished": len(returns), "last_p": probability(theta), "last_w": w}
    block = plain["BLOCK"]
    for end in range(block, plain["EPISODES"] + 1, block):
        part = returns[end - block : end]
        mean = sum(part) / block if len(part) == block else float("nan")
        results[f"return_{end}"] = round(mean, 2)
    return results


def count_stuck(seed: int, update: str) -> Mapping[str, float]:
    """How many of the hundred runs from 100 * seed on never finish."""
    runs = [run(100 * seed + i, update) for i in range(100)]
    return {"stuck": sum(row["finished"] < plain["EPISODES"] for row in runs)}


def main() -> None:
    """Run what is missing."""
    for update in UPDATES:
        run_seeds(run, range(100), RESULTS, modules=[PLAIN], update=update)
        run_seeds(count_stuck, range(10), COUNTS, modules=[PLAIN], update=update)


if __name__ == "__main__":
    main()
