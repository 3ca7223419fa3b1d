"""Wrong versions (mutants) of estimators and shared rooms; the tests reject every one.

A mutant replaces the function that it names while `tests/test_<module>.py` runs, and
that run must fail. The docstring says what is wrong.

`python tests/mutants.py monte_carlo` prints which mutants of a module were rejected.
"""

import gc
import importlib
import io
import os
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import pytest
import torch


class Mutant(NamedTuple):
    """A wrong version, and the name of what it replaces."""

    module: str
    name: str
    wrong: Callable


MUTANTS: list[Mutant] = []
LOADED_LATE = "torch._dynamo", "torch.distributed.tensor"  # by torch, on first use


def mutant_of(target: str) -> Callable:
    """Register a wrong version of `target`, "module.function" or with a class."""

    def register(wrong: Callable) -> Callable:
        MUTANTS.append(Mutant(*target.split(".", 1), wrong))
        return wrong

    return register


def install(mutant: Mutant) -> None:
    """Put the wrong version in the place of the right one."""
    owner = importlib.import_module(f"pgbook.{mutant.module}")
    *path, name = mutant.name.split(".")
    for attribute in path:
        owner = getattr(owner, attribute)
    getattr(owner, name)  # an AttributeError here: the mutant names nothing
    setattr(owner, name, mutant.wrong)


def tests_of(module: str) -> str:
    """The file whose tests have to reject the mutants of a module."""
    return str(Path(__file__).with_name(f"test_{module}.py"))


def is_rejected(mutant: Mutant) -> bool:
    """Run the module's tests with the mutant in place, in a forked process."""
    child = os.fork()
    if child == 0:
        status = 70  # installing it failed
        try:
            install(mutant)
            with redirect_stdout(io.StringIO()):
                quickly = "-x", "--assert=plain", "--tb=no"
                status = int(pytest.main([*quickly, tests_of(mutant.module)]))
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, 1):
        raise RuntimeError(f"{mutant.wrong.__name__}: pytest ended with {status}")
    return status == 1


def main(module: str) -> int:
    """Print each mutant of a module; the exit code counts those that live."""
    survivors = 0
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    runpy.run_path(tests_of(module))  # what it imports is there before each fork,
    for late in LOADED_LATE:  # and so is what would take each fork half a second
        importlib.import_module(late)
    gc.freeze()  # or each fork's collector would copy what it only looks through
    for mutant in MUTANTS:
        if mutant.module == module:
            rejected = is_rejected(mutant)
            survivors += not rejected
            print("rejected" if rejected else "LIVES", mutant.wrong.__name__)
    return survivors


@mutant_of("mdp.TabularMDP.values")
def ended_episodes_go_on(self, pi):
    """Bootstraps through the end: the missing mass of a row stays in its state."""
    stay = torch.eye(len(self.initial)).double()[:, None, :] * self.ending[..., None]
    transition_pi = torch.einsum("sa,sau->su", pi, self.transition + stay)
    v = [torch.zeros(len(pi)).double()]
    for _ in range(self.horizon or 500):
        v.append((pi * self.reward).sum(-1) + self.discount * transition_pi @ v[-1])
    return v[-1] if self.horizon is None else torch.stack(v[::-1])


@mutant_of("mdp.TabularMDP.values")
def transition_transposed(self, pi):
    """Looks backward: the transposed transition matrix."""
    transition_pi, reward_pi = self._induced_by(pi)
    v = [torch.zeros_like(reward_pi)]
    for _ in range(self.horizon or 500):
        v.append(reward_pi + self.discount * transition_pi.T @ v[-1])
    return v[-1] if self.horizon is None else torch.stack(v[::-1])


@mutant_of("mdp.TabularMDP.values")
def one_step_too_few(self, pi):
    """Leaves out the last reward."""
    transition_pi, reward_pi = self._induced_by(pi)
    v = [torch.zeros_like(reward_pi), torch.zeros_like(reward_pi)]
    for _ in range((self.horizon or 500) - 1):
        v.append(reward_pi + self.discount * transition_pi @ v[-1])
    return v[-1] if self.horizon is None else torch.stack(v[::-1])


@mutant_of("mdp.TabularMDP.occupancy")
def occupancy_without_discount(self, pi):
    """Forgets gamma^t."""
    transition_pi, _ = self._induced_by(pi)
    visits = [self.initial]
    for _ in range((self.horizon or 500) - 1):
        visits.append(visits[-1] @ transition_pi)
    visits = torch.stack(visits)
    return visits.sum(0) if self.horizon is None else visits


@mutant_of("mdp.TabularMDP.occupancy")
def occupancy_as_distribution(self, pi):
    """Divides by the sum, against the convention of the book."""
    transition_pi, _ = self._induced_by(pi)
    visits = [self.initial]
    for _ in range((self.horizon or 500) - 1):
        visits.append(self.discount * visits[-1] @ transition_pi)
    visits = torch.stack(visits)
    visits = visits / visits.sum()
    return visits.sum(0) if self.horizon is None else visits


@mutant_of("mdp.TabularMDP.occupancy")
def occupancy_from_the_next_state(self, pi):
    """Starts at s_1 instead of s_0."""
    transition_pi, _ = self._induced_by(pi)
    visits = [self.initial @ transition_pi]
    for _ in range((self.horizon or 500) - 1):
        visits.append(self.discount * visits[-1] @ transition_pi)
    visits = torch.stack(visits)
    return visits.sum(0) if self.horizon is None else visits


@mutant_of("trajectories.Trajectories.discount_t")
def truncation_stops_the_bootstrap(self, gamma):
    """Takes a time limit for an end of the task."""
    return gamma * (~(self.terminated | self.truncated)).to(self.rewards.dtype)


@mutant_of("trajectories.Trajectories.discount_t")
def termination_is_bootstrapped(self, gamma):
    """Bootstraps through the end of the task."""
    return torch.full_like(self.rewards, gamma)


@mutant_of("trajectories.Trajectories.discount_t")
def done_of_the_step_before(self, gamma):
    """Is off by one: the end of the last step stops the bootstrap of this one."""
    return gamma * (~self.terminated.roll(1, dims=0)).to(self.rewards.dtype)


def collect_as(change):
    """A mutant of `collect` that changes its record."""
    from pgbook.trajectories import collect

    @wraps(change)
    def wrong(envs, policy, steps, rng, after=None):
        return change(collect(envs, policy, steps, rng, after))

    return wrong


@mutant_of("trajectories.collect")
@collect_as
def fillers_are_valid(record):
    """Counts the filler step of an automatic reset as a decision."""
    return replace(record, valid=torch.ones_like(record.valid))


@mutant_of("trajectories.collect")
@collect_as
def observation_after_the_reset(record):
    """Has the first observation of the next episode where the final one belongs."""
    ended = (record.terminated | record.truncated)[:-1]
    observations = record.observations.clone()
    observations[1:-1][ended] = observations[2:][ended]
    return replace(record, observations=observations)


@mutant_of("trajectories.collect")
@collect_as
def ends_are_all_terminations(record):
    """Does not keep truncation apart."""
    ended = record.terminated | record.truncated
    return replace(record, terminated=ended, truncated=torch.zeros_like(ended))


@mutant_of("statistics.mean_interval")
def normal_quantile_for_few_runs(samples, confidence=0.95):
    """Uses the normal quantile whatever the number of runs."""
    from pgbook.statistics import Interval

    samples = torch.as_tensor(samples, dtype=torch.float64)
    mean, half = samples.mean().item(), samples.std().item() / len(samples) ** 0.5
    return Interval(mean, mean - 1.96 * half, mean + 1.96 * half)


@mutant_of("statistics.mean_interval")
def standard_deviation_as_error(samples, confidence=0.95):
    """Shows the spread of the runs instead of the uncertainty of their mean."""
    from pgbook.statistics import Interval, _student

    samples = torch.as_tensor(samples, dtype=torch.float64)
    mean, half = samples.mean().item(), samples.std().item()
    half *= _student(confidence, len(samples) - 1)
    return Interval(mean, mean - half, mean + half)


@mutant_of("statistics.mean_interval")
def one_sided_quantile(samples, confidence=0.95):
    """Leaves the whole error probability to one side."""
    from pgbook.statistics import Interval, _student

    samples = torch.as_tensor(samples, dtype=torch.float64)
    mean, n = samples.mean().item(), len(samples)
    half = _student(2 * confidence - 1, n - 1) * samples.std().item() / n**0.5
    return Interval(mean, mean - half, mean + half)


@mutant_of("monte_carlo.monte_carlo")
def bounds_are_ignored(sampler, value, samples, rng):
    """Draws from [0, 1] whatever the sampler is."""
    from pgbook.monte_carlo import Estimate

    values = value(torch.rand(samples, 1, generator=rng, dtype=torch.float64))
    return Estimate(values.mean().item(), values.std().item() / samples**0.5)


@mutant_of("monte_carlo.monte_carlo")
def standard_error_without_root(sampler, value, samples, rng):
    """Divides the standard deviation by N instead of its root."""
    from pgbook.monte_carlo import Estimate

    values = value(sampler(samples, rng))
    return Estimate(values.mean().item(), values.std().item() / samples)


@mutant_of("monte_carlo.monte_carlo")
def variance_divided_by_n(sampler, value, samples, rng):
    """Divides the squared distances by N instead of N - 1."""
    from pgbook.monte_carlo import Estimate

    values = value(sampler(samples, rng))
    spread = values.std(correction=0).item()
    return Estimate(values.mean().item(), spread / samples**0.5)


@mutant_of("monte_carlo.riemann_sum")
def width_of_one_axis(value, cells, dimension=1, position=0.5):
    """Multiplies by h instead of h^d."""
    axis = (torch.arange(cells, dtype=torch.float64) + position) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells


@mutant_of("monte_carlo.riemann_sum")
def always_midpoints(value, cells, dimension=1, position=0.5):
    """Ignores where in its cell the node lies."""
    axis = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells**dimension


@mutant_of("monte_carlo.riemann_sum")
def one_cell_too_many(value, cells, dimension=1, position=0.5):
    """Has n + 1 nodes on each axis."""
    axis = (torch.arange(cells + 1, dtype=torch.float64) + position) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells**dimension


@mutant_of("monte_carlo.uniform_sampler")
def upper_bound_as_width(lower, upper, dimension=1):
    """Takes the upper bound for the width."""

    def sample(samples, rng):
        u = torch.rand(samples, dimension, generator=rng, dtype=torch.float64)
        return lower + upper * u

    return sample


@mutant_of("monte_carlo.uniform_sampler")
def one_number_for_all_axes(lower, upper, dimension=1):
    """Gives every coordinate the same number."""

    def sample(samples, rng):
        u = torch.rand(samples, 1, generator=rng, dtype=torch.float64)
        return (lower + (upper - lower) * u).expand(samples, dimension)

    return sample


@mutant_of("monte_carlo.uniform_sampler")
def global_generator(lower, upper, dimension=1):
    """Draws from the global generator."""

    def sample(samples, rng):
        u = torch.rand(samples, dimension, dtype=torch.float64)
        return lower + (upper - lower) * u

    return sample


@mutant_of("objective.trajectory_returns")
def discount_starts_at_gamma(r_t, gamma=1.0, valid_t=None):
    """Discounts the first reward too, as if time counted from 1."""
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    return gamma ** torch.arange(1, len(r_t) + 1, dtype=r_t.dtype) @ r_t


@mutant_of("objective.trajectory_returns")
def padding_is_counted(r_t, gamma=1.0, valid_t=None):
    """Adds whatever stands behind the end of an episode."""
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t


@mutant_of("objective.trajectory_returns")
def padding_is_multiplied_by_zero(r_t, gamma=1.0, valid_t=None):
    """Lets a NaN behind the end through, since 0 * NaN is NaN."""
    if valid_t is not None:
        r_t = r_t * valid_t
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t


@mutant_of("objective.trajectory_returns")
def mean_reward_instead_of_sum(r_t, gamma=1.0, valid_t=None):
    """Divides by the number of steps."""
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t / len(r_t)


@mutant_of("objective.trajectory_returns")
def discounted_from_the_end(r_t, gamma=1.0, valid_t=None):
    """Gives the last reward the weight 1."""
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype).flip(0) @ r_t


@mutant_of("objective.trajectory_returns")
def several_episodes_in_a_column(r_t, gamma=1.0, valid_t=None):
    """Adds up a column that goes on behind an end."""
    from pgbook.objective import require_finite, require_unit_interval

    require_unit_interval(gamma=gamma)
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    require_finite(r_t=r_t)
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t


@mutant_of("objective.enumerated_objective")
def every_trajectory_counts_alike(mdp, pi):
    """Averages over trajectories as if all had the same probability."""
    from pgbook.objective import trajectory_returns

    tau, _ = mdp.trajectories(pi)
    return trajectory_returns(tau.rewards, mdp.discount, tau.valid).mean()


@mutant_of("objective.enumerated_objective")
def discount_is_forgotten(mdp, pi):
    """Sums rewards without gamma^t."""
    from pgbook.objective import trajectory_returns

    tau, probability = mdp.trajectories(pi)
    return probability @ trajectory_returns(tau.rewards, 1.0, tau.valid)


@mutant_of("objective.enumerated_objective")
def end_is_forgotten(mdp, pi):
    """Leaves the probability of the end out of the product."""
    from pgbook.objective import trajectory_returns

    tau, _ = mdp.trajectories(pi)
    s, a = tau.observations, tau.actions.clamp(max=pi.shape[1] - 1)
    factor = torch.where(tau.valid, pi[s[:-1], a], 1)
    goes_on = tau.valid & ~tau.terminated
    moved = torch.where(goes_on, mdp.transition[s[:-1], a, s[1:]], 1)
    probability = mdp.initial[s[0]] * (factor * moved).prod(0)
    return probability @ trajectory_returns(tau.rewards, mdp.discount, tau.valid)


@mutant_of("objective.enumerated_objective")
def probability_without_gradient(mdp, pi):
    """Cuts the gradient through the probabilities."""
    from pgbook.objective import trajectory_returns

    tau, probability = mdp.trajectories(pi)
    r = trajectory_returns(tau.rewards, mdp.discount, tau.valid)
    return probability.detach() @ r + 0 * pi.sum()


@mutant_of("objective.short_corridor_return")
def left_and_right_exchanged(p):
    """Takes p for the probability of left."""
    return -2 * (1 + p) / (p * (1 - p))


@mutant_of("objective.short_corridor_return")
def corridor_counts_steps(p):
    """Returns the number of steps, without the minus."""
    return 2 * (2 - p) / (p * (1 - p))


@mutant_of("objective.short_corridor_return")
def last_step_pays_nothing(p):
    """Pays 0 instead of -1 for the step into the goal."""
    return -2 * (2 - p) / (p * (1 - p)) + 1


@mutant_of("objective.short_corridor_return")
def ends_of_the_corridor_are_infinite(p):
    """Returns minus infinity at 0 and 1 instead of refusing them."""
    return -2 * (2 - p) / (p * (1 - p))


@mutant_of("score_function.score_function_estimates")
def score_without_its_sign(value, score):
    """Leaves out the sign of the score."""
    return value[:, None] * score.abs()


@mutant_of("score_function.score_function_estimates")
def own_mean_taken_off(value, score):
    """Subtracts the mean of the same samples, which scales the gradient."""
    return (value - value.mean())[:, None] * score


@mutant_of("score_function.score_function_estimates")
def mean_value_times_score(value, score):
    """Pairs every score with the average value."""
    return value.mean() * score


