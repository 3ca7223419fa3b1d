"""Policies against hand-written formulas, and their draws against exact frequencies."""

from math import e, exp, log, pi, sqrt

import gymnasium
import pytest
import scipy.stats
import torch

from pgbook.policies import (
    CategoricalNetwork,
    CategoricalPolicy,
    DiagonalGaussian,
    GaussianPolicy,
    LinearGaussian,
    SharedLogit,
    TabularSoftmax,
    ValueNetwork,
)

FALSE_ALARM = 1e-6
POWER = 0.999


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def states(*indices):
    return torch.tensor(indices)


def float64(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def filled_table():
    policy = TabularSoftmax(2, 3)
    policy.theta.data = float64([0, log(2), log(5)], [-1, 3, 0.5])
    return policy


def linear():
    return LinearGaussian(float64([1, -2], [0.5, 0], [0, 3]), 0.5)


def network():
    return CategoricalNetwork(4, 3, (8, 5), rng=seeded()).double()


def gaussian():
    policy = DiagonalGaussian(4, 2, (8, 5), rng=seeded()).double()
    policy.log_std.data = float64(0.3, -0.7)
    return policy


def vectors(size, *batch, seed=1):
    return torch.randn(*batch, size, generator=seeded(seed), dtype=torch.float64)


EVERY_POLICY = [
    pytest.param(SharedLogit(0.3), states(0, 1, 2), id="shared logit"),
    pytest.param(filled_table(), states(0, 1, 1), id="table"),
    pytest.param(network(), vectors(4, 3), id="network"),
    pytest.param(gaussian(), vectors(4, 3), id="diagonal Gaussian"),
    pytest.param(linear(), vectors(2, 3), id="linear Gaussian"),
]
every_policy = pytest.mark.parametrize(("policy", "observation"), EVERY_POLICY)


@pytest.mark.parametrize("theta", [-2.0, 0.0, 0.7])
def test_shared_logit_takes_action_one_with_probability_sigma(theta):
    p = 1 / (1 + exp(-theta))
    distribution = SharedLogit(theta).distribution(states(4, 0))
    got = distribution.log_prob(states(1, 0))
    torch.testing.assert_close(got, float64(log(p), log(1 - p)))
    entropy = -p * log(p) - (1 - p) * log(1 - p)
    torch.testing.assert_close(distribution.entropy(), float64(entropy, entropy))


def test_score_of_the_shared_logit_is_action_minus_probability():
    policy = SharedLogit(0.7)
    p = 1 / (1 + exp(-0.7))
    for action in (0, 1):
        log_prob = policy.distribution(states(3)).log_prob(states(action))
        (score,) = torch.autograd.grad(log_prob, policy.theta)
        assert score.item() == pytest.approx(action - p, abs=1e-12)


def test_shared_logit_table_has_a_row_per_state_and_the_gradient_p_times_1_minus_p():
    policy = SharedLogit(0.7)
    p = 1 / (1 + exp(-0.7))
    table = policy.table(3)
    torch.testing.assert_close(table, float64(*[[1 - p, p]] * 3))
    (gradient,) = torch.autograd.grad(table[:, 1].sum(), policy.theta)
    assert gradient.item() == pytest.approx(3 * p * (1 - p), abs=1e-12)


def test_softmax_probabilities_by_hand():
    """Logits 0, log 2, log 5 are the odds 1 : 2 : 5."""
    policy = filled_table()
    torch.testing.assert_close(policy.table()[0], float64(1 / 8, 2 / 8, 5 / 8))
    got = policy.distribution(states(0, 0, 0)).log_prob(states(0, 1, 2)).exp()
    torch.testing.assert_close(got, float64(1 / 8, 2 / 8, 5 / 8))
    odds = [exp(-1), exp(3), exp(0.5)]
    want = float64(*[odd / sum(odds) for odd in odds])
    torch.testing.assert_close(policy.distribution(states(1)).probs[0], want)
    torch.testing.assert_close(policy.table()[1], want)


def test_a_new_table_is_uniform_and_has_the_dtype_that_was_asked_for():
    policy = TabularSoftmax(3, 4)
    assert policy.table().tolist() == [[0.25] * 4] * 3
    assert policy.theta.dtype == torch.float64
    assert TabularSoftmax(3, 4, torch.float32).table().dtype == torch.float32


def test_score_of_the_softmax_table_is_indicator_minus_probability():
    odds = [[1, 2, 5], [exp(-1), exp(3), exp(0.5)]]
    for state in range(2):
        for action in range(3):
            policy = filled_table()
            policy.distribution(states(state)).log_prob(states(action)).backward()
            want = torch.zeros(2, 3, dtype=torch.float64)
            for other in range(3):
                p = odds[state][other] / sum(odds[state])
                want[state, other] = float(other == action) - p
            torch.testing.assert_close(policy.theta.grad, want)


def test_gradient_of_the_table_is_the_jacobian_of_softmax():
    policy = filled_table()
    pi_1 = [odd / (exp(-1) + exp(3) + exp(0.5)) for odd in (exp(-1), exp(3), exp(0.5))]
    (gradient,) = torch.autograd.grad(policy.table()[1, 0], policy.theta)
    want = [pi_1[0] * ((a == 0) - pi_1[a]) for a in range(3)]
    torch.testing.assert_close(gradient, float64([0, 0, 0], want))


def by_hand(policy, observation):
    """Three layers, two tanh."""
    for i in (0, 2, 4):
        weight = policy.state_dict()[f"network.{i}.weight"]
        bias = policy.state_dict()[f"network.{i}.bias"]
        observation = torch.einsum("...s,hs->...h", observation, weight) + bias
        observation = observation.tanh() if i < 4 else observation
    return observation


def test_network_log_probabilities_are_log_softmax_of_a_tanh_network():
    policy, observation = network(), vectors(4, 6, 7)
    action = torch.randint(3, (6, 7), generator=seeded())
    out = by_hand(policy, observation)
    odds = out.exp()
    chosen = (torch.arange(3) == action[..., None]).double()
    want = (odds * chosen).sum(-1).log() - odds.sum(-1).log()
    got = policy.distribution(observation).log_prob(action)
    assert got.shape == (6, 7)
    torch.testing.assert_close(got, want)


def normal_log_density(value, mean, std):
    return -(((value - mean) / std) ** 2) / 2 - log(std) - log(2 * pi) / 2


def test_gaussian_log_probability_is_the_sum_over_dimensions():
    policy, observation, action = gaussian(), vectors(4, 6, 7), vectors(2, 6, 7, seed=2)
    mean = by_hand(policy, observation)
    want = normal_log_density(action[..., 0], mean[..., 0], e**0.3)
    want = want + normal_log_density(action[..., 1], mean[..., 1], e**-0.7)
    distribution = policy.distribution(observation)
    assert distribution.batch_shape == (6, 7) and distribution.event_shape == (2,)
    torch.testing.assert_close(distribution.log_prob(action), want)
    entropy = 0.3 - 0.7 + log(2 * pi * e)
    want = torch.full((6, 7), entropy, dtype=torch.float64)
    torch.testing.assert_close(distribution.entropy(), want)


def test_linear_gaussian_has_mean_k_s_and_one_standard_deviation():
    policy = linear()
    distribution = policy.distribution(float64([1, 2], [0, 1]))
    torch.testing.assert_close(distribution.mean, float64([-3, 0.5, 6], [-2, 0, 3]))
    action = float64([-3, 0, 6], [-2, 0, 4])
    one = log(0.5) + log(2 * pi) / 2
    want = float64(-3 * one - 0.5, -3 * one - 2)
    torch.testing.assert_close(distribution.log_prob(action), want)


def test_score_of_the_linear_gaussian_by_hand():
    """grad_K log pi = (a - K s) s' / std²."""
    policy, state, action = linear(), float64(1, 2), float64(-2, 0.5, 7)
    policy.distribution(state).log_prob(action).backward()
    want = float64([4, 8], [0, 0], [4, 8])
    torch.testing.assert_close(policy.weights.grad, want)


def test_constructors_take_copies():
    theta = torch.tensor(0.3, dtype=torch.float64)
    weights = torch.eye(2)
    shared, linear = SharedLogit(theta), LinearGaussian(weights, 1)
    theta += 1
    weights += 1
    assert shared.theta.item() == 0.3
    assert torch.equal(linear.weights, torch.eye(2))


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (SharedLogit(0), "theta"),
        (TabularSoftmax(2, 2), "theta"),
        (LinearGaussian(torch.eye(2), 1), "weights"),
        (CategoricalNetwork(3, 2, (), rng=seeded()), "network.0.bias network.0.weight"),
        (
            DiagonalGaussian(3, 2, (), rng=seeded()),
            "log_std network.0.bias network.0.weight",
        ),
    ],
)
def test_parameters_are_what_is_learned(policy, names):
    assert sorted(name for name, _ in policy.named_parameters()) == names.split()


