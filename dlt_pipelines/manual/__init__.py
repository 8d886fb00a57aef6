"""Files as a source: exports of ads managers, histories of many tenants, exchange rates.

No API and no version: what is understood stands in headings.py, how values are read in values.py.
The three functions are the interface; importing them costs pyarrow, and dlt only when something is loaded.
"""

from __future__ import annotations

from dlt_pipelines.manual.csv_file import import_csv
from dlt_pipelines.manual.history_files import import_history
from dlt_pipelines.manual.landing import ImportResult, Totals
from dlt_pipelines.manual.rates_file import import_rates

__all__ = ["ImportResult", "Totals", "import_csv", "import_history", "import_rates"]