@mutant_of("score_function.score_function_estimates")
def values_paired_with_other_samples(value, score):
    """Multiplies each score by the value of the next sample."""
    return value.roll(1)[:, None] * score


@mutant_of("score_function.pathwise_estimates")
def path_forgotten(value_slope, sample_slope):
    """Leaves out how fast the sample moves."""
    return value_slope[:, None].expand_as(sample_slope)


@mutant_of("score_function.pathwise_estimates")
def slopes_added(value_slope, sample_slope):
    """Adds the two slopes instead of multiplying them."""
    return value_slope[:, None] + sample_slope


@mutant_of("score_function.pathwise_estimates")
def mean_slope(value_slope, sample_slope):
    """Averages the slopes of the value before multiplying."""
    return value_slope.mean() * sample_slope


@mutant_of("score_function.finite_difference_estimates")
def width_taken_twice(ahead, behind, width):
    """Divides by twice the distance."""
    return (ahead - behind) / (2 * width)


@mutant_of("score_function.finite_difference_estimates")
def difference_backward(ahead, behind, width):
    """Has the wrong sign."""
    return (behind - ahead) / width


@mutant_of("score_function.finite_difference_estimates")
def difference_not_divided(ahead, behind, width):
    """Forgets the distance."""
    return ahead - behind


@mutant_of("score_function.gaussian_score")
def score_in_the_deviation(x, mean, std):
    """Differentiates in the standard deviation, not in its log."""
    z = (x - mean) / std
    return torch.stack([z / std, (z**2 - 1) / std], dim=1)


@mutant_of("score_function.gaussian_score")
def standardized_once(x, mean, std):
    """Divides the distance by the standard deviation instead of the variance."""
    z = (x - mean) / std
    return torch.stack([z, z**2 - 1], dim=1)


@mutant_of("score_function.gaussian_score")
def normalizer_forgotten(x, mean, std):
    """Leaves out the derivative of log(std)."""
    z = (x - mean) / std
    return torch.stack([z / std, z**2], dim=1)


@mutant_of("score_function.gaussian_score")
def score_in_the_sample(x, mean, std):
    """Differentiates in x instead of the mean."""
    z = (x - mean) / std
    return torch.stack([-z / std, z**2 - 1], dim=1)


@mutant_of("score_function.bernoulli_score")
def score_in_the_probability(x, logit):
    """Differentiates in p instead of the logit."""
    p = torch.tensor(logit, dtype=torch.float64).sigmoid()
    return ((x - p) / (p * (1 - p)))[:, None]


@mutant_of("score_function.bernoulli_score")
def logit_taken_for_probability(x, logit):
    """Forgets the sigmoid."""
    return (x - logit)[:, None]


@mutant_of("score_function.bernoulli_score")
def heads_for_tails(x, logit):
    """Swaps the two outcomes."""
    p = torch.tensor(logit, dtype=torch.float64).sigmoid()
    return (1 - x - p)[:, None]


@mutant_of("score_function.categorical_score")
def chosen_logit_only(x, logits):
    """Leaves out the normalizer."""
    return (x[:, None] == torch.arange(len(logits))).to(logits.dtype)


@mutant_of("score_function.categorical_score")
def logits_taken_for_probabilities(x, logits):
    """Forgets the softmax."""
    return (x[:, None] == torch.arange(len(logits))).to(logits.dtype) - logits


@mutant_of("score_function.categorical_score")
def zero_for_outcomes_not_drawn(x, logits):
    """Differentiates in the logit of the drawn outcome alone."""
    drawn = (x[:, None] == torch.arange(len(logits))).to(logits.dtype)
    return drawn * (drawn - logits.softmax(0))


@mutant_of("trajectory_probability.trajectory_log_prob")
def mask_that_multiplies(log_prob_t, valid_t=None):
    """Multiplies by the mask: NaN in the padding survives."""
    from pgbook._checks import require, require_finite, require_same_shape

    if valid_t is None:
        valid_t = torch.ones_like(log_prob_t, dtype=torch.bool)
    require(log_prob_t.ndim == 2 and len(log_prob_t) > 0, "log_prob_t", "", "[T, N]")
    require_same_shape(log_prob_t=log_prob_t, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    require_finite(log_prob_t=log_prob_t.masked_fill(~valid_t, 0))
    return (log_prob_t * valid_t).sum(0)


@mutant_of("trajectory_probability.trajectory_log_prob")
def mean_over_valid_steps(log_prob_t, valid_t=None):
    """Divides by the length of each episode."""
    if valid_t is None:
        valid_t = torch.ones_like(log_prob_t, dtype=torch.bool)
    return log_prob_t.masked_fill(~valid_t, 0).sum(0) / valid_t.sum(0)


@mutant_of("trajectory_probability.trajectory_log_prob")
def sum_over_trajectories(log_prob_t, valid_t=None):
    """Adds over the batch instead of over time."""
    if valid_t is not None:
        log_prob_t = log_prob_t.masked_fill(~valid_t, 0)
    return log_prob_t.sum(1)


@mutant_of("trajectory_probability.policy_log_prob")
def probability_in_the_next_state(pi, trajectories):
    """Looks the action up in the state after it."""
    chance = pi[trajectories.observations[1:], trajectories.actions]
    return chance.masked_fill(~trajectories.valid, 1).log()


@mutant_of("trajectory_probability.policy_log_prob")
def padding_counts(pi, trajectories):
    """Takes the padding for decisions."""
    return pi[trajectories.observations[:-1], trajectories.actions].log()


@mutant_of("trajectory_probability.policy_log_prob")
def masked_after_the_logarithm(pi, trajectories):
    """Fills the padding too late: its gradient is 0 times infinity."""
    log_prob_t = pi[trajectories.observations[:-1], trajectories.actions].log()
    return log_prob_t.masked_fill(~trajectories.valid, 0)


@mutant_of("trajectory_probability.dynamics_log_prob")
def endings_are_free(mdp, trajectories):
    """Leaves the probability of the end out."""
    s_t, s_tp1 = trajectories.observations[:-1], trajectories.observations[1:]
    chance = mdp.transition[s_t, trajectories.actions, s_tp1]
    inside = trajectories.valid & ~trajectories.terminated
    return chance.masked_fill(~inside, 1).log()


@mutant_of("trajectory_probability.dynamics_log_prob")
def the_last_state_repeats(mdp, trajectories):
    """Takes an end for a move into the repeated observation."""
    s_t, s_tp1 = trajectories.observations[:-1], trajectories.observations[1:]
    chance = mdp.transition[s_t, trajectories.actions, s_tp1]
    return chance.masked_fill(~trajectories.valid, 1).log()


@mutant_of("trajectory_probability.dynamics_log_prob")
def the_horizon_ends_by_the_table(mdp, trajectories):
    """Takes the end of the horizon for an end that the table makes."""
    s_t, s_tp1 = trajectories.observations[:-1], trajectories.observations[1:]
    moves = mdp.transition[s_t, trajectories.actions, s_tp1]
    ends = mdp.ending[s_t, trajectories.actions]
    chance = torch.where(trajectories.terminated, ends, moves)
    return chance.masked_fill(~trajectories.valid, 1).log()


@mutant_of("trajectory_probability.initial_log_prob")
def probability_of_the_start(mdp, trajectories):
    """Forgets the logarithm."""
    return mdp.initial[trajectories.observations[0]]


@mutant_of("trajectory_probability.initial_log_prob")
def start_after_the_first_step(mdp, trajectories):
    """Takes s_1 for s_0."""
    return mdp.initial[trajectories.observations[1]].log()


@mutant_of("trajectory_probability.initial_log_prob")
def certain_start(mdp, trajectories):
    """Takes the start for certain."""
    return torch.zeros_like(trajectories.rewards[0])


@mutant_of("trajectory_probability.full_log_probability")
def start_is_forgotten(mdp, pi, trajectories):
    """Leaves the distribution of the first state out."""
    from pgbook.trajectory_probability import dynamics_log_prob, policy_log_prob

    parts = policy_log_prob(pi, trajectories) + dynamics_log_prob(mdp, trajectories)
    return parts.sum(0)


@mutant_of("trajectory_probability.full_log_probability")
def policy_alone(mdp, pi, trajectories):
    """Leaves the world out: right score, wrong probability."""
    from pgbook.trajectory_probability import policy_log_prob

    return policy_log_prob(pi, trajectories).sum(0)


@mutant_of("trajectory_probability.full_log_probability")
def dynamics_as_constants(mdp, pi, trajectories):
    """Detaches the world: wrong where it contains the parameters."""
    from pgbook.trajectory_probability import dynamics_log_prob, policy_log_prob

    start = mdp.initial[trajectories.observations[0]].log()
    world = dynamics_log_prob(mdp, trajectories).sum(0).detach()
    return start + policy_log_prob(pi, trajectories).sum(0) + world


@mutant_of("trajectory_probability.trajectory_score")
def score_of_the_batch(log_prob, theta):
    """Gives each trajectory the mean score of the batch."""
    (score,) = torch.autograd.grad(log_prob.mean(), theta, retain_graph=True)
    return score.expand(len(log_prob), *score.shape)


@mutant_of("trajectory_probability.trajectory_score")
def gradient_of_the_probability(log_prob, theta):
    """Differentiates the probability and not its logarithm."""
    one = torch.eye(len(log_prob), dtype=log_prob.dtype)
    return torch.autograd.grad(
        log_prob.exp(), theta, one, retain_graph=True, is_grads_batched=True
    )[0]


@mutant_of("trajectory_probability.trajectory_score")
def descent_direction(log_prob, theta):
    """Has the sign of a loss."""
    one = -torch.eye(len(log_prob), dtype=log_prob.dtype)
    return torch.autograd.grad(
        log_prob, theta, one, retain_graph=True, is_grads_batched=True
    )[0]


@mutant_of("trajectory_probability.running_product")
def rounded_once(factor_t):
    """Multiplies in float64 and rounds only what it shows."""
    return factor_t.double().cumprod(0).to(factor_t.dtype)


@mutant_of("trajectory_probability.running_product")
def subnormals_are_flushed(factor_t):
    """Makes 0 of everything under the smallest normal number."""
    products = [factor_t[0]]
    for factor in factor_t[1:]:
        product = products[-1] * factor
        normal = product.abs() >= torch.finfo(factor_t.dtype).tiny
        products.append(torch.where(normal, product, 0))
    return torch.stack(products)


@mutant_of("trajectory_probability.running_product")
def one_factor_late(factor_t):
    """Starts from 1 and leaves out the last factor."""
    products = [torch.ones_like(factor_t[0])]
    for factor in factor_t[:-1]:
        products.append(products[-1] * factor)
    return torch.stack(products)


@mutant_of("trajectory_probability.first_beyond")
def last_inside(factor, exponent):
    """Counts the last power inside the range."""
    import math

    return math.floor(exponent / math.log2(factor))


@mutant_of("trajectory_probability.first_beyond")
def reached_instead_of_passed(factor, exponent):
    """Rounds up: wrong where a power meets the bound exactly."""
    import math

    return math.ceil(exponent / math.log2(factor))


@mutant_of("trajectory_probability.first_beyond")
def wrong_base(factor, exponent):
    """Divides a base-2 exponent by a natural logarithm."""
    import math

    return math.floor(exponent / math.log(factor)) + 1


@mutant_of("reinforce.total_return_weights")
def only_rewards_to_come(r_t, valid_t=None, gamma=1.0):
    """Gives a step the rewards from it on, discounted from the start."""
    if valid_t is not None:
        r_t = r_t.where(valid_t, 0)
    t = torch.arange(len(r_t), dtype=r_t.dtype)[:, None]
    weight_t = (gamma**t * r_t).flip(0).cumsum(0).flip(0)
    return weight_t if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("reinforce.total_return_weights")
def weights_without_discount(r_t, valid_t=None, gamma=1.0):
    """Forgets gamma."""
    from pgbook.objective import trajectory_returns

    weight_t = trajectory_returns(r_t, 1.0, valid_t).expand_as(r_t)
    return weight_t.clone() if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("reinforce.total_return_weights")
def weights_behind_the_end(r_t, valid_t=None, gamma=1.0):
    """Gives the padding the return as well."""
    from pgbook.objective import trajectory_returns

    return trajectory_returns(r_t, gamma, valid_t).expand_as(r_t).clone()


@mutant_of("reinforce.total_return_weights")
def discount_one_step_late(r_t, valid_t=None, gamma=1.0):
    """Discounts the first reward already."""
    from pgbook.objective import trajectory_returns

    weight_t = gamma * trajectory_returns(r_t, gamma, valid_t).expand_as(r_t)
    return weight_t.clone() if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("reinforce.policy_gradient_loss")
def loss_with_the_wrong_sign(log_prob_t, weight_t, valid_t=None):
    """Minimizes the return."""
    from pgbook.reinforce import _whole_episodes

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    return (weight_t * log_prob_t).sum(0).mean()


@mutant_of("reinforce.policy_gradient_loss")
def loss_divided_by_steps(log_prob_t, weight_t, valid_t=None):
    """Divides by the number of steps of the batch."""
    from pgbook.reinforce import _whole_episodes

    steps = log_prob_t.numel() if valid_t is None else valid_t.sum()
    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    return -(weight_t * log_prob_t).sum() / steps


@mutant_of("reinforce.policy_gradient_loss")
def loss_divided_by_each_length(log_prob_t, weight_t, valid_t=None):
    """Divides each trajectory by its own length."""
    from pgbook.reinforce import _whole_episodes

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = (weight_t * log_prob_t).sum(0)
    lengths = len(log_prob_t) if valid_t is None else valid_t.sum(0)
    return -(sums / lengths).mean()


@mutant_of("reinforce.policy_gradient_loss")
def loss_over_the_padding(log_prob_t, weight_t, valid_t=None):
    """Ignores which steps are valid."""
    from pgbook.reinforce import _whole_episodes

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, None)
    return -(weight_t * log_prob_t).sum(0).mean()


@mutant_of("reinforce.trajectory_gradients")
def gradients_of_descent(log_prob_t, weight_t, theta, valid_t=None):
    """Has the sign of the loss."""
    from pgbook.reinforce import _whole_episodes
    from pgbook.trajectory_probability import trajectory_score

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = (weight_t * log_prob_t).sum(0)
    return -trajectory_score(sums, theta).reshape(len(sums), -1)


@mutant_of("reinforce.trajectory_gradients")
def gradients_divided_by_episodes(log_prob_t, weight_t, theta, valid_t=None):
    """Divides each gradient by N already."""
    from pgbook.reinforce import _whole_episodes
    from pgbook.trajectory_probability import trajectory_score

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = (weight_t * log_prob_t).sum(0)
    return trajectory_score(sums, theta).reshape(len(sums), -1) / len(sums)


@mutant_of("reinforce.trajectory_gradients")
def unweighted_gradients(log_prob_t, weight_t, theta, valid_t=None):
    """Is the score: weight 1."""
    from pgbook.reinforce import _whole_episodes
    from pgbook.trajectory_probability import trajectory_score

    log_prob_t, _ = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = log_prob_t.sum(0)
    return trajectory_score(sums, theta).reshape(len(sums), -1)


@mutant_of("reinforce.every_batch")
def batches_without_their_orders(probability, size):
    """Counts every batch once, in whatever order it can be drawn."""
    import itertools

    outcomes = range(len(probability))
    indices = torch.tensor(
        list(itertools.combinations_with_replacement(outcomes, size))
    )
    return indices, probability[indices].prod(1)


