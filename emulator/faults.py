"""What can be made to go wrong, vendor-neutral: which calls a fault meets, how often, and who asks for it.

A vendor declares the kinds it knows (`Kind`) and asks `FaultBook.find` where each would strike; only a fault that
really struck is used up.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any


class FaultError(ValueError):
    """A fault that can't be set as asked; the message says why."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault: what it does and the options it takes (name: default)."""

    does: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Fault:
    """One fault in force: it strikes `times` calls (null: until removed) whose path matches, after having let
    `after` such calls pass.

    `path` is a shell pattern on the path below the vendor's prefix (`*/insights`); `method` empty means any.
    """

    id: int
    vendor: str
    kind: str
    path: str
    method: str
    times: int | None
    after: int
    options: dict[str, Any]
    struck: int = 0

    def concerns(self, method: str, path: str) -> bool:
        """True if a call could be struck."""
        return (not self.method or self.method == method) and fnmatchcase(path, self.path)

    def option(self, name: str) -> Any:
        """An option's value; defaults were filled in when the fault was set."""
        return self.options[name]


class FaultBook:
    """All faults in force, for every vendor; safe to use from several threads."""

    def __init__(self) -> None:
        self._kinds: dict[str, Mapping[str, Kind]] = {}
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def declare(self, vendor: str, kinds: Mapping[str, Kind]) -> None:
        """Make a vendor's kinds known."""
        self._kinds[vendor] = kinds

    def kinds(self) -> dict[str, dict[str, Any]]:
        """Every kind by vendor, for the admin endpoint."""
        return {
            vendor: {name: asdict(kind) for name, kind in sorted(kinds.items())}
            for vendor, kinds in self._kinds.items()
        }

    def add(
        self,
        kind: str,
        *,
        vendor: str = "meta",
        path: str = "*",
        method: str = "",
        times: int | None = 1,
        after: int = 0,
        **options: Any,
    ) -> Fault:
        """Set a fault. Raises FaultError for an unknown vendor, kind or option."""
        kinds = self._kinds.get(vendor)
        if kinds is None:
            raise FaultError(f"No vendor {vendor!r}. There is: {', '.join(sorted(self._kinds))}.")
        known = kinds.get(kind)
        if known is None:
            raise FaultError(f"{vendor} has no fault {kind!r}. There is: {', '.join(sorted(kinds))}.")
        strange = sorted(set(options) - set(known.options))
        if strange:
            offers = ", ".join(sorted(known.options)) or "none"
            raise FaultError(f"Fault {kind} has no option {', '.join(strange)}. It has: {offers}.")
        if (times is not None and times < 1) or after < 0:
            raise FaultError(f"Fault {kind} would never strike: times {times}, after {after}.")
        with self._lock:
            fault = Fault(
                next(self._numbers),
                vendor,
                kind,
                path,
                method.upper(),
                times,
                after,
                {**known.options, **options},
            )
            self._faults.append(fault)
        return fault

    def remove(self, number: int) -> bool:
        """Remove one fault; False if there is none of that number."""
        with self._lock:
            before = len(self._faults)
            self._faults = [fault for fault in self._faults if fault.id != number]
            return len(self._faults) < before

    def clear(self) -> None:
        """Remove them all."""
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """The faults in force (used-up ones are gone)."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def find(self, vendor: str, method: str, path: str, kinds: Iterable[str]) -> Iterator[Fault]:
        """Faults of these kinds that a call would meet. Call `strike` for each that really strikes."""
        wanted = set(kinds)
        with self._lock:
            found = [
                fault
                for fault in self._faults
                if fault.vendor == vendor and fault.kind in wanted and fault.concerns(method, path)
            ]
        yield from found

    def strike(self, fault: Fault) -> bool:
        """Use a fault up by one call; False while it still lets calls pass or is already used up."""
        with self._lock:
            if fault.after > 0:
                fault.after -= 1
                return False
            if fault.times is not None:
                if fault.times == 0:
                    return False
                fault.times -= 1
                if fault.times == 0:
                    self._faults = [each for each in self._faults if each.id != fault.id]
            fault.struck += 1
            return True


_TEXT = re.compile(
    r"(?:(?P<vendor>[a-z]+)/)?(?P<kind>[a-z_]+)(?:\((?P<options>.*)\))?(?:x(?P<times>\d+|all))?(?:@(?P<path>\S+))?"
)


def parse_fault(text: str) -> dict[str, Any]:
    """`[vendor/]kind[(option=value,…)][xTIMES][@path]` as arguments of `FaultBook.add`.

    `slow(seconds=2)xall@*/insights`, `rate_limitx3`; once if no times are given. Values are JSON or plain text.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise FaultError(
            f"Can't read the fault {text!r}. Write kind(option=value)xTIMES@path, such as rate_limitx3."
        )
    asked: dict[str, Any] = {"kind": found["kind"], "times": 1}
    if found["vendor"]:
        asked["vendor"] = found["vendor"]
    if found["times"]:
        asked["times"] = None if found["times"] == "all" else int(found["times"])
    if found["path"]:
        asked["path"] = found["path"]
    for part in filter(None, (found["options"] or "").split(",")):
        name, separator, value = part.partition("=")
        if not separator or not name.strip().isidentifier():
            raise FaultError(f"Can't read {part!r} in the fault {text!r}: options are name=value.")
        try:
            asked[name.strip()] = json.loads(value)
        except ValueError:
            asked[name.strip()] = value.strip()
    return asked
