"""`verify` and its relatives: the only way in which a chapter checks a claim.

Every function raises when the claim fails and otherwise returns a `Verified`, one
line in a notebook. The line holds nothing that differs between processors; the
measured difference travels in the record, for the ledger of the book.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from scipy import optimize, stats
from torch import Tensor

from pgbook._checks import require, require_finite, require_not_empty, require_one_of

METHODS = (
    "enumeration",
    "linear solve",
    "autograd",
    "symbolic",
    "quadrature",
    "simulation",
)


@dataclass(frozen=True)
class Verified:
    """One claim that held, or one false statement that was refuted.

    Attributes:
        label: label of the displayed equation.
        by: one of METHODS.
        text: what was found; the same on every machine.
        count: how many numbers were compared.
        difference: the largest difference; never printed, since its last bits
            depend on the processor.
        mark: a tick, or a cross for a false statement.
    """

    label: str
    by: str
    text: str
    count: int
    difference: float
    mark: str = "✓"

    def __repr__(self) -> str:
        return f"{self.label} {self.mark} {self.by}, {self.text}"

    def show(self) -> None:
        """Display the line: text for a comparison, html, and a role for the book."""
        from IPython.display import display

        data = {
            "text/plain": repr(self),
            "text/html": f'<div class="verified-line">{self!r}</div>',
            "text/markdown": f"{{verified}}`{json.dumps(asdict(self))}`",
        }
        display(data, raw=True)

    def _ipython_display_(self) -> None:
        """Do nothing: the call that made this line has shown it already."""


def verify(
    label: str,
    actual: Tensor | float,
    expected: Tensor | float,
    *,
    rtol: float = 0.0,
    atol: float = 1e-10,
    by: str,
) -> Verified:
    """Two sides of an equation agree.

        |actual - expected| <= atol + rtol * |expected|,  entry by entry

    Args:
        label: label of the equation, "eq-…".
        actual: one side, any shape.
        expected: the other side, the same shape.
        rtol: relative tolerance.
        atol: absolute tolerance, in the unit of the two sides.
        by: one of METHODS.

    Returns:
        The line to show.

    Raises:
        AssertionError: if they differ by more.
        ValueError: if shapes differ, or there is nothing or NaN to compare.
    """
    return verify_lines(label, [actual, expected], rtol=rtol, atol=atol, by=by)


def verify_lines(
    label: str,
    lines: Sequence[Tensor | float],
    *,
    rtol: float = 0.0,
    atol: float = 1e-10,
    by: str,
) -> Verified:
    """Every line of a derivation equals its first line.

    Args:
        label: label of the derivation, "eq-…".
        lines: the value of each line, at least two, of one shape.
        rtol: relative tolerance.
        atol: absolute tolerance, in the unit of the lines.
        by: one of METHODS.

    Returns:
        The line to show.

    Raises:
        AssertionError: if a line differs, with its number.
        ValueError: if shapes differ, or there is nothing or NaN to compare.
    """
    _check_call(label, "eq-", by)
    require(len(lines) >= 2, "lines", f"{len(lines)} of them", "at least two")
    first, *others = _comparable(*lines)
    differences = [(first - other).abs() for other in others]
    for number, (difference, other) in enumerate(
        zip(differences, others, strict=True), 2
    ):
        if (difference > atol + rtol * other.abs()).any():
            raise AssertionError(
                f"{label}: line {number} differs from line 1 by "
                f"{difference.max():.3g}, more than atol={atol:g}, rtol={rtol:g}"
            )
    what = _numbers(first.numel())
    text = f"{what}, within {_tolerance(rtol, atol)}"
    if len(others) > 1:
        text = f"{len(lines)} lines of {text}"
    return _show(
        label,
        by,
        text,
        count=first.numel() * len(others),
        difference=max(d.max().item() for d in differences),
    )


def verify_at_most(
    label: str,
    smaller: Tensor | float,
    larger: Tensor | float,
    *,
    atol: float = 1e-10,
    by: str,
) -> Verified:
    """One side of an inequality is at most the other, entry by entry.

        smaller <= larger + atol

    Args:
        label: label of the inequality, "eq-…".
        smaller: the smaller side, any shape.
        larger: the larger side, the same shape.
        atol: tolerance for rounding.
        by: one of METHODS.

    Returns:
        The line to show; its difference is the largest smaller - larger.

    Raises:
        AssertionError: if an entry is larger.
        ValueError: if shapes differ, or there is nothing or NaN to compare.
    """
    _check_call(label, "eq-", by)
    smaller, larger = _comparable(smaller, larger)
    excess = (smaller - larger).max().item()
    if excess > atol:
        raise AssertionError(f"{label}: violated by {excess:.3g}, more than {atol:g}")
    text = f"{_numbers(smaller.numel())} at most the bound"
    return _show(label, by, text, smaller.numel(), excess)


def verify_slope(
    label: str,
    x: Tensor,
    y: Tensor,
    slope: float,
    atol: float,
    *,
    by: str = "simulation",
) -> Verified:
    """A rate: the least-squares slope of log y against log x.

    Args:
        label: label of the claim, "eq-…".
        x: positive numbers, [K], not all equal.
        y: positive numbers, [K].
        slope: the claimed slope.
        atol: how far the fitted slope may be from it.
        by: one of METHODS.

    Returns:
        The line to show.

    Raises:
        AssertionError: if the slope is further off.
        ValueError: if there are fewer than three points, or one is not positive.
    """
    _check_call(label, "eq-", by)
    x, y = _comparable(x, y)
    require(x.ndim == 1 and len(x) >= 3, "x", f"shape {list(x.shape)}", "three points")
    for name, values in (("x", x), ("y", y)):
        require(bool((values > 0).all()), name, "a number <= 0", "positive numbers")
    require(bool((x != x[0]).any()), "x", "equal numbers", "different ones")
    fitted = stats.linregress(x.log().numpy(), y.log().numpy()).slope
    if not abs(fitted - slope) <= atol:
        raise AssertionError(f"{label}: slope {fitted:.4g}, not {slope:g} ± {atol:g}")
    text = f"slope {slope:.3g} over {len(x)} points, within {atol:g}"
    return _show(label, by, text, len(x), abs(fitted - slope))


def refute(
    label: str,
    actual: Tensor | float,
    claimed: Tensor | float,
    *,
    atol: float = 1e-10,
    by: str = "enumeration",
) -> Verified:
    """A false statement: the two sides differ somewhere by more than the tolerance.

    Args:
        label: label of the false statement, "not-…".
        actual: what is true, any shape.
        claimed: what is claimed, the same shape.
        atol: the difference to exceed, in the unit of the two sides.
        by: one of METHODS.

    Returns:
        The line to show.

    Raises:
        AssertionError: if the two agree.
        ValueError: if shapes differ, or there is nothing or NaN to compare.
    """
    _check_call(label, "not-", by)
    actual, claimed = _comparable(actual, claimed)
    difference = (actual - claimed).abs().max().item()
    if not difference > atol:
        raise AssertionError(f"{label}: not refuted, the sides agree within {atol:g}")
    text = f"refuted on {_numbers(actual.numel())}, apart by more than {atol:g}"
    return _show(label, by, text, actual.numel(), difference, mark="✗")


def verify_unbiased(
    label: str,
    samples: Tensor,
    expected: Tensor,
    *,
    false_alarm: float = 1e-6,
) -> Verified:
    """The mean of independent samples is the expected vector (Hotelling's T²).

        T² = n (mean - expected)' S⁺ (mean - expected),  S the sample covariance

    Where S has no variance, the mean must equal the expected vector to rounding.
    The line says which shift, in standard errors, would have been caught with
    power 0.999.

    Args:
        label: label of the equation, "eq-…".
        samples: independent draws, [n, d]; where batch statistics enter, the
            independent unit is the batch.
        expected: the exact mean, [d].
        false_alarm: probability of raising although the claim holds.

    Returns:
        The line to show.

    Raises:
        AssertionError: if T² exceeds its quantile, or the null space differs.
        ValueError: if shapes do not fit, a number is not finite, or n <= d + 1.

    Source: Hotelling (1931); Anderson (2003), section 5.2.
    """
    _check_call(label, "eq-", "simulation")
    samples, expected = (
        torch.as_tensor(x, dtype=torch.float64).detach() for x in (samples, expected)
    )
    require(samples.ndim == 2, "samples", f"shape {list(samples.shape)}", "[n, d]")
    n, d = samples.shape
    require(d > 0 and n > d + 1, "samples", f"shape {[n, d]}", "n > d + 1 and d > 0")
    require(
        expected.shape == (d,), "expected", f"shape {list(expected.shape)}", f"[{d}]"
    )
    require(0 < false_alarm < 1, "false_alarm", false_alarm, "a number in (0, 1)")
    require_finite(samples=samples, expected=expected)

    shift = samples.mean(0) - expected
    variance, axes = torch.linalg.eigh(torch.cov(samples.T).reshape(d, d))
    scale = samples.abs().max().clamp(min=1.0)
    varies = variance > (1e-10 * scale) ** 2 + 1e-14 * d * variance[-1]  # rounding
    along = axes.T @ shift
    rank = int(varies.sum())
    if (along[~varies].abs() > 1e-9 * scale).any():
        raise AssertionError(
            f"{label}: differs by {along[~varies].abs().max():.3g} in a direction in "
            "which the samples have no variance"
        )
    text = f"{n} samples of {_numbers(d)}"
    if rank:
        t_squared = n * (along[varies].square() / variance[varies]).sum().item()
        caught = _check_t_squared(label, t_squared, n, rank, false_alarm)
        text += f", a shift of {caught:.1f} standard errors would be caught"
    return _show(label, "simulation", text, d, shift.abs().max())


def _check_t_squared(
    label: str, t_squared: float, n: int, rank: int, false_alarm: float
) -> float:
    """Compare T² with its quantile; return the shift caught with power 0.999."""
    per_f = rank * (n - 1) / (n - rank)  # T² / per_f has an F distribution
    critical = stats.f.isf(false_alarm, rank, n - rank)
    if t_squared / per_f > critical:
        chance = stats.f.sf(t_squared / per_f, rank, n - rank)
        raise AssertionError(
            f"{label}: T² = {t_squared:.4g}, which chance exceeds with probability "
            f"{chance:.2g} < {false_alarm:g}"
        )

    def missed(shift: float) -> float:
        return stats.ncf.cdf(critical, rank, n - rank, shift**2) - 0.001

    return optimize.brentq(missed, 0.1, 10 * math.sqrt(critical * per_f) + 10)


def _check_call(label: str, prefix: str, by: str) -> None:
    require(label.startswith(prefix), "label", repr(label), f"a label {prefix}…")
    require_one_of(METHODS, by=by)


def _comparable(*sides: Tensor | float) -> list[Tensor]:
    """The sides in float64, of one shape, neither empty nor NaN."""
    tensors = [_in_float64(side) for side in sides]
    for tensor in tensors:
        shapes = f"shapes {list(tensors[0].shape)} and {list(tensor.shape)}"
        require(tensor.shape == tensors[0].shape, "sides", shapes, "equal shapes")
        require_not_empty(sides=tensor)
        require_finite(sides=tensor)
    return tensors


def _in_float64(side: Tensor | float | Sequence) -> Tensor:
    if isinstance(side, Sequence) and len(side):
        return torch.stack([_in_float64(entry) for entry in side])
    return torch.as_tensor(side, dtype=torch.float64).detach()


def _numbers(count: int) -> str:
    return "1 number" if count == 1 else f"{count} numbers"


def _tolerance(rtol: float, atol: float) -> str:
    parts = [f"{atol:g}"] if atol else []
    return " + ".join(parts + ([f"{rtol:g} relative"] if rtol else [])) or "0"


def _show(
    label: str, by: str, text: str, count: int, difference: float, mark: str = "✓"
) -> Verified:
    """Make the line, and display it where there is a notebook."""
    result = Verified(label, by, text, count, float(difference), mark)
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        result.show()
    return result