@mutant_of("reinforce.every_batch")
def batches_without_replacement(probability, size):
    """Draws each outcome at most once."""
    import itertools

    outcomes = range(len(probability))
    indices = torch.tensor(list(itertools.combinations(outcomes, size)))
    if not len(indices):
        return torch.zeros(1, size, dtype=torch.long), torch.ones(1)
    chance = probability[indices].prod(1)
    return indices, chance / chance.sum()


@mutant_of("reinforce.every_batch")
def all_orders_even_of_equal_draws(probability, size):
    """Multiplies by N! although equal draws cannot be told apart."""
    import itertools
    import math

    outcomes = range(len(probability))
    indices = torch.tensor(
        list(itertools.combinations_with_replacement(outcomes, size))
    )
    return indices, math.factorial(size) * probability[indices].prod(1)


@mutant_of("returns.rewards_to_go")
def rewards_that_follow_the_next_action(r_t, discount_t, trace_t=None):
    """Leaves out the reward of the decision itself: an index off by one."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] += keep_t[t] * return_t[t + 1]
    return return_t - r_t


@mutant_of("returns.rewards_to_go")
def truncations_are_ignored(r_t, discount_t, trace_t=None):
    """Sums on into the next episode after a truncation."""
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] += discount_t[t] * return_t[t + 1]
    return return_t


@mutant_of("returns.rewards_to_go")
def the_end_of_the_next_step_counts(r_t, discount_t, trace_t=None):
    """Reads the flags of an end one step late."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] += keep_t[t + 1] * return_t[t + 1]
    return return_t


@mutant_of("returns.rewards_to_go")
def reward_is_discounted_too(r_t, discount_t, trace_t=None):
    """Discounts the reward that follows the action at once."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] = keep_t[t] * (r_t[t] + return_t[t + 1])
    return return_t


@mutant_of("returns.rewards_to_go")
def sums_in_place(r_t, discount_t, trace_t=None):
    """Overwrites the rewards of the caller."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    for t in reversed(range(len(r_t) - 1)):
        r_t[t] += keep_t[t] * r_t[t + 1]
    return r_t


@mutant_of("returns.reward_to_go_weights")
def start_is_not_discounted(r_t, valid_t=None, gamma=1.0):
    """The usual update: gamma^t is missing."""
    from pgbook.returns import _rewards_of_episodes, rewards_to_go

    r_t = _rewards_of_episodes(r_t, valid_t)
    weight_t = rewards_to_go(r_t, torch.full_like(r_t, gamma))
    return weight_t if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("returns.reward_to_go_weights")
def past_is_credited_too(r_t, valid_t=None, gamma=1.0):
    """Total returns: every decision gets every reward."""
    from pgbook.reinforce import total_return_weights

    return total_return_weights(r_t, valid_t, gamma)


@mutant_of("returns.reward_to_go_weights")
def discounted_twice(r_t, valid_t=None, gamma=1.0):
    """Multiplies rewards and sums by gamma^t."""
    from pgbook.returns import _rewards_of_episodes, rewards_to_go

    r_t = _rewards_of_episodes(r_t, valid_t)
    gamma_t = gamma ** torch.arange(len(r_t), dtype=r_t.dtype)[:, None]
    return_t = rewards_to_go(gamma_t * r_t, torch.full_like(r_t, gamma))
    weight_t = gamma_t * return_t
    return weight_t if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("returns.reward_to_go_weights")
def padding_is_paid(r_t, valid_t=None, gamma=1.0):
    """Adds what stands behind the end."""
    from pgbook.returns import _rewards_of_episodes

    _rewards_of_episodes(r_t, valid_t)
    gamma_t = gamma ** torch.arange(len(r_t), dtype=r_t.dtype)[:, None]
    return (gamma_t * r_t).flip(0).cumsum(0).flip(0)


@mutant_of("returns.random_horizons")
def may_stop_before_the_first_step(count, gamma, rng):
    """Counts the steps that were survived: one less."""
    uniform = 1 - torch.rand(count, generator=rng, dtype=torch.float64)
    steps = uniform.log() / torch.tensor(gamma, dtype=torch.float64).log()
    return steps.floor().long()


@mutant_of("returns.random_horizons")
def stops_with_probability_gamma(count, gamma, rng):
    """Mixes up stopping and going on."""
    uniform = 1 - torch.rand(count, generator=rng, dtype=torch.float64)
    steps = uniform.log() / torch.tensor(1 - gamma, dtype=torch.float64).log()
    return 1 + steps.floor().long()


@mutant_of("returns.random_horizons")
def always_the_mean_length(count, gamma, rng):
    """A fixed length with the right mean."""
    return torch.full((count,), round(1 / (1 - gamma)))


@mutant_of("returns.random_horizons")
def draws_from_the_global_generator(count, gamma, rng):
    """Ignores the generator that it was given."""
    uniform = 1 - torch.rand(count, dtype=torch.float64)
    steps = uniform.log() / torch.tensor(gamma, dtype=torch.float64).log()
    return 1 + steps.floor().long()


@mutant_of("returns.random_horizon_weights")
def decisions_behind_the_cut_count(r_t, length, valid_t=None):
    """Cuts the rewards of the first decision only: later ones see to the end."""
    from pgbook.returns import reward_to_go_weights

    weight_t = reward_to_go_weights(r_t, valid_t)
    played = torch.arange(len(r_t))[:, None] < length
    return weight_t.where(played, 0)


@mutant_of("returns.random_horizon_weights")
def one_step_more(r_t, length, valid_t=None):
    """Plays on for one step after the stop."""
    from pgbook.returns import reward_to_go_weights

    played = torch.arange(len(r_t))[:, None] <= length
    return reward_to_go_weights(r_t.where(played, 0), valid_t)


@mutant_of("returns.random_horizon_weights")
def whole_return_of_the_cut_episode(r_t, length, valid_t=None):
    """Credits each decision before the cut with all rewards before the cut."""
    from pgbook.reinforce import total_return_weights

    played = torch.arange(len(r_t))[:, None] < length
    weight_t = total_return_weights(r_t.where(played, 0), valid_t)
    return weight_t.where(played, 0)


@mutant_of("advantages.td_errors")
def td_error_with_the_wrong_sign(r_t, discount_t, v_t, v_tp1):
    """Value minus target."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    return v_t - r_t - discount_t * v_tp1


@mutant_of("advantages.td_errors")
def td_error_bootstraps_through_termination(r_t, discount_t, v_t, v_tp1):
    """Takes one discount for all steps."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    return r_t + discount_t.max() * v_tp1 - v_t


@mutant_of("advantages.td_errors")
def td_error_with_the_end_of_the_next_step(r_t, discount_t, v_t, v_tp1):
    """Reads the end at t + 1."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    shifted = torch.cat([discount_t[1:], discount_t[-1:]])
    return r_t + shifted * v_tp1 - v_t


@mutant_of("advantages.td_errors")
def td_error_from_the_row_below(r_t, discount_t, v_t, v_tp1):
    """Values what the next row starts from, behind an end the start of an episode."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    return r_t + discount_t * torch.cat([v_t[1:], v_tp1[-1:]]) - v_t


@mutant_of("advantages.n_step_returns")
def one_reward_too_many(r_t, discount_t, v_tp1, n, trace_t=None):
    """Sums n + 1 rewards."""
    from pgbook._checks import require_count
    from pgbook.advantages import _require_transitions

    require_count(n=n)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = r_t + discount_t * v_tp1
    for _ in range(n):
        later_t = torch.cat([return_t[1:], v_tp1[-1:]])
        return_t = r_t + discount_t * ((1 - trace_t) * v_tp1 + trace_t * later_t)
    return return_t


@mutant_of("advantages.n_step_returns")
def n_steps_across_a_truncation(r_t, discount_t, v_tp1, n, trace_t=None):
    """Adds rewards of the next episode."""
    from pgbook._checks import require_count
    from pgbook.advantages import _require_transitions

    require_count(n=n)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = r_t + discount_t * v_tp1
    for _ in range(n - 1):
        return_t = r_t + discount_t * torch.cat([return_t[1:], v_tp1[-1:]])
    return return_t


@mutant_of("advantages.n_step_returns")
def n_steps_with_nothing_behind_the_record(r_t, discount_t, v_tp1, n, trace_t=None):
    """Takes the end of the recording for a termination."""
    from pgbook._checks import require_count
    from pgbook.advantages import _require_transitions

    require_count(n=n)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = r_t + discount_t * v_tp1
    for _ in range(n - 1):
        later_t = torch.cat([return_t[1:], torch.zeros_like(v_tp1[-1:])])
        return_t = r_t + discount_t * ((1 - trace_t) * v_tp1 + trace_t * later_t)
    return return_t


@mutant_of("advantages.lambda_returns")
def lambda_and_its_rest_swapped(r_t, discount_t, v_tp1, lambda_, trace_t=None):
    """Gives the critic the weight lambda."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    keep_t, return_t = (1 - lambda_) * trace_t, [v_tp1[-1]]
    for t in reversed(range(len(r_t))):
        mixed = (1 - keep_t[t]) * v_tp1[t] + keep_t[t] * return_t[-1]
        return_t.append(r_t[t] + discount_t[t] * mixed)
    return torch.stack(return_t[:0:-1])


@mutant_of("advantages.lambda_returns")
def lambda_return_of_the_next_episode(r_t, discount_t, v_tp1, lambda_, trace_t=None):
    """Does not cut the trace."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = [v_tp1[-1]]
    for t in reversed(range(len(r_t))):
        mixed = (1 - lambda_) * v_tp1[t] + lambda_ * return_t[-1]
        return_t.append(r_t[t] + discount_t[t] * mixed)
    return torch.stack(return_t[:0:-1])


