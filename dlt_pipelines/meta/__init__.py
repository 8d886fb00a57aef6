"""Meta's Marketing API (Facebook, Instagram): ads, what they cost and what they brought, by day.

Loaded   accounts, campaigns, ad sets with their learning stage, ads, creatives; daily figures of every ad, and the
         platform's own totals of campaigns and the account
API      v26.0, https://developers.facebook.com/docs/marketing-api/insights
Schema   raw_meta; README.md says how to connect
"""

from __future__ import annotations
