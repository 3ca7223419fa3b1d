"""What a product with the Fisher matrix costs, with the matrix and without it.

`python experiments/natural_gradient_products.py` writes
book/data/natural_gradient_products.csv: processor time in milliseconds, one thread,
float32, for a tanh network with two hidden layers and 1,024 observations of CartPole's
size. `graph_kept` leaves out what need be done only once per policy.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import process_time

import torch
from torch import Tensor
from torch.distributions import kl_divergence
from torch.func import functional_call, jacrev, vmap
from torch.nn.utils import parameters_to_vector

from pgbook import natural_gradient
from pgbook.experiments import run_seeds
from pgbook.natural_gradient import fisher_vector_product, kl_curvature_product
from pgbook.policies import CategoricalNetwork

RESULTS = Path(__file__).parents[1] / "book" / "data" / "natural_gradient_products.csv"
OBSERVATIONS, REPEATS = 1024, 20


def whole_matrix(policy: CategoricalNetwork, observation: Tensor) -> Tensor:
    """Mean of E[z z'], from the scores of all actions in all observations."""
    theta = {name: p.detach() for name, p in policy.network.named_parameters()}

    def log_pi(theta: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(policy.network, theta, (row,)).log_softmax(-1)

    slopes = vmap(jacrev(log_pi), in_dims=(None, 0))(theta, observation)
    z = torch.cat([slope.flatten(2) for slope in slopes.values()], -1).flatten(0, 1)
    pi = policy.logits(observation).detach().softmax(-1).flatten()
    return z.T @ (pi[:, None] * z) / len(observation)


def kept(policy: CategoricalNetwork, observation: Tensor) -> Callable:
    """Product from the graph of a gradient that is made once."""
    theta = list(policy.parameters())
    with torch.no_grad():
        old = policy.distribution(observation)
    divergence = kl_divergence(old, policy.distribution(observation)).mean()
    slope = torch.autograd.grad(divergence, theta, create_graph=True)
    slope = parameters_to_vector(slope)

    def product(vector: Tensor) -> Tensor:
        pieces = torch.autograd.grad(slope @ vector, theta, retain_graph=True)
        return parameters_to_vector(pieces)

    return product


def milliseconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median processor time of a call, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = process_time()
        call()
        times.append(process_time() - start)
    return 1000 * median(times[1:])


def run(seed: int, width: int) -> Mapping[str, float]:
    """Times of one network, drawn with the seed."""
    rng = torch.Generator().manual_seed(seed)
    policy = CategoricalNetwork(4, 2, (width, width), rng=rng)
    observation = torch.randn(OBSERVATIONS, 4, generator=rng)
    theta = list(policy.parameters())
    size = sum(p.numel() for p in theta)
    vector = torch.randn(size, generator=rng)

    def gradient() -> tuple[Tensor, ...]:
        loss = policy.distribution(observation).logits[:, 0].mean()
        return torch.autograd.grad(loss, theta)

    again = kept(policy, observation)
    fisher = whole_matrix(policy, observation)
    regular = fisher + 1e-3 * torch.eye(size)  # as it is, it is singular
    return {
        "parameters": size,
        "gradient": milliseconds(gradient),
        "torch_func": milliseconds(
            lambda: fisher_vector_product(policy, observation, vector)
        ),
        "differentiated_twice": milliseconds(
            lambda: kl_curvature_product(policy, observation, vector)
        ),
        "graph_kept": milliseconds(lambda: again(vector)),
        "matrix_made": milliseconds(lambda: whole_matrix(policy, observation), 1),
        "matrix_used": milliseconds(lambda: fisher @ vector),
        "matrix_solved": milliseconds(lambda: torch.linalg.solve(regular, vector), 1),
    }


def main() -> None:
    """Run what is missing."""
    for width in (16, 64):
        run_seeds(run, range(5), RESULTS, modules=[natural_gradient], width=width)


if __name__ == "__main__":
    main()
