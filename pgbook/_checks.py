"""Argument errors, in one place: what was got, and what is needed."""

import math
from collections.abc import Iterable, Sized
from numbers import Integral

import torch
from torch import Tensor


def require(condition: bool, argument: str, got: object, need: str) -> None:
    """Raise a ValueError that names the argument unless the condition holds."""
    if not condition:
        raise ValueError(f"{argument}: got {got}, need {need}")


def require_one_of(options: Iterable[str], **arguments: object) -> None:
    """Each argument is one of the options."""
    for name, value in arguments.items():
        require(value in options, name, repr(value), f"one of {tuple(options)}")


def require_same_shape(**tensors: Tensor) -> None:
    """All shapes are equal; nothing broadcasts."""
    (first, reference), *others = tensors.items()
    for name, tensor in others:
        require(
            tensor.shape == reference.shape,
            name,
            f"shape {list(tensor.shape)}",
            f"the shape {list(reference.shape)} of {first}",
        )


def require_shape(shape: tuple[int | None, ...], **tensors: Tensor) -> None:
    """Each tensor has this shape, where None stands for any length."""
    for name, tensor in tensors.items():
        fits = tensor.ndim == len(shape) and all(
            want in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
        )
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        require(fits, name, f"shape {list(tensor.shape)}", f"shape [{wanted}]")


def require_finite(**tensors: Tensor) -> None:
    """Every entry is finite; the message has the index of the first that is not."""
    for name, tensor in tensors.items():
        # A finite sum has finite terms, and is one operation; else look closer.
        if math.isfinite(tensor.detach().sum().item()):
            continue
        bad = ~torch.isfinite(tensor)
        if bad.any():
            index = bad.nonzero()[0].tolist()
            raise ValueError(
                f"{name}: got {tensor[tuple(index)].item()} at index {index}, "
                "need finite numbers"
            )


def require_not_empty(**collections: Tensor | Sized) -> None:
    """There is at least one element."""
    for name, collection in collections.items():
        size = collection.numel() if isinstance(collection, Tensor) else len(collection)
        require(size > 0, name, "nothing", "at least one element")


def require_unit_interval(**values: float | Tensor) -> None:
    """Every number lies in [0, 1]."""
    for name, value in values.items():
        tensor = torch.as_tensor(value)
        inside = bool(((tensor >= 0) & (tensor <= 1)).all())
        got = value if tensor.ndim == 0 else f"[{tensor.min():g}, {tensor.max():g}]"
        require(inside, name, got, "numbers in [0, 1]")


def require_distributions(**tables: Tensor) -> None:
    """The last axis holds probabilities that sum to one."""
    for name, table in tables.items():
        require_not_empty(**{name: table})
        require_finite(**{name: table})
        require_unit_interval(**{name: table})
        sums = table.detach().sum(-1)
        worst = (sums - 1).abs().max().item()
        require(worst < 1e-6, name, f"sums off by {worst:.2g}", "rows that sum to 1")


def require_no_gradient(**tensors: Tensor) -> None:
    """The tensor is a constant: gradients do not flow through it."""
    for name, tensor in tensors.items():
        require(
            not tensor.requires_grad,
            name,
            "a tensor that requires a gradient",
            "a detached one",
        )


def require_count(minimum: int = 1, **counts: int) -> None:
    """Each argument is an integer of at least `minimum`."""
    for name, count in counts.items():
        whole = isinstance(count, Integral) and not isinstance(count, bool)
        require(
            whole and count >= minimum, name, repr(count), f"an integer >= {minimum}"
        )
