"""How pipelines and flows reach the database: they are told, and never look for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Connections:
    """One postgresql:// URL per service. Not printable: the URLs may carry passwords.

    loader       after connecting, current_user is the group role aegis_loader (prefix honoured)
    transformer  likewise aegis_transformer
    owner        likewise aegis_owner (schemas tenancy, ops and audit)
    """

    loader: str
    transformer: str
    owner: str

    def __repr__(self) -> str:
        return "Connections(loader=…, transformer=…, owner=…)"
