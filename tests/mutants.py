"""Wrong versions (mutants) of estimators and shared rooms; the tests reject every one.

A mutant replaces the function that it names while `tests/test_<module>.py` runs, and
that run must fail. The docstring says what is wrong.

`python tests/mutants.py monte_carlo` prints which mutants of a module were rejected.
"""

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
                status = int(pytest.main(["-x", tests_of(mutant.module)]))
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
    runpy.run_path(tests_of(module))  # what it imports is there before each fork
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


if __name__ == "__main__":
    sys.modules["mutants"] = sys.modules["__main__"]
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1]))
