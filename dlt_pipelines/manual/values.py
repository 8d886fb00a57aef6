"""Values as people and vendors write them, read into numbers and days.

Numbers   decimal128(20, scale), rounded half away from zero; the point, the comma and thousands separators are told
          apart per column, and what could be read two ways is refused rather than guessed
Days      ISO, or day and month in the one order that fits the whole column
Problems  a value that cannot be read is a reason per row; a column that cannot be read is a ContractError
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.common.errors import ContractError

POINT, COMMA = "point", "comma"
STYLES = (POINT, COMMA)
MONEY_SCALE = 6
WHOLE_DIGITS = 13  # 10,000,000,000,000 of any currency is no day's spend
OLDEST_DAY = dt.date(2000, 1, 1)

_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)$"
_FAST = rf"^[+-]?(\d{{1,{WHOLE_DIGITS}}}(\.\d{{0,25}})?|\.\d{{1,25}})$"
_AMBIGUOUS_POINT = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_NOTHING = {
    "-",
    "--",
    "---",
    "–",
    "—",
    "n/a",
    "na",
    "nan",
    "null",
    "none",
    "nil",
    "#n/a",
    "not available",
    "unknown",
}

_SIGN = r"(?:[A-Z]{0,3}\s?[$€£¥₹₺₽₩₪฿₫₱]|[A-Z]{3}|kr\.?|zł|Kč|Ft|Fr\.)"
_AFFIX = re.compile(rf"^({_SIGN})?\s*(.*?)\s*({_SIGN})?$", re.DOTALL)
_SPACED = re.compile(r"\d{1,3}(?:[ '’]\d{3})+(?!\d)")
_SHAPES = (
    # (shape, which style it proves, how to write it plainly); groups of two digits are Indian
    (re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}\.\d*"), POINT),
    (re.compile(r"\d{1,3}(?:\.\d{3})+,\d*"), COMMA),
    (re.compile(r"\d{1,3}(?:,\d{2,3})+,\d{3}"), POINT),
    (re.compile(r"\d{1,3}(?:\.\d{3}){2,}"), COMMA),
    (re.compile(r"[1-9]\d{0,2},\d{3}"), None),
    (re.compile(r"[1-9]\d{0,2}\.\d{3}"), None),
    (re.compile(r"\d*,\d+|\d+,"), COMMA),
    (re.compile(r"\d*\.\d+|\d+\.?"), POINT),
    (re.compile(r"\d+(?:\.\d+)?[eE][+-]?\d{1,2}"), POINT),
)


@dataclass(frozen=True)
class Evidence:
    """What the values of one column say about its decimal mark; rows are indexes of a first example."""

    point: int | None = None
    comma: int | None = None
    unclear_point: int | None = None  # 1.234
    unclear_comma: int | None = None  # 1,234
    unclear_is_round: bool = False  # every unclear value ends in 000


def is_nothing(text: str) -> bool:
    """How exports write that there is no value."""
    return text.strip().casefold() in _NOTHING


def blank_nothings(values: pa.Array) -> pa.Array:
    """Null where the export says 'no value' in words or dashes."""
    words = pa.array(sorted(_NOTHING), pa.string())
    is_none = pc.is_in(pc.utf8_lower(values), value_set=words)
    return pc.if_else(is_none, pa.scalar(None, pa.string()), values)


def bare(text: str) -> tuple[str, str | None]:
    """The digits of a money text without sign of currency and spaces, and that sign."""
    text = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-").strip()
    negative = text.startswith("(") and text.endswith(")")
    if negative:
        text = text[1:-1].strip()
    minus = ""
    if text[:1] in "+-":
        minus, text = text[0], text[1:].strip()
    match = _AFFIX.match(text)
    sign = None
    if match is not None and (match[1] or match[3]) and re.search(r"\d", match[2]):
        sign, text = match[1] or match[3], match[2]
        if text[:1] in "+-":
            minus, text = text[0], text[1:].strip()
    if _SPACED.match(text):
        text = re.sub(r"(?<=\d)[ '’](?=\d{3})", "", text)
    return ("-" if negative or minus == "-" else "") + text, sign


def evidence(values: pa.Array) -> Evidence:
    """Which decimal mark a column can have. Vectorised for values that are plain; the others one by one."""
    plain = pc.fill_null(pc.match_substring_regex(values, _PLAIN), True)
    unclear = pc.fill_null(pc.match_substring_regex(values, _AMBIGUOUS_POINT), False)
    has_point = pc.and_(pc.fill_null(pc.match_substring(values, "."), False), plain)
    point = _first(pc.and_(has_point, pc.invert(unclear)))
    unclear_point = _first(unclear)
    comma = unclear_comma = None
    rounds = True
    if unclear_point is not None:
        whole = pc.fill_null(pc.ends_with(values, "000"), False)
        rounds = _first(pc.and_(unclear, pc.invert(whole))) is None

    if not pc.all(plain).as_py():
        odd = pc.indices_nonzero(pc.invert(plain)).to_pylist()
        for index, text in zip(odd, values.take(pa.array(odd, pa.int64())).to_pylist(), strict=True):
            digits = bare(text)[0].lstrip("-")
            for position, (shape, proves) in enumerate(_SHAPES):
                if not shape.fullmatch(digits):
                    continue
                if proves == POINT:
                    if not digits.isdigit() and point is None:
                        point = index
                elif proves == COMMA:
                    comma = index if comma is None else comma
                else:
                    rounds = rounds and digits.endswith("000")
                    if position == 4 and unclear_comma is None:
                        unclear_comma = index
                    elif position == 5 and unclear_point is None:
                        unclear_point = index
                break
    return Evidence(point, comma, unclear_point, unclear_comma, rounds)


def _first(mask: pa.Array) -> int | None:
    found = pc.index(mask, pa.scalar(True)).as_py()
    return found if found >= 0 else None


@dataclass(frozen=True)
class Column:
    """A column of numbers: `label` as the file calls it."""

    label: str
    values: pa.Array
    is_count: bool = False


def styles(
    file_name: str, columns: dict[str, Column], lines: pa.Array, delimiter: str, forced: str | None = None
) -> dict[str, str]:
    """The decimal mark of each column.

    Raises ContractError where one column holds both marks, or where 1.234 (or 1,234) could be two numbers and
    no value of the file tells which.
    """
    if forced is not None:
        return dict.fromkeys(columns, forced)
    way_out = "Say which it is: --decimal point (1,234.50) or --decimal comma (1.234,50)."
    found = {name: evidence(column.values) for name, column in columns.items()}
    decided: dict[str, str] = {}
    for name, seen in found.items():
        column = columns[name]
        if seen.point is not None and seen.comma is not None:
            raise ContractError(
                f"Column {column.label!r} of {file_name} mixes decimal points (line {lines[seen.point].as_py()}: "
                f"{column.values[seen.point].as_py()}) and decimal commas (line {lines[seen.comma].as_py()}: "
                f"{column.values[seen.comma].as_py()}).",
                f"Correct the file. {way_out} Rows written the other way are then refused.",
            )
        if seen.point is not None:
            decided[name] = POINT
        elif seen.comma is not None:
            decided[name] = COMMA
        elif column.is_count and seen.unclear_comma is not None and seen.unclear_point is None:
            decided[name] = POINT  # a count has no decimals: 1,234 is one thousand and more
    clear = set(decided.values())
    for name, seen in found.items():
        if name in decided:
            continue
        column = columns[name]
        unclear = seen.unclear_point if seen.unclear_comma is None else seen.unclear_comma
        both = seen.unclear_point is not None and seen.unclear_comma is not None
        if unclear is None:
            decided[name] = POINT  # whole numbers without any mark
        elif not both and len(clear) == 1:
            decided[name] = next(iter(clear))
        elif not both and not clear and column.is_count and not seen.unclear_is_round:
            decided[name] = COMMA  # a count like 1.234 can only be thousands
        elif (
            not both and not clear and not column.is_count and seen.unclear_comma is None and delimiter == ","
        ):
            decided[name] = POINT  # a decimal comma would clash with the delimiter
        else:
            text = column.values[unclear].as_py()
            raise ContractError(
                f"Column {column.label!r} of {file_name} cannot be read for certain: line {lines[unclear].as_py()} "
                f"says {text}, which could be {_both_ways(text)}.",
                way_out,
            )
    return decided


def _both_ways(text: str) -> str:
    digits = bare(text)[0]
    return f"{re.sub('[.,]', '', digits)} or {digits.replace(',', '.')}"


def numbers(column: Column, style: str, scale: int = MONEY_SCALE) -> tuple[pa.Array, dict[int, str]]:
    """The column as decimal128(20, scale), and the rows whose value is no number, with the reason."""
    values = column.values
    fast = _FAST if style == POINT else r"^[+-]?\d{1,13}$"
    is_fast = pc.fill_null(pc.match_substring_regex(values, fast), True)
    quick = pc.if_else(is_fast, values, pa.scalar(None, pa.string())).cast(pa.decimal256(60, 30))
    result = pc.round(quick, scale, round_mode="half_towards_infinity").cast(pa.decimal128(20, scale))
    problems: dict[int, str] = {}
    if pc.all(is_fast).as_py():
        return result, problems

    slow = pc.indices_nonzero(pc.invert(is_fast))
    replaced: list[Decimal | None] = []
    known: dict[str, Decimal | str | None] = {}
    for index, text in zip(slow.to_pylist(), values.take(slow).to_pylist(), strict=True):
        if text not in known:
            known[text] = _number(text, style, scale)
        value = known[text]
        if isinstance(value, str):
            problems[index] = f"{column.label} is {value}"
            value = None
        replaced.append(value)
    filled = pc.replace_with_mask(result, pc.invert(is_fast), pa.array(replaced, pa.decimal128(20, scale)))
    return filled, problems


def _number(text: str, style: str, scale: int) -> Decimal | str | None:
    """A number, null for 'nothing', or words that say why it is neither."""
    if is_nothing(text):
        return None
    shown = f"'{text[:40]}'"
    if "%" in text:
        return f"{shown}, a percentage"
    digits, _ = bare(text)
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    for shape, proves in _SHAPES:
        if shape.fullmatch(digits):
            if proves not in (None, style) and not digits.isdigit():
                return f"{shown}, no number with a decimal {style}"
            plain = digits.replace(",", "") if style == POINT else digits.replace(".", "").replace(",", ".")
            if "e" in digits.lower():
                plain = digits
            break
    else:
        return f"{shown}, not a number"
    try:
        number = Decimal(sign + plain).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    except InvalidOperation:
        return f"{shown}, too large"
    if abs(number) >= Decimal(10) ** WHOLE_DIGITS:
        return f"{shown}, too large"
    return number


def currency_signs(values: pa.Array) -> set[str]:
    """Signs that name one currency, as they stand beside the numbers."""
    marked = values.filter(pc.fill_null(pc.match_substring_regex(values, r"[^0-9.,+\-]"), False))
    names = {"€": "EUR", "£": "GBP", "₹": "INR", "zł": "PLN", "Kč": "CZK", "Ft": "HUF"}
    found = set()
    for text in pc.unique(marked).to_pylist():
        sign = bare(text)[1]
        if sign is None:
            continue
        if sign in names:
            found.add(names[sign])
        elif re.fullmatch(r"[A-Z]{3}", sign):
            found.add(sign)
    return found


# -- days -----------------------------------------------------------------------------------------------------

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
DAY_ORDERS = (DAY_FIRST, MONTH_FIRST)
_TIME = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_PARTS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?: 0?0:00(?::00)?)?")
_WORDS = (
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
    "%a, %b %d, %Y",
    "%A, %B %d, %Y",
    "%d-%b-%Y",
    "%d. %B %Y",
)


def days(
    file_name: str, label: str, values: pa.Array, lines: pa.Array, order: str | None = None
) -> tuple[pa.Array, dict[int, str]]:
    """The column as date32, and the rows whose value is no day. Few distinct values: read once each.

    03/04/2026 is read in the one order that fits every value of the column; where both fit, ContractError.
    """
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    if order is None:
        order = _order(file_name, label, values, distinct, lines)
    read = [_day(text, order) for text in distinct]
    good = pa.array([value if isinstance(value, dt.date) else None for value in read], pa.date32())
    result = good.take(encoded.indices)
    wrong = {n: value for n, value in enumerate(read) if isinstance(value, str)}
    problems: dict[int, str] = {}
    if wrong:
        for index, code in enumerate(encoded.indices.to_pylist()):
            if code in wrong:
                problems[index] = f"{label} is {wrong[code]}"
    return result, problems


def _order(file_name: str, label: str, values: pa.Array, distinct: list[str], lines: pa.Array) -> str:
    day_first = month_first = unclear = None
    for text in distinct:
        match = _PARTS.fullmatch(text)
        if match is None:
            continue
        first, second = int(match[1]), int(match[3])
        if match[2] == "." or first > 12:
            day_first = text
        elif second > 12:
            month_first = text
        elif first != second:
            unclear = text
    if day_first and month_first:
        raise ContractError(
            f"Column {label!r} of {file_name} writes days in two orders: {day_first} and {month_first}.",
            "Correct the file, or say which order is meant: --dates day-first or --dates month-first.",
        )
    if unclear and not (day_first or month_first):
        line = lines[values.index(pa.scalar(unclear)).as_py()].as_py()
        raise ContractError(
            f"Column {label!r} of {file_name} cannot be read for certain: line {line} says {unclear}, which could be "
            "day-month or month-day.",
            "Say which it is: --dates day-first or --dates month-first.",
        )
    return MONTH_FIRST if month_first else DAY_FIRST


def _day(text: str, order: str) -> dt.date | str:
    shown = f"'{text[:40]}'"
    match = _ISO.fullmatch(text) or _COMPACT.fullmatch(text)
    try:
        if match is not None:
            found = dt.date(int(match[1]), int(match[2]), int(match[3]))
        elif (parts := _PARTS.fullmatch(text)) is not None:
            first, second = int(parts[1]), int(parts[3])
            day, month = (first, second) if order == DAY_FIRST or parts[2] == "." else (second, first)
            found = dt.date(int(parts[4]), month, day)
        else:
            for form in _WORDS:
                try:
                    found = dt.datetime.strptime(text, form).date()
                    break
                except ValueError:
                    continue
            else:
                return f"{shown}, not a day like 2026-01-31"
    except ValueError:
        return f"{shown}, a day that does not exist"
    if found < OLDEST_DAY:
        return f"{shown}, long before there were such ads"
    return found
