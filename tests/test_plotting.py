"""The pictures show the numbers that they were given."""

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

from pgbook.plotting import (
    gradient_cloud,
    learning_curve,
    policy_arrows,
    use_book_style,
)

matplotlib.use("Agg")


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_learning_curve_draws_the_mean_and_its_student_interval(axes):
    returns = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    learning_curve(axes, torch.tensor([10, 20]), returns, "two runs")
    assert axes.lines[0].get_xydata().tolist() == [[10, 2], [20, 4]]
    top = axes.collections[0].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(4 + 12.7062 * 2, abs=1e-3)  # t = 12.7062, s / √2 = 2


def test_gradient_cloud_draws_samples_their_mean_and_the_exact_one(axes):
    samples = torch.tensor([[0.0, 2.0], [2.0, 4.0]])
    gradient_cloud(axes, samples, torch.tensor([1.0, 5.0]), "REINFORCE")
    assert axes.collections[0].get_offsets().tolist() == samples.tolist()
    mean, exact = (line.get_xydata().tolist() for line in axes.lines)
    assert mean == [[1, 3]] and exact == [[1, 5]]


def test_policy_arrows_are_as_long_as_actions_are_probable(axes):
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    pi = torch.tensor([[0.25, 0.75]])
    policy_arrows(axes, pi, directions, torch.tensor([[3.0, 4.0]]))
    arrows = axes.collections[0]
    assert arrows.U.tolist() == [0.25, 0] and arrows.V.tolist() == [0, 0.75]


def test_book_style_makes_svg_reproducible():
    with matplotlib.rc_context():
        use_book_style()
        assert matplotlib.rcParams["svg.hashsalt"] == "pgbook"


TWO = torch.zeros(2)


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda a: learning_curve(a, TWO[None], torch.zeros(2, 2), "x"), "steps"),
        (lambda a: learning_curve(a, TWO, torch.zeros(2, 3), "x"), "returns"),
        (lambda a: learning_curve(a, TWO, torch.zeros(1, 2), "x"), "returns"),
        (lambda a: learning_curve(a, TWO, torch.zeros(2, 2) / 0, "x"), "returns"),
        (lambda a: gradient_cloud(a, TWO, TWO, "x"), "samples"),
        (lambda a: gradient_cloud(a, TWO[None], TWO[:1], "x"), "exact"),
        (lambda a: gradient_cloud(a, TWO[None] / 0, TWO, "x"), "samples"),
        (lambda a: policy_arrows(a, TWO, TWO, TWO), "pi"),
        (lambda a: policy_arrows(a, TWO[None], TWO[None], TWO[None]), "directions"),
        (
            lambda a: policy_arrows(a, TWO[None], torch.zeros(2, 2), TWO),
            "positions",
        ),
    ],
)
def test_bad_input_names_the_argument(axes, call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call(axes)
