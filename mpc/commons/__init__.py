"""Decentralised aggregation, of which no single party need be trusted.

- ``prio``: Prio3, a verifiable distributed aggregation function. It stands alone.
"""
