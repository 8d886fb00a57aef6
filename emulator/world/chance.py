"""Random numbers without a sequence: every draw is a hash of the seed and of what it is for.

So any day can be asked for first, alone or twice, on any machine and in any process, and gives the same
figures; nothing is simulated from the origin on. Floats live here and in the delivery model only: money
leaves them rounded to whole minor units.
"""

from __future__ import annotations

import hashlib
import math
import struct
from statistics import NormalDist

_inverse_normal = NormalDist().inv_cdf
_WORD = 1.0 / 2**32
_FORGET_ABOVE = 200_000


class Chance:
    """Draws keyed by a text; `key` names the thing and the day, so two things never share a draw."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._prefix = f"{seed}|"
        self._knots: dict[tuple[str, int], float] = {}

    def uniforms(self, count: int, key: str) -> list[float]:
        """`count` numbers strictly between 0 and 1."""
        data = hashlib.shake_128((self._prefix + key).encode()).digest(4 * count)
        return [(word + 0.5) * _WORD for word in struct.unpack(f"<{count}I", data)]

    def uniform(self, key: str) -> float:
        """One number strictly between 0 and 1."""
        return self.uniforms(1, key)[0]

    def whole(self, below: int, key: str) -> int:
        """One of 0 … below - 1."""
        return int(self.uniform(key) * below)

    def normal(self, key: str) -> float:
        """One standard normal number."""
        return _inverse_normal(self.uniform(key))

    def drift(self, ordinal: int, every: int, key: str) -> float:
        """A slow, bounded wave: standard normal knots `every` days apart, joined smoothly."""
        index, offset = divmod(ordinal, every)
        left, right = self._knot(key, index, every), self._knot(key, index + 1, every)
        step = offset / every
        return left + (right - left) * step * step * (3.0 - 2.0 * step)

    def _knot(self, key: str, index: int, every: int) -> float:
        found = self._knots.get((key, index))
        if found is None:
            if len(self._knots) > _FORGET_ABOVE:
                self._knots.clear()
            found = max(-2.2, min(2.2, self.normal(f"drift|{key}|{every}|{index}")))
            self._knots[(key, index)] = found
        return found

    def permutation(self, count: int, key: str) -> list[int]:
        """0 … count - 1 in an order of its own."""
        draws = self.uniforms(count, key)
        return sorted(range(count), key=draws.__getitem__)


def normal_of(uniform: float) -> float:
    """The standard normal number at this quantile."""
    return _inverse_normal(uniform)


def count_of(mean: float, uniform: float) -> int:
    """A Poisson count at this quantile (by inversion; above 60 by the normal approximation)."""
    if mean <= 0.0:
        return 0
    if mean > 60.0:
        return max(0, round(mean + math.sqrt(mean) * _inverse_normal(uniform)))
    chance = math.exp(-mean)
    total, count = chance, 0
    while uniform > total and count < 400:
        count += 1
        chance *= mean / count
        total += chance
    return count