@mutant_of("advantages.lambda_returns")
def lambda_return_that_drops_the_last_weight(
    r_t, discount_t, v_tp1, lambda_, trace_t=None
):
    """Forgets at an end the weights of the longer returns."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = [torch.zeros_like(v_tp1[-1])]
    for t in reversed(range(len(r_t))):
        mixed = (1 - lambda_) * v_tp1[t] + lambda_ * trace_t[t] * return_t[-1]
        return_t.append(r_t[t] + discount_t[t] * mixed)
    return torch.stack(return_t[:0:-1])


@mutant_of("advantages.gae")
def gae_with_the_end_of_the_next_step(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Done at t + 1 instead of t."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    later = [torch.cat([x[1:], x[-1:]]) for x in (discount_t, trace_t)]
    adv_t, keep_t = r_t + later[0] * v_tp1 - v_t, later[0] * later[1] * lambda_
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += keep_t[t] * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_across_a_truncation(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Does not cut the trace."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t = r_t + discount_t * v_tp1 - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_that_takes_a_truncation_for_the_end(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Bootstraps nothing at a truncation."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t = r_t + discount_t * trace_t * v_tp1 - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * trace_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_without_discount_in_the_trace(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Sums lambda^l delta instead of (gamma lambda)^l delta."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t, goes_on = r_t + discount_t * v_tp1 - v_t, (discount_t > 0) * trace_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += goes_on[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_after_the_reset(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Bootstraps from the row below: the observation after the reset."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t = r_t + discount_t * torch.cat([v_t[1:], v_tp1[-1:]]) - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * trace_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_from_the_front(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Runs the recursion forward in time."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t + discount_t * v_tp1 - v_t
    keep_t = discount_t * trace_t * lambda_
    for t in range(len(r_t) - 1):
        adv_t[t] += keep_t[t] * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_without_trace(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Does not cut the trace."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t + discount_t * v_tp1 - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_that_overwrites_its_rewards(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Saves an array by writing into the argument."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t.add_(discount_t * v_tp1 - v_t)
    keep_t = discount_t * trace_t * lambda_
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += keep_t[t] * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_in_a_copy(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Loses the recursion where flattening has to copy: transposed arguments."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t + discount_t * v_tp1 - v_t
    rows = adv_t.view(-1) if adv_t.is_contiguous() else adv_t.reshape(-1)
    rows = rows.view(len(r_t), -1)
    keep_t = (discount_t * trace_t * lambda_).reshape(len(r_t), -1)
    for t in reversed(range(len(r_t) - 1)):
        rows[t] += keep_t[t] * rows[t + 1]
    return adv_t


@mutant_of("baselines.batch_mean_baseline")
def mean_over_time(return_t):
    """Averages each episode over its steps, not each step over the episodes."""
    return return_t.mean(0, keepdim=True).expand_as(return_t).clone()


@mutant_of("baselines.batch_mean_baseline")
def mean_over_everything(return_t):
    """One number for all steps of the batch."""
    return return_t.mean().expand_as(return_t).clone()


@mutant_of("baselines.batch_mean_baseline")
def mean_without_oneself(return_t):
    """Leaves the episode out and divides by N all the same."""
    return (return_t.sum(1, keepdim=True) - return_t) / return_t.shape[1]


@mutant_of("baselines.leave_one_out_baseline")
def leave_nobody_out(return_t):
    """The batch mean, called unbiased."""
    return return_t.mean(1, keepdim=True).expand_as(return_t).clone()


@mutant_of("baselines.leave_one_out_baseline")
def leave_one_out_of_n(return_t):
    """Divides the sum over the others by N."""
    return (return_t.sum(1, keepdim=True) - return_t) / return_t.shape[1]


@mutant_of("baselines.leave_one_out_baseline")
def leave_one_step_out(return_t):
    """Averages the other steps of the same episode."""
    return (return_t.sum(0, keepdim=True) - return_t) / max(len(return_t) - 1, 1)


@mutant_of("baselines.leave_one_out_baseline")
def mean_of_the_surviving_others(return_t):
    """Skips episodes that are over, as if a return of 0 were none."""
    others = (return_t != 0).double().sum(1, keepdim=True) - (return_t != 0).double()
    return (return_t.sum(1, keepdim=True) - return_t) / others.clamp(min=1)


@mutant_of("baselines.whitened")
def whitened_by_the_population(weight_t, valid_t):
    """Divides by the standard deviation that divides by N."""
    known = weight_t[valid_t]
    scaled = (weight_t - known.mean()) / known.std(correction=0)
    return torch.where(valid_t, scaled, 0)


@mutant_of("baselines.whitened")
def whitened_with_the_padding(weight_t, valid_t):
    """Takes mean and standard deviation over the padding as well."""
    weight_t = torch.where(valid_t, weight_t, 0)
    scaled = (weight_t - weight_t.mean()) / weight_t.std()
    return torch.where(valid_t, scaled, 0)


@mutant_of("baselines.whitened")
def scaled_and_not_centered(weight_t, valid_t):
    """Forgets to subtract the mean."""
    return torch.where(valid_t, weight_t / weight_t[valid_t].std(), 0)


@mutant_of("baselines.whitened")
def whitened_behind_the_end(weight_t, valid_t):
    """Gives the padding a weight."""
    known = weight_t[valid_t]
    return (weight_t - known.mean()) / known.std()


@mutant_of("baselines.whitened")
def nothing_from_equal_weights(weight_t, valid_t):
    """Returns a silent NaN, or noise, when all weights are equal."""
    known = weight_t[valid_t]
    return torch.where(valid_t, (weight_t - known.mean()) / known.std(), 0)


@mutant_of("baselines.optimal_constant_baseline")
def mean_return_called_optimal(score, returns, probability):
    """The mean return."""
    return probability @ returns


@mutant_of("baselines.optimal_constant_baseline")
def weighed_by_the_norm(score, returns, probability):
    """Weighs by the norm of the score instead of its square."""
    weight = probability * score.norm(dim=1)
    return weight @ returns / weight.sum()


@mutant_of("baselines.optimal_constant_baseline")
def forgets_the_probability(score, returns, probability):
    """Counts every trajectory once."""
    weight = score.square().sum(1)
    return weight @ returns / weight.sum()


@mutant_of("baselines.optimal_baseline_per_parameter")
def one_for_all_parameters(score, returns, probability):
    """The constant baseline, repeated."""
    weight = probability * score.square().sum(1)
    return (weight @ returns / weight.sum()).expand(score.shape[1])


@mutant_of("baselines.optimal_baseline_per_parameter")
def ratio_without_squares(score, returns, probability):
    """Weighs by absolute scores."""
    weight = probability[:, None] * score.abs()
    total = weight.sum(0)
    return (returns @ weight) / total.where(total > 0, 1)


@mutant_of("baselines.optimal_baseline_per_parameter")
def zero_over_zero(score, returns, probability):
    """NaN for a parameter that no trajectory uses."""
    weight = probability[:, None] * score.square()
    return (returns @ weight) / weight.sum(0)


@mutant_of("baselines.optimal_state_baseline")
def state_value_called_optimal(pi, score, q):
    """The state value."""
    return (pi * q).sum(1)


@mutant_of("baselines.optimal_state_baseline")
def weighed_without_the_policy(pi, score, q):
    """Forgets how probable an action is."""
    weight = score.square().sum(-1)
    total = weight.sum(1)
    return (weight * q).sum(1) / total.where(total > 0, 1)


@mutant_of("baselines.optimal_state_baseline")
def squared_sum_of_scores(pi, score, q):
    """Squares the sum over parameters instead of summing squares."""
    weight = pi * score.sum(-1).square()
    total = weight.sum(1)
    return (weight * q).sum(1) / total.where(total > 0, 1)


@mutant_of("baselines.fitted_state_baseline")
def fitted_to_zero_where_unvisited(baseline, s_t, return_t, valid_t, step_size):
    """Moves states without a visit toward 0."""
    visits, total = torch.zeros_like(baseline), torch.zeros_like(baseline)
    visits = visits.index_add(0, s_t[valid_t], torch.ones_like(return_t[valid_t]))
    total = total.index_add(0, s_t[valid_t], return_t[valid_t])
    return baseline + step_size * (total / visits.clamp(min=1) - baseline)


@mutant_of("baselines.fitted_state_baseline")
def fitted_to_the_sum(baseline, s_t, return_t, valid_t, step_size):
    """Moves toward the sum of the errors of all visits."""
    errors = return_t[valid_t] - baseline[s_t[valid_t]]
    return baseline.index_add(0, s_t[valid_t], step_size * errors)


@mutant_of("baselines.fitted_state_baseline")
def fitted_to_the_padding(baseline, s_t, return_t, valid_t, step_size):
    """Counts the padding as visits that returned 0."""
    seen = torch.where(valid_t, return_t, 0).flatten()
    states = s_t.flatten().clamp(max=len(baseline) - 1)
    visits = torch.zeros_like(baseline).index_add(0, states, torch.ones_like(seen))
    total = torch.zeros_like(baseline).index_add(0, states, seen)
    target = torch.where(visits > 0, total / visits.clamp(min=1), baseline)
    return baseline + step_size * (target - baseline)


@mutant_of("baselines.expected_action_baseline")
def mean_over_actions_without_policy(pi_t, baseline_t, valid_t=None):
    """Averages the baseline over actions as if all were equally probable."""
    mean_t = (pi_t / pi_t.detach() * baseline_t).mean(-1)
    return mean_t if valid_t is None else mean_t.where(valid_t, 0)


@mutant_of("baselines.expected_action_baseline")
def correction_cut_off(pi_t, baseline_t, valid_t=None):
    """Has the right value and, detached, no gradient; the sum keeps the graph."""
    mean_t = (pi_t.detach() * baseline_t).sum(-1) + pi_t.sum(-1) - pi_t.sum(-1).detach()
    return mean_t if valid_t is None else mean_t.where(valid_t, 0)


@mutant_of("baselines.expected_action_baseline")
def correction_with_the_wrong_sign(pi_t, baseline_t, valid_t=None):
    """Subtracts the correction."""
    mean_t = -(pi_t * baseline_t).sum(-1)
    return mean_t if valid_t is None else mean_t.where(valid_t, 0)


@mutant_of("baselines.expected_action_baseline")
def correction_behind_the_end(pi_t, baseline_t, valid_t=None):
    """Corrects decisions that were never made."""
    return (pi_t * baseline_t).sum(-1)


def _constants(weight, q):
    return weight.detach(), q.detach()


@mutant_of("policy_gradient_theorem.theorem_gradient")
def states_count_alike(pi, theta, weight, q):
    """Forgets that states are visited unequally often."""
    total = (q * pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.theorem_gradient")
def weighs_by_the_score(pi, theta, weight, q):
    """Differentiates log pi without the factor pi."""
    total = torch.einsum("...s,...sa,sa->...", weight, q, pi.log()).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.theorem_gradient")
def states_normalized(pi, theta, weight, q):
    """Turns the weights of the states into a distribution."""
    total = torch.einsum("...s,...sa,sa->...", weight / weight.sum(), q, pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.return_gradient")
def rewards_for_values(mdp, pi, theta):
    """Differentiates the reward of the next step alone, as if states stayed put."""
    d = mdp.occupancy(pi.detach())
    total = torch.einsum("...s,sa,sa->...", d, mdp.reward, pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.return_gradient")
def states_without_discount(mdp, pi, theta):
    """Drops gamma^t from the weights of the states, as the usual update does."""
    table = pi.detach()
    at, chain = mdp.initial, torch.einsum("sa,sau->su", table, mdp.transition)
    visits = [at]
    for _ in range((mdp.horizon or 300) - 1):
        visits.append(visits[-1] @ chain)
    d = torch.stack(visits)
    d = d.sum(0) if mdp.horizon is None else d
    total = torch.einsum("...s,...sa,sa->...", d, mdp.action_values(table), pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.return_gradient")
def values_of_the_start(mdp, pi, theta):
    """Uses the values of time 0 at all times."""
    table = pi.detach()
    d, q = mdp.occupancy(table), mdp.action_values(table)
    if mdp.horizon is not None:
        d, q = d.sum(0), q[0]
    total = torch.einsum("s,sa,sa->", d, q, pi)
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.stationary_distribution")
def stationary_from_the_right(mdp, pi):
    """Solves P mu = mu instead of mu P = mu."""
    chain = torch.einsum("sa,sau->su", pi, mdp.transition)
    ones = torch.ones_like(chain)
    return torch.linalg.solve(torch.eye(len(pi)) - chain + ones, ones[0])


@mutant_of("policy_gradient_theorem.stationary_distribution")
def stationary_is_uniform(mdp, pi):
    """Visits all states equally often."""
    return torch.full_like(pi[:, 0], 1 / len(pi))


@mutant_of("policy_gradient_theorem.stationary_distribution")
def stationary_is_discounted(mdp, pi):
    """Takes the normalized discounted occupancy for the long run."""
    return (1 - mdp.discount) * mdp.occupancy(pi)


@mutant_of("policy_gradient_theorem.average_reward")
def average_over_states(mdp, pi):
    """Forgets how often each state is visited."""
    return (pi * mdp.reward).sum(-1).mean()


@mutant_of("policy_gradient_theorem.average_reward")
def average_is_discounted(mdp, pi):
    """Takes (1 - gamma) times the discounted return for the average."""
    return (1 - mdp.discount) * mdp.expected_return(pi)


@mutant_of("policy_gradient_theorem.average_reward")
def average_without_policy(mdp, pi):
    """Averages over actions as if they were equally likely."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    return stationary_distribution(mdp, pi) @ mdp.reward.mean(-1)


@mutant_of("policy_gradient_theorem.differential_values")
def differential_without_average(mdp, pi):
    """Forgets to subtract the average reward."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    chain = torch.einsum("sa,sau->su", pi, mdp.transition)
    system = torch.eye(len(pi)) - chain + stationary_distribution(mdp, pi)
    return torch.linalg.solve(system, (pi * mdp.reward).sum(-1))


@mutant_of("policy_gradient_theorem.differential_values")
def differential_of_state_zero(mdp, pi):
    """Puts the value 0 in state 0: another constant than documented."""
    from pgbook.policy_gradient_theorem import average_reward, stationary_distribution

    chain = torch.einsum("sa,sau->su", pi, mdp.transition)
    system = torch.eye(len(pi)) - chain + stationary_distribution(mdp, pi)
    extra = (pi * mdp.reward).sum(-1) - average_reward(mdp, pi)
    v = torch.linalg.solve(system, extra)
    return v - v[0]


@mutant_of("policy_gradient_theorem.differential_values")
def differential_by_discount(mdp, pi):
    """Uses discounted values, which differ by more than a constant."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    v = mdp.values(pi)
    return v - stationary_distribution(mdp, pi) @ v


@mutant_of("policy_gradient_theorem.differential_action_values")
def action_values_without_average(mdp, pi):
    """Forgets to subtract the average reward."""
    from pgbook.policy_gradient_theorem import differential_values

    return mdp.reward + mdp.transition @ differential_values(mdp, pi)


@mutant_of("policy_gradient_theorem.differential_action_values")
def action_values_discounted(mdp, pi):
    """Discounts what follows."""
    from pgbook.policy_gradient_theorem import average_reward, differential_values

    later = mdp.transition @ differential_values(mdp, pi)
    return mdp.reward - average_reward(mdp, pi) + mdp.discount * later


@mutant_of("policy_gradient_theorem.differential_action_values")
def action_values_stop(mdp, pi):
    """Leaves out what follows."""
    from pgbook.policy_gradient_theorem import average_reward

    return mdp.reward - average_reward(mdp, pi)


@mutant_of("policy_gradient_theorem.average_reward_gradient")
def average_with_discounted_values(mdp, pi, theta):
    """Mixes the stationary distribution with discounted action values."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    mu, q = _constants(stationary_distribution(mdp, pi), mdp.action_values(pi))
    return torch.autograd.grad((mu @ (q * pi)).sum(), theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.average_reward_gradient")
def average_with_discounted_states(mdp, pi, theta):
    """Mixes the discounted occupancy with differential action values."""
    from pgbook.policy_gradient_theorem import differential_action_values

    d = (1 - mdp.discount) * mdp.occupancy(pi)
    d, q = _constants(d, differential_action_values(mdp, pi))
    return torch.autograd.grad((d @ (q * pi)).sum(), theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.average_reward_gradient")
def average_with_states_fixed(mdp, pi, theta):
    """Keeps the distribution and differentiates the next reward alone."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    mu = stationary_distribution(mdp, pi).detach()
    total = (mu @ (mdp.reward * pi)).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


def _looked_up(mdp, pi, trajectories):
    """Values of all actions, t, and the validity, with axes in their places."""
    q, s_t = mdp.action_values(pi.detach()), trajectories.observations[:-1]
    q = q if mdp.horizon else q.expand(len(s_t), *q.shape)
    t = torch.arange(len(s_t))[:, None]
    return q, s_t, t, trajectories.valid[..., None]


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_without_discount(mdp, pi, trajectories):
    """Drops gamma^t."""
    q, s_t, t, valid = _looked_up(mdp, pi, trajectories)
    return q[t, s_t].where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_at_time_zero(mdp, pi, trajectories):
    """Uses the values of time 0 at all times."""
    q, s_t, t, valid = _looked_up(mdp, pi, trajectories)
    return (mdp.discount ** t.double()[..., None] * q[0][s_t]).where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_behind_the_end(mdp, pi, trajectories):
    """Counts the padding."""
    q, s_t, t, _ = _looked_up(mdp, pi, trajectories)
    return mdp.discount ** t.double()[..., None] * q[t, s_t]


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_in_single_precision(mdp, pi, trajectories):
    """Raises gamma to an integer power, which PyTorch computes in float32."""
    q, s_t, t, valid = _looked_up(mdp, pi, trajectories)
    return (mdp.discount ** t[..., None] * q[t, s_t]).where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_the_next_state(mdp, pi, trajectories):
    """Looks up the state that follows."""
    q, _, t, valid = _looked_up(mdp, pi, trajectories)
    s_tp1 = trajectories.observations[1:]
    return (mdp.discount ** t.double()[..., None] * q[t, s_tp1]).where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_by_their_logarithm(pi_t, weight_t, valid_t=None):
    """Weighs by log pi, so every action counts alike."""
    if valid_t is not None:
        pi_t = pi_t.where(valid_t[..., None], 1)
        weight_t = weight_t.where(valid_t[..., None], 0)
    return -(weight_t * pi_t.log()).sum((0, 2)).mean()


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_over_steps(pi_t, weight_t, valid_t=None):
    """Divides by the number of steps instead of episodes."""
    if valid_t is not None:
        pi_t = pi_t.where(valid_t[..., None], 0)
        weight_t = weight_t.where(valid_t[..., None], 0)
    return -(weight_t * pi_t).sum(2).mean()


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_downhill(pi_t, weight_t, valid_t=None):
    """Forgets the minus sign."""
    if valid_t is not None:
        pi_t = pi_t.where(valid_t[..., None], 0)
        weight_t = weight_t.where(valid_t[..., None], 0)
    return (weight_t * pi_t).sum((0, 2)).mean()


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_of_the_padding(pi_t, weight_t, valid_t=None):
    """Ignores which steps were decisions."""
    return -(weight_t.nan_to_num(posinf=1) * pi_t.nan_to_num()).sum((0, 2)).mean()


@mutant_of("actor_critic.critic_gradient")
def every_state_counts_alike(mdp, pi, theta, q_hat):
    """Weighs every state alike instead of by its visits."""
    (gradient,) = torch.autograd.grad((pi * q_hat).sum(), theta)
    return gradient


@mutant_of("actor_critic.critic_gradient")
def critic_weighs_visits_without_discount(mdp, pi, theta, q_hat):
    """Forgets gamma^t in the occupancy."""
    occupancy = replace(mdp, discount=0.999999).occupancy(pi.detach())
    (gradient,) = torch.autograd.grad(((pi * q_hat).sum(-1) @ occupancy), theta)
    return gradient


@mutant_of("actor_critic.critic_gradient")
def scores_instead_of_gradients(mdp, pi, theta, q_hat):
    """Has grad log pi where grad pi belongs: every action counts alike."""
    occupancy = mdp.occupancy(pi.detach())
    (gradient,) = torch.autograd.grad((pi.log() * q_hat).sum(-1) @ occupancy, theta)
    return gradient


@mutant_of("actor_critic.one_step_action_values")
def bootstrap_without_discount(mdp, v):
    """Forgets gamma."""
    return mdp.reward + mdp.transition @ v


@mutant_of("actor_critic.one_step_action_values")
def the_end_is_worth_as_much_as_here(mdp, v):
    """Bootstraps through the end: the missing mass stays in its state."""
    stay = mdp.ending * v[:, None]
    return mdp.reward + mdp.discount * (mdp.transition @ v + stay)


@mutant_of("actor_critic.one_step_action_values")
def value_of_the_state_itself(mdp, v):
    """Bootstraps from s_t instead of the state after it."""
    return mdp.reward + mdp.discount * v[:, None]


