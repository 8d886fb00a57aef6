"""Meta's Marketing API over the synthetic world, for clients that are pointed at `<server>/meta`.

    FacebookSession.GRAPH = server.url("meta")
    FacebookAdsApi.init(APP_ID, APP_SECRET, server.emulator.meta.tokens.issue("agency"), api_version="v26.0",
                        crash_log=False)

What is where: `api.py` routes, `tokens.py` and `consent.py` who calls, `catalog.py` and `entities.py` objects,
`facts.py`, `actions.py`, `breakdowns.py` and `insights.py` reports, `jobs.py` asynchronous runs, `usage.py` quotas,
`errors.py` the error catalogue, `faults.py` what can go wrong, `admin.py` the admin endpoint.

Read-only. Not emulated: webhooks, leads, pages, field expansion with edges, attribution settings that differ.
"""

from emulator.meta.api import MARKETING_VERSIONS, Meta
from emulator.meta.tokens import APP_ID, APP_SECRET

__all__ = ["APP_ID", "APP_SECRET", "MARKETING_VERSIONS", "Meta"]