@pytest.mark.parametrize("kind", [CategoricalNetwork, DiagonalGaussian])
def test_networks_start_orthogonal_with_a_small_last_layer(kind):
    policy = kind(4, 3, (8, 5), rng=seeded())
    weights = [policy.network[i].weight for i in (0, 2, 4)]
    assert [list(w.shape) for w in weights] == [[8, 4], [5, 8], [3, 5]]
    for weight, gain, tall in zip(
        weights, (sqrt(2), sqrt(2), 0.01), (True, False, False), strict=True
    ):
        gram = weight.T @ weight if tall else weight @ weight.T
        torch.testing.assert_close(gram, gain**2 * torch.eye(len(gram)))
        assert weight.dtype == torch.float32
    assert all(not policy.network[i].bias.any() for i in (0, 2, 4))


def test_sizes_may_come_from_a_space_of_gymnasium():
    space = gymnasium.spaces.Discrete(3)
    assert CategoricalNetwork(4, space.n, rng=seeded()).logits(vectors(4)).shape == (3,)


def test_value_network_is_a_tanh_network_with_one_orthogonal_output():
    critic = ValueNetwork(4, (8, 5), rng=seeded()).double()
    observation = vectors(4, 3, 2)
    hidden = observation
    for i in (0, 2):
        layer = critic.network[i]
        hidden = torch.tanh(hidden @ layer.weight.T + layer.bias)
    last = critic.network[4]
    expected = (hidden @ last.weight.T + last.bias)[..., 0]
    torch.testing.assert_close(critic(observation), expected)
    assert last.weight.norm().item() == pytest.approx(1, abs=1e-6)
    assert not last.bias.any()


