"""The roles of decentralised aggregation, each as a class whose methods take and give bytes, without channels or files.

- ``provider``: :class:`DataProvider` makes reports.
- ``trustee``: :class:`TrusteeRole` keeps the log, decides, and releases.
- ``aggregator``: :class:`Aggregator` checks and sums its shares.
- ``consumer``: :class:`Consumer` asks, hands on what was released, and gets the result.
- ``run``: :func:`run_commons` runs all of them in order, in memory.
"""