@mutant_of("actor_critic.td_fixed_point")
def td_without_discount(mdp, pi, features, weight):
    """Forgets gamma."""
    transition_pi = torch.einsum("sa,sau->su", pi, mdp.transition)
    weighted = features.T * weight
    system = weighted @ (features - transition_pi @ features)
    return torch.linalg.solve(system, weighted @ (pi * mdp.reward).sum(-1))


@mutant_of("actor_critic.td_fixed_point")
def residual_gradient(mdp, pi, features, weight):
    """Differentiates the target too: minimizes the squared mean TD error."""
    transition_pi = torch.einsum("sa,sau->su", pi, mdp.transition)
    change = features - mdp.discount * transition_pi @ features
    weighted = change.T * weight
    return torch.linalg.solve(weighted @ change, weighted @ (pi * mdp.reward).sum(-1))


@mutant_of("actor_critic.td_fixed_point")
def td_with_equal_weights(mdp, pi, features, weight):
    """Ignores how often each state is updated."""
    transition_pi = torch.einsum("sa,sau->su", pi, mdp.transition)
    system = features.T @ (features - mdp.discount * transition_pi @ features)
    return torch.linalg.solve(system, features.T @ (pi * mdp.reward).sum(-1))


@mutant_of("actor_critic.monte_carlo_fixed_point")
def regression_with_equal_weights(mdp, pi, features, weight):
    """Ignores how often each state is updated."""
    return torch.linalg.lstsq(features, mdp.values(pi)[:, None]).solution[:, 0]


@mutant_of("actor_critic.monte_carlo_fixed_point")
def weights_squared(mdp, pi, features, weight):
    """Multiplies rows by the weight instead of its root."""
    rows = weight[:, None] * features
    return torch.linalg.lstsq(rows, (weight * mdp.values(pi))[:, None]).solution[:, 0]


@mutant_of("actor_critic.monte_carlo_fixed_point")
def bootstraps_like_td(mdp, pi, features, weight):
    """Is the fixed point of temporal-difference learning."""
    from pgbook.actor_critic import td_fixed_point

    return td_fixed_point(mdp, pi, features, weight)


def fit_on_scores(mdp, pi, theta, chance, target):
    """Least squares of a target on the scores."""
    from pgbook.trajectory_probability import trajectory_score

    root = chance.flatten().sqrt()[:, None]
    score = trajectory_score(pi.log().flatten(), theta).reshape(len(root), -1)
    fit = torch.linalg.lstsq(root * score, root * target.reshape(-1, 1), driver="gelsd")
    return fit.solution.reshape(theta.shape)


@mutant_of("actor_critic.compatible_weights")
def fitted_off_policy(mdp, pi, theta):
    """Weighs actions alike: forgets pi."""
    table = pi.detach()
    chance = mdp.occupancy(table)[:, None].expand_as(table)
    return fit_on_scores(mdp, pi, theta, chance, mdp.advantages(table))


@mutant_of("actor_critic.compatible_weights")
def fitted_without_occupancy(mdp, pi, theta):
    """Weighs states alike."""
    table = pi.detach()
    return fit_on_scores(mdp, pi, theta, table, mdp.advantages(table))


@mutant_of("actor_critic.compatible_weights")
def fitted_to_rewards(mdp, pi, theta):
    """Takes the reward for the advantage."""
    table = pi.detach()
    chance = mdp.occupancy(table)[:, None] * table
    return fit_on_scores(mdp, pi, theta, chance, mdp.reward)


@mutant_of("actor_critic.critic_loss")
def critic_runs_away(v_t, target_t, valid_t):
    """Has the wrong sign."""
    from pgbook.actor_critic import _decisions

    v_t, target_t, steps = _decisions(valid_t, v_t=v_t, target_t=target_t)
    return -(target_t - v_t).square().sum() / 2 / steps


@mutant_of("actor_critic.critic_loss")
def critic_learns_from_fillers(v_t, target_t, valid_t):
    """Divides by all steps and takes the fillers' targets for real."""
    from pgbook.actor_critic import _decisions

    _decisions(valid_t, v_t=v_t, target_t=target_t)
    return (target_t - v_t).square().mean() / 2


@mutant_of("actor_critic.critic_loss")
def critic_divides_by_all_steps(v_t, target_t, valid_t):
    """Divides by the size of the record, fillers included."""
    from pgbook.actor_critic import _decisions

    v_t, target_t, _ = _decisions(valid_t, v_t=v_t, target_t=target_t)
    return (target_t - v_t).square().mean() / 2


@mutant_of("actor_critic.critic_loss")
def target_moves_along(v_t, target_t, valid_t):
    """Lets the gradient into the target."""
    from pgbook.actor_critic import _decisions

    v_t, target_t, steps = _decisions(valid_t, t=target_t, target_t=v_t.detach())
    return (target_t - v_t).square().sum() / 2 / steps


@mutant_of("actor_critic.stream_policy_gradient_loss")
def stream_goes_downhill(log_prob_t, weight_t, valid_t):
    """Has the wrong sign."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    log_prob_t, weight_t, steps = _decisions(valid_t, **pair)
    return (weight_t * log_prob_t).sum() / steps


@mutant_of("actor_critic.stream_policy_gradient_loss")
def stream_divided_by_columns(log_prob_t, weight_t, valid_t):
    """Divides by the number of environments: the step grows with the record."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    log_prob_t, weight_t, _ = _decisions(valid_t, **pair)
    return -(weight_t * log_prob_t).sum() / log_prob_t.shape[1]


@mutant_of("actor_critic.stream_policy_gradient_loss")
def stream_divided_by_fillers_too(log_prob_t, weight_t, valid_t):
    """Divides by all steps of the record."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    log_prob_t, weight_t, _ = _decisions(valid_t, **pair)
    return -(weight_t * log_prob_t).mean()


@mutant_of("actor_critic.stream_policy_gradient_loss")
def fillers_times_zero(log_prob_t, weight_t, valid_t):
    """Multiplies by the mask, which lets a NaN through."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    _, _, steps = _decisions(valid_t, **pair)
    return -(weight_t * log_prob_t * valid_t).sum() / steps


def given_right(name):
    """A mutant of `off_policy` that is handed the right version first."""

    def decorate(change):
        from pgbook import off_policy

        right = getattr(off_policy, name)

        @wraps(change)
        def wrong(*arguments, **named):
            return change(right, *arguments, **named)

        return wrong

    return decorate


@mutant_of("off_policy.importance_ratios")
def ratio_upside_down(log_prob_t, behavior_log_prob_t, valid_t=None):
    """Divides the behavior's probability by the target's."""
    valid_t = torch.ones_like(log_prob_t).bool() if valid_t is None else valid_t
    return (behavior_log_prob_t - log_prob_t).where(valid_t, 0).exp()


@mutant_of("off_policy.importance_ratios")
def log_ratio_for_ratio(log_prob_t, behavior_log_prob_t, valid_t=None):
    """Forgets the exponential."""
    valid_t = torch.ones_like(log_prob_t).bool() if valid_t is None else valid_t
    return (log_prob_t - behavior_log_prob_t).where(valid_t, 0)


@mutant_of("off_policy.importance_ratios")
def ratio_of_padding_is_zero(log_prob_t, behavior_log_prob_t, valid_t=None):
    """Puts 0 where nothing was decided, so that every product vanishes."""
    valid_t = torch.ones_like(log_prob_t).bool() if valid_t is None else valid_t
    return (log_prob_t - behavior_log_prob_t).exp().where(valid_t, 0)


@mutant_of("off_policy.importance_ratios")
def detached_ratio(log_prob_t, behavior_log_prob_t, valid_t=None):
    """Cuts the gradient, of which clipped surrogates live."""
    valid_t = torch.ones_like(log_prob_t).bool() if valid_t is None else valid_t
    return (log_prob_t - behavior_log_prob_t).where(valid_t, 0).exp().detach()


@mutant_of("off_policy.importance_weights")
def own_ratio_only(r_t, ratio_t, valid_t=None, gamma=1.0):
    """Weighs each decision by its own ratio instead of the product of all."""
    from pgbook.off_policy import _masked_ratios, reward_to_go_weights

    ratio_t = _masked_ratios(r_t, ratio_t, valid_t)
    return ratio_t * reward_to_go_weights(r_t, valid_t, gamma)


@mutant_of("off_policy.importance_weights")
def ratios_behind_the_end_count(r_t, ratio_t, valid_t=None, gamma=1.0):
    """Multiplies by what stands at steps that are not valid."""
    from pgbook.off_policy import _masked_ratios, reward_to_go_weights

    _masked_ratios(r_t, ratio_t, valid_t)
    return ratio_t.prod(0) * reward_to_go_weights(r_t, valid_t, gamma)


@mutant_of("off_policy.importance_weights")
def ratios_up_to_the_decision(r_t, ratio_t, valid_t=None, gamma=1.0):
    """Stops the product at the decision, although later actions were drawn too."""
    from pgbook.off_policy import _masked_ratios, reward_to_go_weights

    product_t = _masked_ratios(r_t, ratio_t, valid_t).cumprod(0)
    return product_t * reward_to_go_weights(r_t, valid_t, gamma)


@mutant_of("off_policy.per_decision_weights")
def ratios_before_the_reward(r_t, ratio_t, valid_t=None, gamma=1.0):
    """Leaves out the ratio of the action that earned the reward."""
    from pgbook.off_policy import _masked_ratios, reward_to_go_weights

    ratio_t = _masked_ratios(r_t, ratio_t, valid_t)
    product_t = torch.cat([torch.ones_like(ratio_t[:1]), ratio_t.cumprod(0)[:-1]])
    return reward_to_go_weights(product_t * r_t, valid_t, gamma)


@mutant_of("off_policy.per_decision_weights")
def ratios_from_the_decision_on(r_t, ratio_t, valid_t=None, gamma=1.0):
    """Forgets how the decision was reached: products start at its own time."""
    from pgbook.off_policy import _masked_ratios, reward_to_go_weights

    ratio_t = _masked_ratios(r_t, ratio_t, valid_t)
    rows = []
    for t in range(len(r_t)):
        product_t = torch.cat([torch.ones_like(ratio_t[:t]), ratio_t[t:].cumprod(0)])
        rows.append(reward_to_go_weights(product_t * r_t, valid_t, gamma)[t])
    return torch.stack(rows)


@mutant_of("off_policy.per_decision_weights")
def own_ratio_of_the_reward(r_t, ratio_t, valid_t=None, gamma=1.0):
    """One ratio instead of the product."""
    from pgbook.off_policy import _masked_ratios, reward_to_go_weights

    ratio_t = _masked_ratios(r_t, ratio_t, valid_t)
    return reward_to_go_weights(ratio_t * r_t, valid_t, gamma)


@mutant_of("off_policy.effective_sample_size")
def size_of_squares(weight):
    """Upside down."""
    return weight.square().sum() / weight.sum() ** 2


@mutant_of("off_policy.effective_sample_size")
def size_without_scaling(weight):
    """Squares overflow."""
    from pgbook.off_policy import _require_not_negative, require, require_shape

    require_shape((None,), weight=weight)
    require(weight.numel() > 0 and bool((weight != 0).any()), "weight", "", "")
    _require_not_negative(weight=weight)
    return weight.sum() ** 2 / weight.square().sum()


@mutant_of("off_policy.effective_sample_size")
def size_of_unit_mean_weights(weight):
    """Takes the weights' mean to be 1, as it is in expectation only."""
    from pgbook.off_policy import _require_not_negative, require, require_shape

    require_shape((None,), weight=weight)
    require(weight.numel() > 0 and bool((weight != 0).any()), "weight", "", "")
    _require_not_negative(weight=weight)
    return len(weight) / weight.square().mean()


@mutant_of("off_policy.off_policy_semi_gradient")
def states_of_the_target(mdp, pi, theta, behavior):
    """The on-policy gradient: the states of the target."""
    from pgbook.off_policy import _require_policies, theorem_gradient

    _require_policies(mdp, pi=pi.detach(), behavior=behavior)
    table = pi.detach()
    return theorem_gradient(pi, theta, mdp.occupancy(table), mdp.action_values(table))


@mutant_of("off_policy.off_policy_semi_gradient")
def values_of_the_behavior(mdp, pi, theta, behavior):
    """Action values of the policy that acts."""
    from pgbook.off_policy import _require_policies, theorem_gradient

    _require_policies(mdp, pi=pi.detach(), behavior=behavior)
    d_b, q_b = mdp.occupancy(behavior), mdp.action_values(behavior)
    return theorem_gradient(pi, theta, d_b, q_b)


@mutant_of("off_policy.off_policy_semi_gradient")
def full_gradient_from_the_behaviors_states(mdp, pi, theta, behavior):
    """Differentiates the values too."""
    from pgbook.off_policy import _require_policies

    _require_policies(mdp, pi=pi.detach(), behavior=behavior)
    J = mdp.occupancy(behavior) @ mdp.values(pi)
    return torch.autograd.grad(J, theta)[0]


@mutant_of("off_policy.implied_policy")
def truncated_but_not_normalized(pi, behavior, ratio_bar):
    """Forgets to divide by the sum."""
    from pgbook.off_policy import _truncated, require_shape

    require_shape((None, None), pi=pi)
    return behavior * _truncated(pi, behavior, "ratio_bar", ratio_bar)


@mutant_of("off_policy.implied_policy")
def bar_on_the_target(pi, behavior, ratio_bar):
    """Multiplies the wrong policy by the bar."""
    from pgbook.off_policy import _truncated, require_shape

    require_shape((None, None), pi=pi)
    _truncated(pi, behavior, "ratio_bar", ratio_bar)
    mass = torch.minimum(behavior, ratio_bar * pi)
    return mass / mass.sum(-1, keepdim=True)


@mutant_of("off_policy.implied_policy")
def mixture_for_minimum(pi, behavior, ratio_bar):
    """A mixture of the two policies."""
    from pgbook.off_policy import _truncated, require_shape

    require_shape((None, None), pi=pi)
    _truncated(pi, behavior, "ratio_bar", ratio_bar)
    share = ratio_bar / (1 + ratio_bar) if ratio_bar < float("inf") else 1.0
    return share * pi + (1 - share) * behavior


@mutant_of("off_policy.vtrace_operator")
@given_right("vtrace_operator")
def operator_with_one_bar(right, mdp, pi, behavior, v, ratio_bar, trace_bar):
    """Truncates traces where it truncates errors."""
    return right(mdp, pi, behavior, v, ratio_bar, ratio_bar)


@mutant_of("off_policy.vtrace_operator")
@given_right("vtrace_operator")
def operator_with_bars_swapped(right, mdp, pi, behavior, v, ratio_bar, trace_bar):
    """Swaps the two bars."""
    return right(mdp, pi, behavior, v, trace_bar, ratio_bar)


@mutant_of("off_policy.vtrace_operator")
@given_right("vtrace_operator")
def operator_of_one_step(right, mdp, pi, behavior, v, ratio_bar, trace_bar):
    """Cuts all traces."""
    return right(mdp, pi, behavior, v, ratio_bar, 1e-300)


@mutant_of("off_policy.vtrace_targets")
@given_right("vtrace_targets")
def ratio_on_the_reward_alone(
    right, r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t
):
    """Does not weigh the values in the error."""
    right(r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t)
    one_t = torch.ones_like(r_t)
    return right(ratio_bar_t * r_t, discount_t, v_t, v_tp1, one_t, trace_bar_t)


