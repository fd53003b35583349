"""Decentralised aggregation: a log that nobody can rewrite, access by its entries alone, and secrets that no few hold.

- ``encoding``, ``entries``, ``steps``, ``founding``: what is written in the log, in one way only.
- ``merkle``, ``notes``, ``certificates``, ``receipts``: how the log is hashed, signed and proven, in formats that other
  people's tools read.
- ``access``: what the entries together allow. Trustees decide by it, and auditors check by it.
- ``replica``, ``consensus``: one copy of the log, and how trustees agree on the next entries.
- ``group``, ``proofs``, ``sharing``: the group of all keys, proofs about it, and shares that can be checked.
- ``committee``, ``key_messages``, ``key_session``: how trustees make a key that none of them knows.
- ``sealing``, ``reports``, ``release``: what is encrypted to that key, and how it is opened for a granted request.
- ``granted``, ``batches``: which ciphertexts a grant is for, and what is in them.
- ``proceedings``: what may be logged for a grant behind it.
- ``functions``, ``judging``, ``summing``: what can be computed, which reports are valid, and the result.
- ``noise``: parts of discrete Gaussian noise that the aggregators deal.
- ``following``, ``attachments``: how others read the log, and what belongs to its entries.
- ``roles``: all parties, and a run of them in memory.
- ``coin``: randomness that nobody knows ahead.
- ``prio``: Prio3, a verifiable distributed aggregation function. It stands alone.
"""