@pytest.mark.parametrize("kind", [CategoricalNetwork, DiagonalGaussian])
def test_networks_are_drawn_from_rng_alone(kind):
    state = torch.get_rng_state()
    one, same, other = (kind(4, 3, rng=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name])
    assert not torch.equal(one.network[2].weight, other.network[2].weight)


@every_policy
def test_samples_repeat_with_rng_and_leave_the_global_generator_alone(
    policy, observation
):
    state = torch.get_rng_state()
    many = observation.repeat_interleave(50, 0)
    one, same, other = (policy.sample(many, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


@every_policy
@pytest.mark.parametrize("batch", [(), (5,), (2, 5)], ids=str)
def test_shapes_of_samples_and_log_probabilities(policy, observation, batch):
    observation = observation[0].expand(batch + observation.shape[1:])
    action = policy.sample(observation, seeded())
    distribution = policy.distribution(observation)
    assert not action.requires_grad
    assert action.shape == batch + distribution.event_shape
    assert distribution.log_prob(action).shape == batch
    assert distribution.entropy().shape == batch
    assert distribution.log_prob(action).requires_grad


@every_policy
def test_log_probabilities_reach_every_parameter(policy, observation):
    action = policy.sample(observation, seeded())
    total = policy.distribution(observation).log_prob(action).sum()
    gradients = torch.autograd.grad(total, list(policy.parameters()))
    assert all(gradient.any() for gradient in gradients)


def assert_frequencies(counts, expected, wrong):
    """Chi-square against `expected`, with POWER to see `wrong` instead."""
    expected, wrong = torch.as_tensor(expected), torch.as_tensor(wrong)
    n, freedom = counts.sum().item(), len(counts) - 1
    threshold = scipy.stats.chi2.isf(FALSE_ALARM, freedom)
    shift = n * ((wrong - expected) ** 2 / expected).sum().item()
    assert scipy.stats.ncx2.sf(threshold, freedom, shift) > POWER
    statistic = ((counts - n * expected) ** 2 / (n * expected)).sum().item()
    assert statistic < threshold


def test_shared_logit_is_sampled_with_its_frequencies():
    """40,000 draws see a probability that is wrong by 0.02."""
    p = 1 / (1 + exp(-0.7))
    action = SharedLogit(0.7).sample(torch.zeros(40_000).long(), seeded())
    assert_frequencies(
        action.bincount(minlength=2), [1 - p, p], [1 - p - 0.02, p + 0.02]
    )


def test_table_is_sampled_with_the_frequencies_of_each_state():
    """20,000 draws see logits that are wrong by a factor of 0.9."""
    policy = filled_table()
    action = policy.sample(states(0, 1).repeat(20_000, 1), seeded())
    for state, logits in enumerate([[0, log(2), log(5)], [-1, 3, 0.5]]):
        expected, wrong = (
            float64(*[exp(scale * logit) for logit in logits]) for scale in (1, 0.9)
        )
        counts = action[:, state].bincount(minlength=3)
        assert_frequencies(counts, expected / expected.sum(), wrong / wrong.sum())


def test_network_is_sampled_with_its_frequencies():
    """20,000 draws see the uniform policy."""
    policy = network()
    policy.network[4].weight.data *= 100
    observation = vectors(4)
    odds = by_hand(policy, observation).exp()
    action = policy.sample(observation.expand(20_000, 4), seeded())
    wrong = torch.full((3,), 1 / 3, dtype=torch.float64)
    assert_frequencies(action.bincount(), odds / odds.sum(), wrong)


@pytest.mark.parametrize(
    ("policy", "mean", "std"),
    [
        (gaussian(), by_hand(gaussian(), vectors(4)).tolist(), [e**0.3, e**-0.7]),
        (linear(), (linear().weights @ vectors(2)).tolist(), [0.5] * 3),
    ],
    ids=["diagonal", "linear"],
)
def test_gaussians_are_sampled_with_their_mean_and_deviation(policy, mean, std):
    """40,000 draws in ten bins see a mean off by 5 % of std, or std off by 5 %."""
    observation = vectors(4 if policy.state_dict().get("log_std") is not None else 2)
    n, inner = 40_000, torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    action = policy.sample(observation.expand(n, -1), seeded())
    standard = torch.distributions.Normal(float64(0.0), float64(1.0))
    edges = standard.icdf(inner)
    full = torch.tensor([0.0, *inner.tolist(), 1.0], dtype=torch.float64)
    for i in range(len(mean)):
        place = torch.bucketize((action[:, i] - mean[i]) / std[i], edges)
        for wrong in (edges - 0.05, edges / 1.05):
            moved = torch.cat([full[:1], standard.cdf(wrong), full[-1:]])
            assert_frequencies(place.bincount(minlength=10), full.diff(), moved.diff())


def test_dimensions_of_a_gaussian_are_drawn_independently():
    """Twice atanh of the correlation of n pairs is normal with variance 1 / (n - 3)."""
    n = 40_000
    action = linear().sample(float64(1, 2).expand(n, 2), seeded())
    threshold = scipy.stats.norm.isf(FALSE_ALARM / 2 / 3) / sqrt(n - 3)
    correlation = torch.corrcoef(action.T)[*torch.triu_indices(3, 3, 1)]
    assert correlation.atanh().abs().max() < threshold < 0.05


def test_observations_are_converted_to_the_dtype_of_the_parameters():
    double = CategoricalNetwork(4, 3, rng=seeded())
    assert double.distribution(vectors(4, 2)).logits.dtype == torch.float32
    assert network().distribution(vectors(4, 2).float()).logits.dtype == torch.float64


def nan_mean():
    policy = linear()
    policy.weights.data[0, 0] = torch.nan
    policy.sample(float64(1, 1), seeded())


def bad_observations():
    """The same wrong observations, to `sample` and to `distribution`."""
    none, nan = vectors(4, 0), vectors(4, 2) * torch.nan
    table, net = TabularSoftmax(3, 2), network()
    for policy, observation in [
        (table, states(0, 3)),
        (table, states(-1, 0)),
        (table, float64(0, 1)),
        (table, torch.tensor([True])),
        (table, torch.zeros(0).long()),
        (SharedLogit(0), float64(0, 1)),
        (SharedLogit(0), torch.zeros(0).long()),
        *[(net, wrong) for wrong in (vectors(3, 2), states(1, 2, 3, 4), none, nan)],
        (gaussian(), vectors(5)),
        (gaussian(), torch.tensor(1.0)),
        (linear(), vectors(3, 2)),
        (linear(), torch.ones(2).long()),
    ]:
        for method in (policy.distribution, lambda o, p=policy: p.sample(o, seeded())):
            yield (lambda m=method, o=observation: m(o)), "observation"


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        *bad_observations(),
        (nan_mean, "mean"),
        (lambda: SharedLogit(torch.zeros(2)), "theta"),
        (lambda: SharedLogit(float("nan")), "theta"),
        (lambda: SharedLogit(0).table(0), "states"),
        (lambda: TabularSoftmax(0, 2), "states"),
        (lambda: TabularSoftmax(2, 1.5), "actions"),
        (lambda: CategoricalNetwork(0, 2, rng=seeded()), "observation_size"),
        (lambda: CategoricalNetwork(2, 0, rng=seeded()), "actions"),
        (lambda: CategoricalNetwork(2, 2, (4, 0), rng=seeded()), "hidden"),
        (lambda: DiagonalGaussian(0, 2, rng=seeded()), "observation_size"),
        (lambda: DiagonalGaussian(2, -1, rng=seeded()), "action_size"),
        (lambda: DiagonalGaussian(2, 2, (0.5,), rng=seeded()), "hidden"),
        (lambda: ValueNetwork(0, rng=seeded()), "observation_size"),
        (lambda: ValueNetwork(2, (0,), rng=seeded()), "hidden"),
        (lambda: ValueNetwork(2, rng=seeded())(vectors(3)), "observation"),
        (lambda: LinearGaussian(torch.ones(3), 1), "weights"),
        (lambda: LinearGaussian(torch.ones(0, 3), 1), "weights"),
        (lambda: LinearGaussian(torch.ones(2, 3).long(), 1), "weights"),
        (lambda: LinearGaussian(torch.full((2, 3), torch.inf), 1), "weights"),
        (lambda: LinearGaussian(torch.eye(2), 0), "std"),
        (lambda: LinearGaussian(torch.eye(2), float("nan")), "std"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


@pytest.mark.parametrize(
    ("policy", "observation", "action"),
    [
        (SharedLogit(0.3), states(0), states(2)),
        (filled_table(), states(0), states(-1)),
        (network(), vectors(4), torch.tensor(0.5)),
        (linear(), vectors(2), float64(0, 0, torch.nan)),
        (gaussian(), vectors(4), float64(torch.nan, 0)),
    ],
)
def test_an_action_outside_the_support_has_no_log_probability(
    policy, observation, action
):
    with pytest.raises(ValueError, match="support"):
        policy.distribution(observation).log_prob(action)


@pytest.mark.parametrize(
    ("base", "method"), [(CategoricalPolicy, "logits"), (GaussianPolicy, "mean")]
)
def test_a_new_kind_of_policy_has_to_say_what_it_computes(base, method):
    with pytest.raises(NotImplementedError):
        getattr(base(), method)(torch.zeros(1))