@mutant_of("off_policy.vtrace_targets")
@given_right("vtrace_targets")
def trace_of_the_next_step(
    right, r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t
):
    """Takes the trace one step too late."""
    right(r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t)
    shifted_t = torch.cat([trace_bar_t[1:], trace_bar_t[-1:]])
    return right(r_t, discount_t, v_t, v_tp1, ratio_bar_t, shifted_t)


@mutant_of("off_policy.vtrace_targets")
@given_right("vtrace_targets")
def correction_without_the_value(
    right, r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t
):
    """Returns what is added to the value, not the target."""
    return right(r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t) - v_t


@mutant_of("off_policy.vtrace_targets")
@given_right("vtrace_targets")
def later_errors_not_traced(
    right, r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t
):
    """Cuts traces at ends only: the ratios of the way are forgotten."""
    right(r_t, discount_t, v_t, v_tp1, ratio_bar_t, trace_bar_t)
    ends_t = (trace_bar_t > 0).to(r_t.dtype)
    return right(r_t, discount_t, v_t, v_tp1, ratio_bar_t, ends_t)


@mutant_of("off_policy.vtrace_advantages")
@given_right("vtrace_advantages")
def target_of_the_same_state(right, r_t, discount_t, v_t, v_tp1, target_t, trace_t):
    """Compares the target of s_t with its value: the trace counts twice."""
    right(r_t, discount_t, v_t, v_tp1, target_t, trace_t)
    return target_t - v_t


@mutant_of("off_policy.vtrace_advantages")
@given_right("vtrace_advantages")
def advantage_of_one_step(right, r_t, discount_t, v_t, v_tp1, target_t, trace_t):
    """Bootstraps from the critic instead of the target."""
    right(r_t, discount_t, v_t, v_tp1, target_t, trace_t)
    return r_t + discount_t * v_tp1 - v_t


@mutant_of("off_policy.vtrace_advantages")
@given_right("vtrace_advantages")
def advantage_across_ends(right, r_t, discount_t, v_t, v_tp1, target_t, trace_t):
    """Takes the target of the next episode where one ends."""
    right(r_t, discount_t, v_t, v_tp1, target_t, trace_t)
    ones_t = torch.ones_like(trace_t)
    return right(r_t, discount_t, v_t, v_tp1, target_t, ones_t)


@mutant_of("natural_gradient.fisher_matrix")
def fisher_of_equal_states(pi, theta, weight):
    """Weighs states alike."""
    return fisher_by_scores(pi, theta, pi.detach())


@mutant_of("natural_gradient.fisher_matrix")
def fisher_of_equal_actions(pi, theta, weight):
    """Weighs actions alike: forgets pi."""
    return fisher_by_scores(pi, theta, weight[:, None].expand_as(pi))


@mutant_of("natural_gradient.fisher_matrix")
def fisher_normalized(pi, theta, weight):
    """Divides by the sum of the weights, which need not be 1."""
    shares = weight / weight.sum()
    return fisher_by_scores(pi, theta, shares[:, None] * pi.detach())


@mutant_of("natural_gradient.fisher_matrix")
def fisher_keeps_its_graph(pi, theta, weight):
    """Lets gradients flow through the probabilities."""
    return fisher_by_scores(pi, theta, weight[:, None] * pi)


def fisher_by_scores(pi, theta, chance):
    """Sum of outer products of scores."""
    from pgbook.trajectory_probability import trajectory_score

    score = trajectory_score(pi.log().flatten(), theta)
    score = score.reshape(len(score), -1)
    return torch.einsum("n,ni,nj->ij", chance.flatten(), score, score)


@mutant_of("natural_gradient.natural_gradient")
def divides_by_the_diagonal(fisher, gradient):
    """Takes the matrix for diagonal."""
    return gradient / fisher.diagonal()


@mutant_of("natural_gradient.natural_gradient")
def divides_by_the_root(fisher, gradient):
    """Divides by the root of the matrix, as Adam does."""
    size, axes = torch.linalg.eigh(fisher)
    root = torch.where(size > 1e-12, size.clamp(min=1e-12) ** -0.5, 0)
    return axes @ (root * (axes.T @ gradient))


@mutant_of("natural_gradient.natural_gradient")
def damps_the_matrix(fisher, gradient):
    """Adds to the diagonal: no longer a solution."""
    return torch.linalg.solve(fisher + 1e-3 * torch.eye(len(fisher)), gradient)


@mutant_of("natural_gradient.natural_gradient")
def multiplies_by_the_matrix(fisher, gradient):
    """Multiplies where it should divide."""
    return fisher @ gradient


@mutant_of("natural_gradient.exponential_weights")
def weights_of_the_first_order(pi, advantage, eta):
    """Takes 1 + x for the exponential."""
    new = pi * (1 + eta * advantage)
    return new / new.sum(-1, keepdim=True)


@mutant_of("natural_gradient.exponential_weights")
def forgets_the_old_policy(pi, advantage, eta):
    """Starts from the uniform policy."""
    return (eta * advantage).softmax(-1)


@mutant_of("natural_gradient.exponential_weights")
def normalizes_over_states(pi, advantage, eta):
    """Sums over the whole table."""
    new = pi * (eta * advantage).exp()
    return new / new.sum() * len(pi)


@mutant_of("natural_gradient.exponential_weights")
def weights_can_overflow(pi, advantage, eta):
    """Takes exponentials of large numbers."""
    new = pi * (eta * advantage).exp()
    return new / new.sum(-1, keepdim=True)


def product_by_scores(policy, observation, vector, mean=True):
    """Mean of weight * grad f * (grad f @ vector), a row at a time."""
    from pgbook.natural_gradient import _Outputs

    theta = list(policy.parameters())
    f, weight = _Outputs(policy)(observation)
    total = torch.zeros_like(vector)
    for value, share in zip(f.flatten(), weight.detach().flatten(), strict=True):
        slopes = torch.autograd.grad(
            value, theta, retain_graph=True, materialize_grads=True
        )
        z = torch.cat([slope.flatten() for slope in slopes])
        total += share * (z @ vector) * z
    return total / len(observation) if mean else total


@mutant_of("natural_gradient.fisher_vector_product")
def product_summed(policy, observation, vector):
    """Sums over observations."""
    return product_by_scores(policy, observation, vector, mean=False)


@mutant_of("natural_gradient.fisher_vector_product")
def product_damped(policy, observation, vector):
    """Adds a damping that nobody asked for."""
    return product_by_scores(policy, observation, vector) + 0.1 * vector


@mutant_of("natural_gradient.fisher_vector_product")
def product_of_outputs(policy, observation, vector):
    """Gauss-Newton with the unit matrix in the middle: forgets the weights."""
    from pgbook.natural_gradient import _Outputs

    f, _ = _Outputs(policy)(observation)
    theta, total = list(policy.parameters()), torch.zeros_like(vector)
    for value in f.flatten():
        slopes = torch.autograd.grad(
            value, theta, retain_graph=True, materialize_grads=True
        )
        z = torch.cat([slope.flatten() for slope in slopes])
        total += (z @ vector) * z
    return total / len(observation)


@mutant_of("natural_gradient.kl_curvature_product")
def curvature_summed(policy, observation, vector):
    """Sums over observations."""
    return product_by_scores(policy, observation, vector, mean=False)


@mutant_of("natural_gradient.kl_curvature_product")
def curvature_of_the_entropy(policy, observation, vector):
    """Differentiates the entropy, whose Hessian is another matrix."""
    theta = list(policy.parameters())
    value = -policy.distribution(observation).entropy().mean()
    options = {"create_graph": True, "materialize_grads": True}
    slope = torch.autograd.grad(value, theta, **options)
    along = torch.cat([s.flatten() for s in slope]) @ vector
    if not along.requires_grad:
        return torch.zeros_like(vector)
    product = torch.autograd.grad(along, theta, materialize_grads=True)
    return torch.cat([p.flatten() for p in product])


@mutant_of("natural_gradient.kl_curvature_product")
def both_policies_move(policy, observation, vector):
    """Forgets to hold the old policy still: the divergence is 0 everywhere."""
    return torch.zeros_like(vector)


@mutant_of("natural_gradient.conjugate_gradient")
def steepest_descent(product, target, iterations, tolerance=1e-10):
    """Forgets the last direction."""
    x, residual = torch.zeros_like(target), target
    for _ in range(iterations):
        image = product(residual)
        if residual @ image <= 0 or residual.norm() <= tolerance * target.norm():
            break
        step = residual @ residual / (residual @ image)
        x, residual = x + step * residual, residual - step * image
    return x


@mutant_of("natural_gradient.conjugate_gradient")
def directions_without_the_ratio(product, target, iterations, tolerance=1e-10):
    """Adds the last direction with the weight 1."""
    x, residual, direction = torch.zeros_like(target), target, target
    for _ in range(iterations):
        image = product(direction)
        if direction @ image <= 0 or residual.norm() <= tolerance * target.norm():
            break
        step = residual @ direction / (direction @ image)
        x, residual = x + step * direction, residual - step * image
        direction = residual + direction
    return x


@mutant_of("natural_gradient.conjugate_gradient")
def starts_at_the_target(product, target, iterations, tolerance=1e-10):
    """Starts at the gradient, so that a part of it stays in the null space."""
    x, residual = target, target - product(target)
    direction, size = residual, residual @ residual
    for _ in range(iterations):
        image = product(direction)
        if direction @ image <= 0 or size <= tolerance**2 * (target @ target):
            break
        step = size / (direction @ image)
        x, residual = x + step * direction, residual - step * image
        size, before = residual @ residual, size
        direction = residual + size / before * direction
    return x


@mutant_of("natural_gradient.conjugate_gradient")
def divides_by_a_flat_direction(product, target, iterations, tolerance=1e-10):
    """Goes on where the curvature is 0."""
    x, residual, direction = torch.zeros_like(target), target, target
    size = target @ target
    for _ in range(iterations):
        if size <= tolerance**2 * (target @ target):
            break
        image = product(direction)
        step = size / (direction @ image)
        x, residual = x + step * direction, residual - step * image
        size, before = residual @ residual, size
        direction = residual + size / before * direction
    return x


@mutant_of("entropy.policy_entropy")
def entropy_in_bits(pi):
    """Takes logarithms to base 2."""
    return -torch.special.xlogy(pi, pi).sum(-1) / torch.tensor(2.0).log()


@mutant_of("entropy.policy_entropy")
def entropy_without_its_sign(pi):
    """Forgets the minus."""
    return torch.special.xlogy(pi, pi).sum(-1)


@mutant_of("entropy.policy_entropy")
def entropy_nan_at_corners(pi):
    """Multiplies 0 by the logarithm of 0."""
    return -(pi * pi.log()).sum(-1)


@mutant_of("entropy.policy_entropy")
def entropy_averaged_over_actions(pi):
    """Divides by the number of actions."""
    return -torch.special.xlogy(pi, pi).mean(-1)


@mutant_of("entropy.entropy_gradient")
def bonus_from_sampled_log_prob(pi, theta, weight):
    """Differentiates -log pi of the action taken: a score, 0 on average."""
    from pgbook.policy_gradient_theorem import theorem_gradient

    ones = torch.ones_like(pi).expand(*weight.shape[:-1], *pi.shape)
    return -theorem_gradient(pi, theta, weight, ones.detach())


@mutant_of("entropy.entropy_gradient")
def bonus_toward_certainty(pi, theta, weight):
    """Weighs by the log-probability instead of the surprise."""
    from pgbook.policy_gradient_theorem import theorem_gradient

    log_pi = pi.detach().log().expand(*weight.shape[:-1], *pi.shape)
    return theorem_gradient(pi, theta, weight, log_pi)


@mutant_of("entropy.entropy_gradient")
def bonus_with_equal_states(pi, theta, weight):
    """Does not weigh the states."""
    from pgbook.policy_gradient_theorem import theorem_gradient

    surprise = -pi.detach().log().expand(*weight.shape[:-1], *pi.shape)
    return theorem_gradient(pi, theta, torch.ones_like(weight), surprise)


@mutant_of("entropy.entropy_bonus")
def bonus_per_decision(entropy_t, gamma, valid_t):
    """Divides by the number of decisions."""
    t = torch.arange(len(entropy_t)).double()
    return (gamma**t @ entropy_t.masked_fill(~valid_t, 0)).sum() / valid_t.sum()


@mutant_of("entropy.entropy_bonus")
def bonus_without_discount(entropy_t, gamma, valid_t):
    """Forgets gamma^t."""
    return entropy_t.masked_fill(~valid_t, 0).sum(0).mean()


@mutant_of("entropy.entropy_bonus")
def bonus_of_padding(entropy_t, gamma, valid_t):
    """Counts what stands behind the end."""
    t = torch.arange(len(entropy_t)).double()
    return (gamma**t @ entropy_t).mean()


@mutant_of("entropy.entropy_bonus")
def bonus_detached(entropy_t, gamma, valid_t):
    """Adds a constant to the loss."""
    t = torch.arange(len(entropy_t)).double()
    return (gamma**t @ entropy_t.detach().masked_fill(~valid_t, 0)).mean()


@mutant_of("entropy.entropy_rewards")
def pays_for_certainty(r_t, log_prob_t, beta, valid_t):
    """Adds the log-probability."""
    return (r_t + beta * log_prob_t).masked_fill(~valid_t, 0)


@mutant_of("entropy.entropy_rewards")
def pays_at_fillers(r_t, log_prob_t, beta, valid_t):
    """Pays for steps that were no decisions."""
    return r_t - beta * log_prob_t


@mutant_of("entropy.entropy_rewards")
def pays_for_the_next_decision(r_t, log_prob_t, beta, valid_t):
    """Shifts the payment by one step."""
    later = torch.cat([log_prob_t[1:], torch.zeros_like(log_prob_t[:1])])
    return (r_t - beta * later).masked_fill(~valid_t, 0)


@mutant_of("entropy.entropy_rewards")
def lets_gradients_into_rewards(r_t, log_prob_t, beta, valid_t):
    """Accepts a log-probability that requires a gradient."""
    return (r_t - beta * log_prob_t).masked_fill(~valid_t, 0)


@mutant_of("entropy.soft_values")
def first_entropy_unpaid(mdp, pi, beta):
    """Leaves out the entropy of the present decision."""
    from pgbook.entropy import policy_entropy

    bonus = beta * policy_entropy(pi)[:, None]
    paid = replace(mdp, reward=mdp.reward + bonus)
    return paid.values(pi) - (bonus[:, 0] if mdp.horizon is None else 0)


@mutant_of("entropy.soft_values")
def entropy_paid_per_action(mdp, pi, beta):
    """Pays -log pi for every action without weighing it: pi is in there twice."""
    paid = replace(mdp, reward=mdp.reward - beta * torch.special.xlogy(pi, pi))
    return paid.values(pi)


@mutant_of("entropy.soft_values")
def temperature_of_one(mdp, pi, beta):
    """Forgets beta."""
    from pgbook.entropy import policy_entropy

    return replace(mdp, reward=mdp.reward + policy_entropy(pi)[:, None]).values(pi)


@mutant_of("entropy.soft_action_values")
def own_entropy_counted(mdp, pi, beta):
    """Pays the entropy of the decision itself, too."""
    from pgbook.entropy import policy_entropy

    paid = replace(mdp, reward=mdp.reward + beta * policy_entropy(pi)[:, None])
    return paid.action_values(pi)


@mutant_of("entropy.soft_action_values")
def later_entropies_unpaid(mdp, pi, beta):
    """Gives the ordinary action values."""
    return mdp.action_values(pi)


