"""The sources that exist. The only discovery code: adding a source is a folder and one entry here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from dlt_pipelines.common.errors import ContractError


@dataclass(frozen=True)
class Source:
    """A folder of this package. `name` is its folder, its pipeline's name and the end of its raw schema's name.

    `lookback_days`: how long the platform restates its figures; null for what has no API. A row of
    ops.restatement_windows overrides it.
    """

    name: str
    lookback_days: int | None = None

    @property
    def dataset(self) -> str:
        """Schema its rows land in."""
        return f"raw_{self.name}"

    @property
    def module(self) -> ModuleType:
        """Its source.py, imported when first asked for: dlt takes a second."""
        return importlib.import_module(f"dlt_pipelines.{self.name}.source")

    @property
    def connector(self) -> ModuleType:
        """Its connector.py, for what has an API: `build` makes what sync.py drives."""
        return self._of_api("connector")

    @property
    def consent(self) -> ModuleType:
        """Its consent.py, for what has an API: how a person lets us in."""
        return self._of_api("consent")

    def _of_api(self, part: str) -> ModuleType:
        if self.lookback_days is None:
            raise ContractError(f"{self.name} has no API.", f"Platforms with one: {', '.join(with_api())}.")
        return importlib.import_module(f"dlt_pipelines.{self.name}.{part}")


SOURCES: dict[str, Source] = {source.name: source for source in (Source("manual"), Source("meta", 28))}


def get(name: str) -> Source:
    if name not in SOURCES:
        raise ContractError(f"There is no source {name!r}.", f"Sources: {', '.join(sorted(SOURCES))}.")
    return SOURCES[name]


def with_api() -> list[str]:
    """Names of the platforms that are read through an API."""
    return sorted(source.name for source in SOURCES.values() if source.lookback_days is not None)
