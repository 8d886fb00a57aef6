"""`filtering`: every operator of the reference, on whatever the caller can look a field up in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from emulator.meta.errors import invalid

Lookup = Callable[[str], Any]


@dataclass(frozen=True)
class Filter:
    """One condition. `field` is the name after the prefix, `level` the prefix (empty without one)."""

    level: str
    field: str
    operator: str
    value: Any


OPERATORS = (
    "EQUAL", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL", "IN_RANGE",
    "NOT_IN_RANGE", "CONTAIN", "NOT_CONTAIN", "IN", "NOT_IN", "STARTS_WITH", "ENDS_WITH", "ANY", "ALL", "AFTER",
    "BEFORE", "ON_OR_AFTER", "ON_OR_BEFORE", "NONE", "TOP",
)  # fmt: skip
LEVELS = ("account", "campaign", "adset", "ad")


def filters_of(conditions: Iterable[dict[str, Any]]) -> list[Filter]:
    """Conditions as the parameter holds them. Raises code 100 for a malformed one."""
    found = []
    for each in conditions:
        if not {"field", "operator"} <= set(each) or set(each) - {"field", "operator", "value"}:
            raise invalid("Param filtering takes objects of field, operator and value.")
        operator = str(each["operator"]).upper()
        if operator not in OPERATORS:
            raise invalid(f"Param filtering has no operator {operator}.")
        prefix, dot, name = str(each["field"]).partition(".")
        level, name = (prefix, name) if dot else ("", prefix)
        level = {"adgroup": "ad", "campaign_group": "campaign"}.get(level, level)
        if level and level not in LEVELS:
            raise invalid(f"Filtering field {each['field']} is not valid.")
        found.append(Filter(level, name, operator, each.get("value")))
    return found


def passes(condition: Filter, actual: Any) -> bool:
    """True if a value meets the condition; a missing value meets only the negative ones."""
    operator, wanted = condition.operator, condition.value
    negative = operator.startswith("NOT_") or operator == "NONE"
    if operator == "TOP":
        return True
    if actual is None:
        return negative
    many = wanted if isinstance(wanted, list) else [wanted]
    if operator in ("IN", "NOT_IN", "ANY", "ALL", "NONE"):
        inside = any(_same(actual, each) for each in many)
        return inside != negative
    if operator in ("EQUAL", "NOT_EQUAL"):
        return _same(actual, many[0] if many else None) != negative
    if operator in ("CONTAIN", "NOT_CONTAIN"):
        return (str(many[0]).lower() in str(actual).lower()) != negative
    if operator == "STARTS_WITH":
        return str(actual).lower().startswith(str(many[0]).lower())
    if operator == "ENDS_WITH":
        return str(actual).lower().endswith(str(many[0]).lower())
    figure = _number(actual, condition)
    if operator in ("IN_RANGE", "NOT_IN_RANGE"):
        if len(many) != 2:
            raise invalid(f"Filtering with {operator} takes two values.")
        return (_number(many[0], condition) <= figure <= _number(many[1], condition)) != negative
    bound = _number(many[0], condition)
    if operator in ("GREATER_THAN", "AFTER"):
        return figure > bound
    if operator in ("GREATER_THAN_OR_EQUAL", "ON_OR_AFTER"):
        return figure >= bound
    if operator in ("LESS_THAN", "BEFORE"):
        return figure < bound
    return figure <= bound


def _same(actual: Any, wanted: Any) -> bool:
    return str(actual) == str(wanted)


def _number(value: Any, condition: Filter) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise invalid(
            f"Filtering {condition.field} with {condition.operator} takes numbers, not {value!r}."
        ) from None
