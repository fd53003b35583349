"""How long the parts of decentralised aggregation take: ``python -m benchmarks.commons``."""
