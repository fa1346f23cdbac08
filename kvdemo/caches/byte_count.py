"""Count the bytes of a cache whose tensors are not all plain: packed, scaled, or on another device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def plain_tensors(held: Any) -> Iterator[Tensor]:
    """Yield the plain tensors of a value: a tensor, a packed one, or any of them in tuples, lists and dicts.

    A packed tensor reports the size that it stands for. Its parts, by PyTorch's subclass protocol
    (`__tensor_flatten__`), report what they take.
    """
    if isinstance(held, Tensor):
        flatten = getattr(held, "__tensor_flatten__", None)
        if flatten is None:
            yield held
        else:
            yield from plain_tensors([getattr(held, name) for name in flatten()[0]])
    elif isinstance(held, dict):
        yield from plain_tensors(list(held.values()))
    elif isinstance(held, (tuple, list)):
        for part in held:
            yield from plain_tensors(part)


def nbytes(held: Any) -> int:
    """Count the bytes of the plain tensors of a value."""
    return sum(tensor.nbytes for tensor in plain_tensors(held))