@mutant_of("entropy.soft_action_values")
def soft_values_one_row_early(mdp, pi, beta):
    """With a horizon takes v_t for v_{t+1}; without one forgets the discount."""
    from pgbook.entropy import soft_values

    v = soft_values(mdp, pi, beta)
    gamma, v = (1, v) if mdp.horizon is None else (mdp.discount, v[:-1])
    return mdp.reward + gamma * torch.einsum("sau,...u->...sa", mdp.transition, v)


@mutant_of("entropy.soft_gradient")
def bonus_called_soft_gradient(mdp, pi, theta, beta):
    """Adds the entropy bonus to the gradient of the return: later entropies unpaid."""
    from pgbook.policy_gradient_theorem import theorem_gradient

    table = pi.detach()
    worth = mdp.action_values(table) - beta * table.log()
    return theorem_gradient(pi, theta, mdp.occupancy(table), worth)


@mutant_of("entropy.soft_gradient")
def own_entropy_forgotten(mdp, pi, theta, beta):
    """Leaves out -beta log pi of the decision itself."""
    from pgbook.entropy import soft_action_values
    from pgbook.policy_gradient_theorem import theorem_gradient

    table = pi.detach()
    q = soft_action_values(mdp, table, beta)
    return theorem_gradient(pi, theta, mdp.occupancy(table), q)


@mutant_of("entropy.soft_gradient")
def soft_gradient_of_equal_states(mdp, pi, theta, beta):
    """Weighs all states alike."""
    from pgbook.entropy import soft_action_values
    from pgbook.policy_gradient_theorem import theorem_gradient

    table = pi.detach()
    worth = soft_action_values(mdp, table, beta) - beta * table.log()
    return theorem_gradient(pi, theta, torch.ones(worth.shape[:-1]).double(), worth)


@mutant_of("entropy.soft_bellman")
def hard_bellman(mdp, v, beta):
    """Takes the maximum."""
    return (mdp.reward + mdp.discount * mdp.transition @ v).amax(-1)


@mutant_of("entropy.soft_bellman")
def mean_of_the_exponentials(mdp, v, beta):
    """Divides the sum of the exponentials by the number of actions."""
    q = mdp.reward + mdp.discount * mdp.transition @ v
    return beta * ((q / beta).logsumexp(-1) - torch.tensor(float(q.shape[-1])).log())


@mutant_of("entropy.soft_bellman")
def exponentials_overflow(mdp, v, beta):
    """Exponentiates before it sums."""
    q = mdp.reward + mdp.discount * mdp.transition @ v
    return beta * (q / beta).exp().sum(-1).log()


@mutant_of("entropy.soft_bellman")
def softmax_mean_for_maximum(mdp, v, beta):
    """Averages under the softmax and forgets its entropy."""
    q = mdp.reward + mdp.discount * mdp.transition @ v
    return ((q / beta).softmax(-1) * q).sum(-1)


@mutant_of("entropy.soft_optimal")
def a_hundred_sweeps(mdp, beta):
    """Stops after 100 sweeps whatever the discount."""
    from pgbook.entropy import soft_bellman

    v = torch.zeros_like(mdp.initial)
    for _ in range(100):
        v = soft_bellman(mdp, v, beta)
    q = mdp.reward + mdp.discount * mdp.transition @ v
    return (q / beta).softmax(-1), v


@mutant_of("entropy.soft_optimal")
def greedy_without_temperature(mdp, beta):
    """Takes the softmax of the action values at temperature 1."""
    from pgbook.entropy import soft_bellman

    v = torch.zeros_like(mdp.initial)
    for _ in range(4000):
        v = soft_bellman(mdp, v, beta)
    return (mdp.reward + mdp.discount * mdp.transition @ v).softmax(-1), v


@mutant_of("entropy.soft_optimal")
def softmax_of_the_hard_values(mdp, beta):
    """Solves without entropy and softens the result."""
    v = torch.zeros_like(mdp.initial)
    for _ in range(4000):
        q = mdp.reward + mdp.discount * mdp.transition @ v
        v = q.amax(-1)
    return (q / beta).softmax(-1), v


@mutant_of("entropy.mirror_descent_step")
def mirror_step_keeps_everything(pi, q, eta, beta):
    """Forgets the exponent 1 - eta * beta."""
    return (pi.log() + eta * q).softmax(-1)


@mutant_of("entropy.mirror_descent_step")
def mirror_step_with_full_values(pi, q, eta, beta):
    """Averages q itself instead of q / beta: eta * beta in the place of eta."""
    return ((1 - eta * beta) * pi.log() + eta * beta * q).softmax(-1)


@mutant_of("entropy.mirror_descent_step")
def mirror_step_on_probabilities(pi, q, eta, beta):
    """Adds to the probabilities instead of their logarithms."""
    return ((1 - eta * beta) * pi + eta * q).softmax(-1)


@mutant_of("entropy.mirror_descent_step")
def mirror_step_of_proximal_form(pi, q, eta, beta):
    """Divides by 1 + eta * beta: the step for another meaning of eta."""
    return ((pi.log() + eta * q) / (1 + eta * beta)).softmax(-1)


_TRPO_STEP = importlib.import_module("pgbook.trust_region").trpo_step  # the right one


@mutant_of("trust_region.total_variation")
def variation_without_half(p, q):
    """Is the sum of the differences, twice as large."""
    return (p - q).abs().sum(-1)


@mutant_of("trust_region.total_variation")
def variation_of_one_action(p, q):
    """Takes the largest difference of a single action."""
    return (p - q).abs().max(-1).values


@mutant_of("trust_region.total_variation")
def variation_with_signs(p, q):
    """Lets gains and losses cancel."""
    return (p - q).sum(-1).abs() / 2


@mutant_of("trust_region.relative_entropy")
def relative_entropy_backward(p, q):
    """Runs from q to p."""
    return (torch.xlogy(q, q) - torch.xlogy(q, p)).sum(-1)


@mutant_of("trust_region.relative_entropy")
def relative_entropy_with_a_floor(p, q):
    """Adds a small number before the logarithm, so that nothing is infinite."""
    return (p * ((p + 1e-8) / (q + 1e-8)).log()).sum(-1)


@mutant_of("trust_region.relative_entropy")
def cross_entropy_for_divergence(p, q):
    """Leaves out the entropy of p."""
    return -torch.xlogy(p, q).sum(-1)


@mutant_of("trust_region.surrogate_return")
def surrogate_with_new_visits(mdp, old, pi):
    """Uses the occupancy of the new policy: the return itself."""
    gain = (mdp.occupancy(pi) * (pi * mdp.advantages(old)).sum(-1)).sum()
    return mdp.expected_return(old) + gain


@mutant_of("trust_region.surrogate_return")
def surrogate_without_the_return(mdp, old, pi):
    """Leaves out the return of the old policy."""
    return (mdp.occupancy(old) * (pi * mdp.advantages(old)).sum(-1)).sum()


@mutant_of("trust_region.surrogate_return")
def surrogate_of_action_values(mdp, old, pi):
    """Pays action values instead of advantages."""
    gain = (mdp.occupancy(old) * (pi * mdp.action_values(old)).sum(-1)).sum()
    return mdp.expected_return(old) + gain


@mutant_of("trust_region.surrogate_return")
def surrogate_with_normalized_visits(mdp, old, pi):
    """Divides the occupancy by its sum and forgets the factor."""
    visits = mdp.occupancy(old)
    gain = (visits * (pi * mdp.advantages(old)).sum(-1)).sum() / visits.sum()
    return mdp.expected_return(old) + gain


@mutant_of("trust_region.average_penalty")
def penalty_half_as_large(mdp, old, pi):
    """Forgets that probability leaves one action and reaches another."""
    from pgbook.trust_region import _gain, total_variation

    distance = (mdp.occupancy(old) * total_variation(old, pi)).sum()
    factor = mdp.discount / (1 - mdp.discount)
    return factor * _gain(mdp, old, pi).abs().max() * distance


@mutant_of("trust_region.average_penalty")
def penalty_without_absolute_gain(mdp, old, pi):
    """Takes the largest gain, although losses count too."""
    from pgbook.trust_region import _gain, total_variation

    distance = (mdp.occupancy(old) * total_variation(old, pi)).sum()
    factor = 2 * mdp.discount / (1 - mdp.discount)
    return factor * _gain(mdp, old, pi).max() * distance


@mutant_of("trust_region.average_penalty")
def penalty_of_the_new_visits(mdp, old, pi):
    """Weighs the distances by the visits of the new policy."""
    from pgbook.trust_region import _gain, total_variation

    distance = (mdp.occupancy(pi) * total_variation(old, pi)).sum()
    factor = 2 * mdp.discount / (1 - mdp.discount)
    return factor * _gain(mdp, old, pi).abs().max() * distance


@mutant_of("trust_region.largest_penalty")
def penalty_of_the_paper(mdp, old, pi):
    """Has the constant 4: true, and twice as large as it need be."""
    from pgbook.trust_region import relative_entropy

    most = mdp.advantages(old).abs().max()
    factor = 4 * mdp.discount / (1 - mdp.discount) ** 2
    return factor * most * relative_entropy(old, pi).max()


@mutant_of("trust_region.largest_penalty")
def penalty_with_one_horizon(mdp, old, pi):
    """Divides by 1 - gamma once, as for a normalized return."""
    from pgbook.trust_region import relative_entropy

    most = mdp.advantages(old).abs().max()
    factor = 2 * mdp.discount / (1 - mdp.discount)
    return factor * most * relative_entropy(old, pi).max()


@mutant_of("trust_region.largest_penalty")
def penalty_of_the_mean_divergence(mdp, old, pi):
    """Averages the divergence over states instead of taking the largest."""
    from pgbook.trust_region import relative_entropy

    most = mdp.advantages(old).abs().max()
    factor = 2 * mdp.discount / (1 - mdp.discount) ** 2
    return factor * most * relative_entropy(old, pi).mean()


@mutant_of("trust_region.full_step")
def step_of_the_radius(product, gradient, radius):
    """Forgets the square root of two: half the divergence."""
    from pgbook.natural_gradient import conjugate_gradient

    natural = conjugate_gradient(product, gradient, 10)
    return (radius / (natural @ product(natural))).sqrt() * natural


@mutant_of("trust_region.full_step")
def step_without_square_root(product, gradient, radius):
    """Scales by the quotient itself."""
    from pgbook.natural_gradient import conjugate_gradient

    natural = conjugate_gradient(product, gradient, 10)
    return 2 * radius / (natural @ product(natural)) * natural


@mutant_of("trust_region.full_step")
def step_along_the_gradient(product, gradient, radius):
    """Goes along the ordinary gradient to the same edge."""
    length = gradient @ product(gradient)
    return (2 * radius / length).sqrt() * gradient


@mutant_of("trust_region.full_step")
def step_downhill(product, gradient, radius):
    """Has the wrong sign."""
    from pgbook.natural_gradient import conjugate_gradient

    natural = conjugate_gradient(product, gradient, 10)
    return -(2 * radius / (natural @ product(natural))).sqrt() * natural


@mutant_of("trust_region.line_search")
def search_without_the_gain(measure, step, radius):
    """Looks at the divergence alone."""
    from pgbook.trust_region import Taken

    kls = []
    for k in range(10):
        gain, kl = measure(0.8**k * step)
        kls.append(kl)
        if kl <= radius:
            return Taken(gain, kl, kls[0], k + 1)
    measure(torch.zeros_like(step))
    return Taken(0.0, 0.0, kls[0], 10)


@mutant_of("trust_region.line_search")
def search_without_the_radius(measure, step, radius):
    """Looks at the surrogate alone."""
    from pgbook.trust_region import Taken

    kls = []
    for k in range(10):
        gain, kl = measure(0.8**k * step)
        kls.append(kl)
        if gain > 0:
            return Taken(gain, kl, kls[0], k + 1)
    measure(torch.zeros_like(step))
    return Taken(0.0, 0.0, kls[0], 10)


@mutant_of("trust_region.line_search")
def search_that_stays_where_it_failed(measure, step, radius):
    """Leaves the policy at the last step that was refused."""
    from pgbook.trust_region import Taken

    kls = []
    for k in range(10):
        gain, kl = measure(0.8**k * step)
        kls.append(kl)
        if gain > 0 and kl <= radius:
            return Taken(gain, kl, kls[0], k + 1)
    return Taken(0.0, 0.0, kls[0], 10)


@mutant_of("trust_region.trpo_step")
def trpo_with_reversed_divergence(policy, observation, action, adv, radius):
    """Measures the divergence from the new to the old policy."""
    from unittest.mock import patch

    from pgbook import trust_region

    true = trust_region.kl_divergence
    with patch.object(trust_region, "kl_divergence", lambda p, q: true(q, p)):
        return _TRPO_STEP(policy, observation, action, adv, radius)


@mutant_of("trust_region.trpo_step")
def trpo_with_centered_advantages(policy, observation, action, adv, radius):
    """Subtracts the mean advantage first."""
    return _TRPO_STEP(policy, observation, action, adv - adv.mean(), radius)


@mutant_of("trust_region.trpo_step")
def trpo_without_damping(policy, observation, action, adv, radius):
    """Adds nothing to the Fisher matrix."""
    from unittest.mock import patch

    from pgbook import trust_region

    with patch.object(trust_region, "DAMPING", 0.0):
        return _TRPO_STEP(policy, observation, action, adv, radius)


@mutant_of("trust_region.trpo_step")
def trpo_against_the_advantages(policy, observation, action, adv, radius):
    """Makes what was good less probable."""
    return _TRPO_STEP(policy, observation, action, -adv, radius)


@mutant_of("gaussian_policies.diagonal_log_prob")
def mean_over_action_dimensions(u, mean, log_std):
    """Averages over the dimensions of the action instead of summing."""
    return torch.distributions.Normal(mean, log_std.exp()).log_prob(u).mean(-1)


@mutant_of("gaussian_policies.diagonal_log_prob")
def density_without_its_width(u, mean, log_std):
    """Forgets log_std in the logarithm: no score for the standard deviation's size."""
    z = (u - mean) / log_std.exp()
    return (-z.square() / 2 - 0.9189385332046727).sum(-1)


@mutant_of("gaussian_policies.diagonal_log_prob")
def log_std_taken_for_log_variance(u, mean, log_std):
    """Takes the parameter for the logarithm of the variance."""
    std = (log_std / 2).exp()
    return torch.distributions.Normal(mean, std).log_prob(u).sum(-1)


@mutant_of("gaussian_policies.diagonal_kl")
def kl_the_other_way_round(mean_p, log_std_p, mean_q, log_std_q):
    """KL(q || p)."""
    p = torch.distributions.Normal(mean_p, log_std_p.exp())
    q = torch.distributions.Normal(mean_q, log_std_q.exp())
    return torch.distributions.kl_divergence(q, p).sum(-1)


@mutant_of("gaussian_policies.diagonal_kl")
def kl_of_the_first_dimension(mean_p, log_std_p, mean_q, log_std_q):
    """Forgets to sum over the dimensions."""
    p = torch.distributions.Normal(mean_p, log_std_p.exp())
    q = torch.distributions.Normal(mean_q, log_std_q.exp())
    return torch.distributions.kl_divergence(p, q)[..., 0]


@mutant_of("gaussian_policies.diagonal_kl")
def kl_of_equal_widths(mean_p, log_std_p, mean_q, log_std_q):
    """Takes q's width for p's: only the means differ."""
    return (((mean_p - mean_q) / log_std_q.exp()).square() / 2).sum(-1)


