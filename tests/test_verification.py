"""Every check can fail, and says what it found in words that never vary."""

import json
import math

import pytest
import torch
from scipy import stats

from pgbook import verification
from pgbook.reporting import report, with_minus
from pgbook.verification import (
    Verified,
    refute,
    verify,
    verify_at_most,
    verify_lines,
    verify_slope,
    verify_unbiased,
)


def normal(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def test_the_line_has_label_method_count_and_tolerance():
    line = verify("eq-a", torch.zeros(4, 6), torch.zeros(4, 6), by="enumeration")
    assert repr(line) == "eq-a ✓ enumeration, 24 numbers, within 1e-10"


def test_the_measured_difference_is_recorded_and_not_printed():
    line = verify("eq-a", 1.0, 1.0 + 2e-11, by="autograd")
    assert line.difference == pytest.approx(2e-11, rel=1e-4)
    assert repr(line) == repr(verify("eq-a", 1.0, 1.0, by="autograd"))


def test_the_displayed_role_holds_the_record(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    line = Verified("eq-a", "autograd", "1 number, within 1e-10", 1, 0.0)
    line.show()
    (data,) = shown
    assert data["text/plain"] == repr(line)
    role, record = data["text/markdown"].split("`")[:2]
    assert role == "{verified}"
    assert Verified(**json.loads(record)) == line


@pytest.mark.parametrize("wrong", [1 + 2e-10, math.nan, math.inf])
def test_verify_rejects_a_wrong_number(wrong):
    with pytest.raises((AssertionError, ValueError)):
        verify("eq-a", [0.0, wrong], [0.0, 1.0], by="autograd")


def test_verify_allows_what_rtol_allows():
    verify("eq-a", 1001.0, 1000.0, rtol=0.0011, by="autograd")
    with pytest.raises(AssertionError):
        verify("eq-a", 1001.0, 1000.0, rtol=0.0009, by="autograd")


def test_verify_lines_names_the_line_that_differs():
    with pytest.raises(AssertionError, match="line 3"):
        verify_lines("eq-a", [1.0, 1.0, 1.1, 1.0], by="symbolic")


def test_verify_at_most_rejects_one_larger_entry():
    verify_at_most("eq-a", [1.0, 2.0], [1.0, 3.0], by="quadrature")
    with pytest.raises(AssertionError):
        verify_at_most("eq-a", [1.0, 3.1], [1.0, 3.0], by="quadrature")


def test_verify_slope_tells_two_rates_apart():
    x = torch.tensor([10.0, 100.0, 1000.0])
    verify_slope("eq-a", x, 5 * x**-0.5, -0.5, 0.01)
    with pytest.raises(AssertionError):
        verify_slope("eq-a", x, 5 * x**-0.6, -0.5, 0.05)


def test_refute_raises_when_the_two_sides_agree():
    assert repr(refute("not-a", 1.0, 2.0)).startswith("not-a ✗ enumeration, refuted")
    with pytest.raises(AssertionError):
        refute("not-a", 1.0, 1.0 + 1e-11)


def test_hotelling_agrees_with_the_one_sample_t_test():
    samples = normal(50, 1)
    chance = stats.ttest_1samp(samples[:, 0].numpy(), 0.3).pvalue
    shifted = torch.tensor([0.3])
    verify_unbiased("eq-a", samples, shifted, false_alarm=chance * 0.999)
    with pytest.raises(AssertionError):
        verify_unbiased("eq-a", samples, shifted, false_alarm=chance * 1.001)


def test_unbiased_rejects_as_often_as_it_says():
    rejected = 0
    for seed in range(400):
        try:
            verify_unbiased(
                "eq-a", normal(30, 3, seed=seed), torch.zeros(3), false_alarm=0.1
            )
        except AssertionError:
            rejected += 1
    low, high = stats.binom.interval(1 - 1e-6, 400, 0.1)
    assert low <= rejected <= high


def test_unbiased_catches_the_shift_that_it_names():
    n = 200
    line = verify_unbiased("eq-a", normal(n, 2), torch.zeros(2))
    named = float(line.text.split("a shift of ")[1].split()[0])
    caught = 0
    for seed in range(300):
        samples = normal(n, 2, seed=seed)
        try:
            verify_unbiased("eq-a", samples, torch.tensor([named / n**0.5, 0.0]))
        except AssertionError:
            caught += 1
    assert caught >= stats.binom.ppf(1e-6, 300, 0.999)


def test_unbiased_compares_directions_without_variance_exactly():
    x = normal(100, 1)
    samples = torch.cat([x, -x], dim=1)  # the sum is 0 for certain
    verify_unbiased("eq-a", samples, torch.zeros(2))
    with pytest.raises(AssertionError, match="no variance"):
        verify_unbiased("eq-a", samples, torch.tensor([1e-6, 1e-6]))


@pytest.mark.parametrize("seed", range(4))
def test_unbiased_takes_rounding_for_no_variance(seed):
    x, spread = normal(5000, 2, seed=seed), normal(2, 9, seed=seed + 10)
    of_two = verify_unbiased("eq-a", x, torch.zeros(2)).text
    of_nine = verify_unbiased("eq-a", x @ spread, torch.zeros(9)).text
    assert of_nine == of_two.replace("2 numbers", "9 numbers")
    with pytest.raises(AssertionError, match="no variance"):
        off = torch.linalg.svd(spread).Vh[-1]  # a direction that the samples lack
        verify_unbiased("eq-a", x @ spread, 1e-6 * off)


def test_unbiased_with_constant_samples_is_an_identity():
    verify_unbiased("eq-a", torch.ones(10, 2), torch.ones(2))
    with pytest.raises(AssertionError, match="no variance"):
        verify_unbiased("eq-a", torch.ones(10, 2), torch.tensor([1.0, 1.1]))


def test_report_prints_what_the_prose_shows(capsys):
    report("slope", -0.4987, ".2f")
    assert capsys.readouterr().out == "slope: -0.50\n"


ZERO = torch.zeros(3)


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: verify("not-a", 1.0, 1.0, by="autograd"), "label"),
        (lambda: verify("eq-a", 1.0, 1.0, by="magic"), "by"),
        (lambda: verify("eq-a", ZERO, ZERO[:2], by="autograd"), "sides"),
        (lambda: verify("eq-a", ZERO[:0], ZERO[:0], by="autograd"), "sides"),
        (lambda: verify("eq-a", math.nan, math.nan, by="autograd"), "sides"),
        (lambda: verify_lines("eq-a", [1.0], by="autograd"), "lines"),
        (lambda: verify_at_most("eq-a", ZERO, 1.0, by="autograd"), "sides"),
        (lambda: verify_slope("eq-a", [1.0, 2.0], [1.0, 2.0], 1, 0.1), "x"),
        (lambda: verify_slope("eq-a", [1.0, 1.0, 1.0], [1.0, 2.0, 3.0], 1, 0.1), "x"),
        (lambda: verify_slope("eq-a", [1.0, 2.0, 3.0], [1.0, 0.0, 3.0], 1, 0.1), "y"),
        (lambda: refute("eq-a", 1.0, 2.0), "label"),
        (lambda: refute("not-a", ZERO, ZERO[:2]), "sides"),
        (lambda: verify_unbiased("eq-a", ZERO, ZERO), "samples"),
        (lambda: verify_unbiased("eq-a", normal(4, 3), ZERO), "samples"),
        (lambda: verify_unbiased("eq-a", normal(9, 3), ZERO[:2]), "expected"),
        (lambda: verify_unbiased("eq-a", normal(9, 3) / 0, ZERO), "samples"),
        (
            lambda: verify_unbiased("eq-a", normal(9, 3), ZERO, false_alarm=0),
            "false_alarm",
        ),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


def test_methods_are_those_of_the_ledger():
    assert len(set(verification.METHODS)) == 6


@pytest.mark.parametrize(
    "text, written",
    [
        ("-1.5", "~1.5"),
        ("-2 (-3 to 1e-10)", "~2 (~3 to 1e~10)"),
        ("from -∞", "from ~∞"),
        ("Acrobot-v1, 2026-11-28, pages 1-3, --2, x-1", None),
    ],
)
def test_a_number_has_a_minus_and_a_compound_its_hyphen(text, written):
    assert with_minus(text) == (written or text).replace("~", "\N{MINUS SIGN}")
