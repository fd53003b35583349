"""Decentralised aggregation: a log that nobody can rewrite, access by its entries alone, and secrets that no few hold.

- ``encoding``, ``entries``, ``founding``: what is written in the log, in one way only.
- ``merkle``, ``notes``, ``certificates``, ``receipts``: how the log is hashed, signed and proven, in formats that other
  people's tools read.
- ``access``: what the entries together allow. Trustees decide by it, and auditors check by it.
- ``replica``, ``consensus``: one copy of the log, and how trustees agree on the next entries.
- ``group``, ``sharing``, ``committee``, ``key_generation``: the trustees' common key, of which each has a share.
- ``boxes``, ``reports``, ``release``, ``coin``: reports that the trustees together re-encrypt when that is granted, and
  randomness that nobody knows before.
"""
