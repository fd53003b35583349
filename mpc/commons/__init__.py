"""Decentralised aggregation: a log that nobody can rewrite, access by its entries alone, and secrets that no few hold.

- ``encoding``, ``entries``, ``founding``: what is written in the log, in one way only.
- ``merkle``, ``notes``, ``certificates``, ``receipts``: how the log is hashed, signed and proven, in formats that other
  people's tools read.
- ``access``: what the entries together allow. Trustees decide by it, and auditors check by it.
- ``replica``, ``consensus``: one copy of the log, and how trustees agree on the next entries.
- ``prio``: Prio3, a verifiable distributed aggregation function. It stands alone.
"""
