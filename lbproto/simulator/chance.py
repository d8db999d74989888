"""Chance, drawn from a seed: the same everywhere and always.

Every source has a stream of its own, by its name, so that what is left out of a plan changes
nothing for the others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lbproto import ids

__all__ = ["bits_from", "stream"]


def stream(seed: int, *names: object) -> random.Random:
    """The stream of this name; not for secrets."""
    return random.Random("/".join(map(str, (seed, *names))))  # noqa: S311 - no secret


@contextmanager
def bits_from(seed: int) -> Iterator[None]:
    """Within the body, what the operating system's random bits are asked for comes from a seed.

    That is: `os.urandom`, and with it `uuid.uuid4`; `secrets`, `random.SystemRandom`, and ids of
    lbproto. And the functions of `random` begin anew. All of the process, so one body at a time.
    """
    source = stream(seed, "bits")
    system: Any = random.SystemRandom
    names = ("random", "getrandbits", "randbytes")
    before = {name: vars(system)[name] for name in names if name in vars(system)}
    urandom, state = os.urandom, random.getstate()
    system.random = lambda _: source.random()
    system.getrandbits = lambda _, bits: source.getrandbits(bits)
    system.randbytes = lambda _, count: source.randbytes(count)
    os.urandom = source.randbytes
    random.seed(source.getrandbits(64))
    ids.forget()
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(system, name, function)
        os.urandom = urandom
        random.setstate(state)
        ids.forget()
