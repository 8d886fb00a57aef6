"""The sources that exist. The only discovery code: adding a source is a folder and one entry here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from dlt_pipelines.common.errors import ContractError


@dataclass(frozen=True)
class Source:
    """A folder of this package. `name` is its folder, its pipeline's name and the end of its raw schema's name."""

    name: str

    @property
    def dataset(self) -> str:
        """Schema its rows land in."""
        return f"raw_{self.name}"

    @property
    def module(self) -> ModuleType:
        """Its source.py, imported when first asked for: dlt takes a second."""
        return importlib.import_module(f"dlt_pipelines.{self.name}.source")


SOURCES: dict[str, Source] = {source.name: source for source in (Source("manual"),)}


def get(name: str) -> Source:
    if name not in SOURCES:
        raise ContractError(f"There is no source {name!r}.", f"Sources: {', '.join(sorted(SOURCES))}.")
    return SOURCES[name]
