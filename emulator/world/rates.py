"""Daily reference exchange rates: units of a currency for 1 EUR, published on weekdays except the
bank's holidays.
"""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from functools import lru_cache

from emulator.world.chance import Chance
from emulator.world.seasons import easter_sunday

# level, yearly movement (log), decimals published
_CURRENCIES: dict[str, tuple[float, float, int]] = {
    "AUD": (1.66, 0.030, 4),
    "CAD": (1.49, 0.025, 4),
    "CHF": (0.955, 0.020, 4),
    "DKK": (7.458, 0.0004, 4),
    "GBP": (0.852, 0.022, 5),
    "JPY": (161.0, 0.040, 2),
    "NOK": (11.6, 0.030, 4),
    "PLN": (4.29, 0.020, 4),
    "SEK": (11.3, 0.025, 4),
    "USD": (1.095, 0.030, 4),
}


@lru_cache(maxsize=4096)
def is_published(day: date) -> bool:
    """True on the days that have rates."""
    if day.weekday() >= 5 or (day.month, day.day) in {(1, 1), (5, 1), (12, 25), (12, 26)}:
        return False
    from_easter = day.toordinal() - easter_sunday(day.year).toordinal()
    return from_easter not in (-2, 1)


def rates_of(chance: Chance, day: date) -> dict[str, Decimal]:
    """Units per 1 EUR by currency; empty on a day without publication. EUR itself (1) is not listed."""
    return {code: rate_of(chance, code, day) for code in _CURRENCIES} if is_published(day) else {}


def rate_of(chance: Chance, code: str, day: date) -> Decimal:
    """The rate that the day would have, weekends included (the emulator's own use)."""
    if code == "EUR":
        return Decimal(1)
    level, movement, decimals = _CURRENCIES[code]
    ordinal = day.toordinal()
    log = (
        movement * chance.drift(ordinal, 90, f"rate|{code}")
        + 0.35 * movement * chance.drift(ordinal, 17, f"rate|{code}")
        + 0.10 * movement * chance.drift(ordinal, 1, f"rate|{code}")
    )
    return Decimal(str(round(level * math.exp(log), decimals))).quantize(Decimal(1).scaleb(-decimals))
