"""What each role is told, and the names of the roles."""

from __future__ import annotations

PROVIDER, TRUSTEE, AGGREGATOR, CONSUMER, AUDITOR = "data provider", "trustee", "aggregator", "data consumer", "auditor"
EVERYBODY = (PROVIDER, TRUSTEE, AGGREGATOR, CONSUMER, AUDITOR)