@mutant_of("gaussian_policies.clipped_log_prob")
def density_of_the_clipped_action(u, mean, log_std, low, high):
    """Takes the normal density at the clipped action."""
    normal = torch.distributions.Normal(mean, log_std.exp())
    return normal.log_prob(u.clamp(low, high)).sum(-1)


@mutant_of("gaussian_policies.clipped_log_prob")
def truncated_instead_of_censored(u, mean, log_std, low, high):
    """Divides the density by the probability inside: draws again until one fits."""
    normal = torch.distributions.Normal(mean, log_std.exp())
    low, high = (torch.as_tensor(bound, dtype=mean.dtype) for bound in (low, high))
    inside = normal.cdf(high) - normal.cdf(low)
    return (normal.log_prob(u.clamp(low, high)) - inside.log()).sum(-1)


@mutant_of("gaussian_policies.clipped_log_prob")
def naive_logarithm_of_the_tail(u, mean, log_std, low, high):
    """Takes log(1 - cdf), which is minus infinity far behind a bound."""
    normal = torch.distributions.Normal(mean, log_std.exp())
    low, high = (torch.as_tensor(bound, dtype=mean.dtype) for bound in (low, high))
    log_prob = torch.where(u <= low, normal.cdf(low).log(), normal.log_prob(u))
    return torch.where(u >= high, (1 - normal.cdf(high)).log(), log_prob).sum(-1)


@mutant_of("gaussian_policies.log_tanh_slope")
def logarithm_of_what_rounding_left(u):
    """Takes log(1 - tanh²), which rounds to log 0."""
    return (1 - u.tanh().square()).log()


@mutant_of("gaussian_policies.log_tanh_slope")
def slope_with_a_small_number_added(u):
    """Keeps the logarithm finite by adding 1e-6 under it."""
    return (1 - u.tanh().square() + 1e-6).log()


@mutant_of("gaussian_policies.log_tanh_slope")
def tanh_slope_without_its_factor_two(u):
    """Forgets that 1/cosh is squared."""
    return 0.6931471805599453 - u - torch.nn.functional.softplus(-2 * u)


def normal_log_prob(u, mean, log_std):
    return torch.distributions.Normal(mean, log_std.exp()).log_prob(u)


def slope_of_tanh(u):
    return 2 * (0.6931471805599453 - u - torch.nn.functional.softplus(-2 * u))


@mutant_of("gaussian_policies.squashed_log_prob")
def squashed_without_the_scale(u, mean, log_std, scale=1.0):
    """Forgets that the interval is wider than (-1, 1)."""
    return (normal_log_prob(u, mean, log_std) - slope_of_tanh(u)).sum(-1)


@mutant_of("gaussian_policies.squashed_log_prob")
def jacobian_added_instead_of_subtracted(u, mean, log_std, scale=1.0):
    """Has the wrong sign before the slope."""
    slope = torch.tensor(float(scale)).double().log() + slope_of_tanh(u)
    return (normal_log_prob(u, mean, log_std) + slope).sum(-1)


@mutant_of("gaussian_policies.squashed_log_prob")
def scale_counted_once_for_all_dimensions(u, mean, log_std, scale=1.0):
    """Subtracts log scale once instead of once per dimension."""
    log_prob = normal_log_prob(u, mean, log_std) - slope_of_tanh(u)
    return log_prob.sum(-1) - torch.tensor(float(scale)).double().log()


def beta_parameters(policy, observation):
    base = policy.distribution(observation).base_dist
    return base.concentration1.double(), base.concentration0.double()


@mutant_of("gaussian_policies.BetaPolicy.sample")
@torch.no_grad()
def beta_with_its_ends_exchanged(self, observation, rng):
    """Exchanges alpha and beta."""
    import scipy.special

    alpha, beta = beta_parameters(self, observation)
    uniform = torch.rand(alpha.shape, generator=rng, dtype=torch.float64)
    draw = scipy.special.betaincinv(beta.numpy(), alpha.numpy(), uniform.numpy())
    return torch.from_numpy(draw).float().clamp(1e-6, 1 - 1e-6)


@mutant_of("gaussian_policies.BetaPolicy.sample")
@torch.no_grad()
def beta_draws_on_the_ends(self, observation, rng):
    """Lets rounding put a draw on 1, where the density is 0."""
    import scipy.special

    alpha, beta = beta_parameters(self, observation)
    uniform = torch.rand(alpha.shape, generator=rng, dtype=torch.float64)
    draw = scipy.special.betaincinv(alpha.numpy(), beta.numpy(), uniform.numpy())
    return torch.from_numpy(draw).float()


@mutant_of("gaussian_policies.BetaPolicy.sample")
@torch.no_grad()
def beta_from_the_global_generator(self, observation, rng):
    """Ignores the generator that it was given."""
    return self.distribution(observation).sample().clamp(1e-6, 1 - 1e-6)


def linear_parts(task, weights):
    """P, M and R + gamma B' P B."""
    cost, moved = task.cost_matrix(weights), task.dynamics + task.control @ weights
    curved = task.action_cost + task.discount * task.control.mT @ cost @ task.control
    return cost, moved, curved


@mutant_of("gaussian_policies.LinearQuadratic.expected_return")
def exploration_costs_nothing(self, weights, std):
    """Forgets what the noise of the actions costs."""
    return -(self.cost_matrix(weights) @ self.start).trace()


@mutant_of("gaussian_policies.LinearQuadratic.expected_return")
def exploration_moves_no_state(self, weights, std):
    """Counts the noise as an action and not as a push on the next state."""
    noise = std**2 / (1 - self.discount) * self.action_cost.trace()
    return -(self.cost_matrix(weights) @ self.start).trace() - noise


@mutant_of("gaussian_policies.LinearQuadratic.expected_return")
def exploration_is_paid_once(self, weights, std):
    """Forgets that noise is paid in every step."""
    cost, _, curved = linear_parts(self, weights)
    return -(cost @ self.start).trace() - std**2 * curved.trace()


@mutant_of("gaussian_policies.LinearQuadratic.gradient")
def gradient_with_fixed_costs(self, weights, std):
    """Leaves out the factor 2 of a quadratic form."""
    cost, _, curved = linear_parts(self, weights)
    pull = self.discount * self.control.mT @ cost @ self.dynamics
    return -(curved @ weights + pull) @ self.occupancy(weights, std)


@mutant_of("gaussian_policies.LinearQuadratic.gradient")
def gradient_at_the_start_only(self, weights, std):
    """Weighs by the first states instead of all of them."""
    cost, _, curved = linear_parts(self, weights)
    pull = self.discount * self.control.mT @ cost @ self.dynamics
    return -2 * (curved @ weights + pull) @ self.start


@mutant_of("gaussian_policies.LinearQuadratic.gradient")
def gradient_without_noise_in_the_states(self, weights, std):
    """Forgets that exploration moves the states."""
    cost, _, curved = linear_parts(self, weights)
    pull = self.discount * self.control.mT @ cost @ self.dynamics
    return -2 * (curved @ weights + pull) @ self.occupancy(weights, 0.0)


def linear_episodes_as(change):
    """A mutant of `linear_quadratic_episodes` that changes its record."""
    from pgbook.gaussian_policies import linear_quadratic_episodes

    @wraps(change)
    def wrong(task, policy, episodes, rng):
        return change(linear_quadratic_episodes(task, policy, episodes, rng), task)

    return wrong


@mutant_of("gaussian_policies.linear_quadratic_episodes")
@linear_episodes_as
def linear_rewards_discounted_twice(tau, task):
    """Discounts rewards although the random end has done so."""
    powers = task.discount ** torch.arange(len(tau.rewards)).double()
    return replace(tau, rewards=tau.rewards * powers[:, None])


@mutant_of("gaussian_policies.linear_quadratic_episodes")
@linear_episodes_as
def linear_costs_without_a_sign(tau, task):
    """Pays the costs as rewards."""
    return replace(tau, rewards=-tau.rewards)


@mutant_of("gaussian_policies.linear_quadratic_episodes")
@linear_episodes_as
def linear_ends_called_truncations(tau, task):
    """Calls the random end a truncation."""
    never = torch.zeros_like(tau.terminated)
    return replace(tau, terminated=never, truncated=tau.terminated)


@mutant_of("ppo.clipped_surrogate_loss")
def clips_without_minimum(log_prob, old_log_prob, adv, epsilon):
    """Clips the ratio on both sides, and forgets the minimum."""
    ratio = (log_prob - old_log_prob).exp().clamp(1 - epsilon, 1 + epsilon)
    return -(ratio * adv).mean()


@mutant_of("ppo.clipped_surrogate_loss")
def clipped_optimist(log_prob, old_log_prob, adv, epsilon):
    """Takes the larger of the two products."""
    ratio = (log_prob - old_log_prob).exp()
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    return -torch.maximum(ratio * adv, clipped * adv).mean()


@mutant_of("ppo.clipped_surrogate_loss")
def never_clips(log_prob, old_log_prob, adv, epsilon):
    """Climbs the plain surrogate."""
    return -((log_prob - old_log_prob).exp() * adv).mean()


@mutant_of("ppo.clipped_surrogate_loss")
def ppo_ratio_upside_down(log_prob, old_log_prob, adv, epsilon):
    """Divides the old probability by the new one."""
    ratio = (old_log_prob - log_prob).exp()
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio * adv, clipped * adv).mean()


@mutant_of("ppo.clipped_surrogate_loss")
def compared_with_itself(log_prob, old_log_prob, adv, epsilon):
    """Takes the present policy for the old one."""
    ratio = (log_prob - log_prob.detach()).exp()
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio * adv, clipped * adv).mean()


@mutant_of("ppo.clip_fraction")
def counts_one_side(log_prob, old_log_prob, epsilon):
    """Counts only what has become more probable."""
    return ((log_prob - old_log_prob).exp() > 1 + epsilon).double().mean()


@mutant_of("ppo.clip_fraction")
def clips_the_log_ratio(log_prob, old_log_prob, epsilon):
    """Compares the logarithm of the ratio with epsilon."""
    return ((log_prob - old_log_prob).abs() > epsilon).double().mean()


@mutant_of("ppo.clip_fraction")
def counts_the_inside(log_prob, old_log_prob, epsilon):
    """Counts what lies within the clip, of an odd number."""
    inside = ((log_prob - old_log_prob).exp() - 1).abs() <= epsilon
    return (inside.double().sum() + 1) / inside.numel()


@mutant_of("ppo.approximate_kl")
def kl_by_the_first_estimator(log_prob, old_log_prob):
    """Is k1: right on average, and often negative."""
    return (old_log_prob - log_prob).mean()


@mutant_of("ppo.approximate_kl")
def kl_by_the_second_estimator(log_prob, old_log_prob):
    """Is k2: half the square of the log-ratio."""
    return (log_prob - old_log_prob).square().mean() / 2


@mutant_of("ppo.approximate_kl")
def kl_the_other_way(log_prob, old_log_prob):
    """Takes the ratio of old to new."""
    log_ratio = old_log_prob - log_prob
    return (log_ratio.expm1() - log_ratio).mean()


@mutant_of("ppo.approximate_kl")
def kl_loses_its_digits(log_prob, old_log_prob):
    """Subtracts 1 from a number close to 1."""
    log_ratio = log_prob - old_log_prob
    return (log_ratio.exp() - 1 - log_ratio).mean()


@mutant_of("ppo.explained_variance")
def explains_squares(v, target):
    """Counts a constant error as unexplained."""
    return 1 - (target - v).square().mean() / target.var(correction=0)


@mutant_of("ppo.explained_variance")
def variance_of_the_values(v, target):
    """Divides the variance of the values by that of the targets."""
    return v.var() / target.var()


@mutant_of("ppo.explained_variance")
def squared_correlation(v, target):
    """Is blind to the size of the values, and to their sign."""
    v, g = v - v.mean(), target - target.mean()
    return (v @ g).square() / (v @ v + 1e-300) / (g @ g)


@mutant_of("ppo.standardized")
def scaled_but_not_centered(adv):
    """Forgets to subtract the mean."""
    return adv / (adv.std() + 1e-8)


@mutant_of("ppo.standardized")
def centered_but_not_scaled(adv):
    """Forgets to divide by the standard deviation."""
    return adv - adv.mean()


@mutant_of("ppo.standardized")
def divided_by_the_variance(adv):
    """Divides by the variance."""
    return (adv - adv.mean()) / (adv.var() + 1e-8)


def right_ppo(name):
    """Return the function that a mutant replaces, loaded a second time."""
    path = importlib.import_module("pgbook.ppo").__file__
    return runpy.run_path(path)[name]


@mutant_of("ppo.update")
def fillers_are_decisions(policy, critic, optimizer, record, rng, **settings):
    """Learns from the steps that Gymnasium inserts after an end."""
    record = replace(record, valid=torch.ones_like(record.valid))
    return right_ppo("update")(policy, critic, optimizer, record, rng, **settings)


@mutant_of("ppo.update")
def cut_recordings_are_ends(policy, critic, optimizer, record, rng, **settings):
    """Takes a truncation for a termination."""
    record = replace(record, terminated=record.terminated | record.truncated)
    return right_ppo("update")(policy, critic, optimizer, record, rng, **settings)


@mutant_of("ppo.update")
def gradient_is_never_cut(policy, critic, optimizer, record, rng, **settings):
    """Ignores max_norm."""
    settings |= {"max_norm": float("inf")}
    return right_ppo("update")(policy, critic, optimizer, record, rng, **settings)


@mutant_of("ppo.update")
def never_stops_early(policy, critic, optimizer, record, rng, **settings):
    """Ignores max_kl."""
    settings |= {"max_kl": float("inf")}
    return right_ppo("update")(policy, critic, optimizer, record, rng, **settings)


@mutant_of("ppo.update")
def punishes_entropy(policy, critic, optimizer, record, rng, **settings):
    """Has the wrong sign before the entropy."""
    settings["entropy_weight"] = -settings.get("entropy_weight", 0.0)
    return right_ppo("update")(policy, critic, optimizer, record, rng, **settings)


@mutant_of("ppo.update")
def old_policy_moves_along(policy, critic, optimizer, record, rng, **settings):
    """Records the old policy anew in each epoch."""
    epochs, seen = settings.pop("epochs", 4), None
    for _ in range(epochs):
        seen = right_ppo("update")(
            policy, critic, optimizer, record, rng, epochs=1, **settings
        )
    return seen


@mutant_of("ppo.train")
def step_size_stays(envs, policy, critic, rng, *, step_size=3e-3, **settings):
    """Does not anneal."""
    settings |= {"step_size": step_size, "last_step_size": step_size}
    return right_ppo("train")(envs, policy, critic, rng, **settings)


@mutant_of("ppo.train")
def spends_the_budget_always(envs, policy, critic, rng, **settings):
    """Ignores until."""
    settings |= {"until": float("inf")}
    return right_ppo("train")(envs, policy, critic, rng, **settings)


@mutant_of("ppo.train")
def counts_decisions_of_one_environment(envs, policy, critic, rng, **settings):
    """Divides the number of decisions by that of the environments."""
    episodes, health = right_ppo("train")(envs, policy, critic, rng, **settings)
    return [(steps // envs.num_envs, r) for steps, r in episodes], health


if __name__ == "__main__":
    sys.modules["mutants"] = sys.modules["__main__"]
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1]))
