"""A private model as a service. Computing parties hold its shares, and a client alone gets the answer to its records.

Read in this order:

- ``model``: the file that says what a model takes and computes.
- ``settings``, ``messages``: what each party knows, and what they tell each other.
- ``owner``, ``client``, ``provider``: the programs of those who hold no share.
- ``computing``: the program of a computing party. It keeps its ``share`` on the disk, takes requests at its ``desk``,
  has their order from a ``line``, and computes each batch on a ``lane``.
- ``keeper``: starts a computing party or a provider again that was killed.
- ``planning``, ``report``: a run of all of them, and what it shows.
"""
