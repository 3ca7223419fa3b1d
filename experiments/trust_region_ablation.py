"""TRPO on CartPole-v1 with one part taken out at a time.

`python experiments/trust_region_ablation.py` writes
book/data/trust_region_ablation.csv. Collection, critic and settings are those of
`trust_region_trpo.py`, the step differs. The limit of 500 steps only cuts the
recording. Returns are training returns of the sampled policy.
"""

from collections.abc import Mapping
from pathlib import Path
from runpy import run_path

import gymnasium
import torch
from torch.autograd import grad
from torch.distributions import kl_divergence
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import pgbook.actor_critic
import pgbook.advantages
import pgbook.natural_gradient
import pgbook.policies
import pgbook.trajectories
import pgbook.trust_region
from pgbook.experiments import run_seeds
from pgbook.natural_gradient import conjugate_gradient, fisher_vector_product
from pgbook.policies import CategoricalNetwork, ValueNetwork
from pgbook.trust_region import DAMPING, Taken, full_step, line_search, trpo_step

BASE = Path(__file__).with_name("trust_region_trpo.py")
RESULTS = Path(__file__).parents[1] / "book" / "data" / "trust_region_ablation.csv"
ENVIRONMENTS, UPDATES, GAMMA = 16, 30, 0.99
STEP_SIZE = 0.1
ROWS = (
    ("TRPO", 0.02),
    ("no line search", 0.02),
    ("ordinary gradient", 0.02),
    ("fixed step size", 0.02),
    ("TRPO", 0.2),
    ("no line search", 0.2),
)


def parts_of(policy, observation, action, adv):
    """What `trpo_step` is made of: measure, product with the matrix, gradient."""
    parameters = list(policy.parameters())
    start = parameters_to_vector(parameters).detach()
    with torch.no_grad():
        old = policy.distribution(observation)
        old_log_prob = old.log_prob(action)

    def surrogate():
        log_prob = policy.distribution(observation).log_prob(action)
        return ((log_prob - old_log_prob).exp() * adv).mean()

    def product(vector):
        return fisher_vector_product(policy, observation, vector) + DAMPING * vector

    def measure(step):
        vector_to_parameters(start + step, parameters)
        with torch.no_grad():
            kl = kl_divergence(old, policy.distribution(observation)).mean()
            return (surrogate() - adv.mean()).item(), kl.item()

    return measure, product, parameters_to_vector(grad(surrogate(), parameters))


def without_search(policy, observation, action, adv, radius) -> Taken:
    """Take the full step, whatever it does."""
    measure, product, gradient = parts_of(policy, observation, action, adv)
    gain, kl = measure(full_step(product, gradient, radius))
    return Taken(gain, kl, kl, 1)


def ordinary_gradient(policy, observation, action, adv, radius) -> Taken:
    """Go along the gradient, as far as the radius allows."""
    measure, product, gradient = parts_of(policy, observation, action, adv)
    length = gradient @ product(gradient)
    return line_search(measure, (2 * radius / length).sqrt() * gradient, radius)


def fixed_step(policy, observation, action, adv, radius) -> Taken:
    """Go a fixed multiple of the natural gradient."""
    measure, product, gradient = parts_of(policy, observation, action, adv)
    gain, kl = measure(STEP_SIZE * conjugate_gradient(product, gradient, 10))
    return Taken(gain, kl, kl, 1)


STEPS = {
    "TRPO": trpo_step,
    "no line search": without_search,
    "ordinary gradient": ordinary_gradient,
    "fixed step size": fixed_step,
}


def run(seed: int, step: str, radius: float) -> Mapping[str, float]:
    """Learning curve of one seed, and the divergence of each step."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    envs = gymnasium.make_vec(
        "CartPole-v1", ENVIRONMENTS, vectorization_mode="vector_entry_point"
    )
    policy, critic = CategoricalNetwork(4, 2, rng=rng), ValueNetwork(4, rng=rng)
    train = run_path(str(BASE))["train"]
    train.__globals__.update(trpo_step=STEPS[step], RADIUS=radius)
    log = train(envs, policy, critic, GAMMA, UPDATES, rng)
    results = {"steps": log[-1][0]}
    for k, (_, mean, taken) in enumerate(log, 1):
        results[f"return_{k}"] = round(mean, 2)
        results[f"kl_{k}"] = round(taken.kl, 6)
    return results


def main() -> None:
    """Run what is missing."""
    names = ("actor_critic", "advantages", "natural_gradient", "policies")
    modules = [getattr(pgbook, name) for name in (*names, "trajectories")]
    modules += [pgbook.trust_region, BASE]
    for step, radius in ROWS:
        settings = {"step": step, "radius": radius}
        run_seeds(run, range(5), RESULTS, modules=modules, **settings)


if __name__ == "__main__":
    main()
