"""Where the movements of an account lie in a file that has them in the order of commits. Pure.

Theory of operation. An index by account would be written at one place for each account that a
commit is about. Instead each movement names the place of the one before it, and of one far before:
of the version that is left when the lowest bit of its own is taken away. Version 12 (1100) leads to
11 and to 8, 8 (1000) to 7 and to none. From the newest of a million any other is some forty steps
away, and whoever adds one has to know no more places than the newest version has bits.
"""

from __future__ import annotations

__all__ = ["follow"]


def follow(trail: list[int], version: int, place: int) -> tuple[int | None, int | None]:
    """Go on to the next movement.

    Args:
        trail: the places of the newest one, last, and of those that are reached from it by far
            steps alone; changed to those of the next one.
        version: the next one's.
        place: where it lies.

    Returns:
        Where the one before it lies, and the one far before; None for none.
    """
    previous = trail[-1] if trail else None
    steps = (version & -version).bit_length() - 1  # as many far steps from the previous one
    if steps:
        del trail[-steps:]
    far = trail[-1] if trail else None
    trail.append(place)
    return previous, far
