"""Headers that every answer has, whoever writes it."""

from __future__ import annotations

NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page: not even a page that slips in as somebody's label can load or run anything."""
