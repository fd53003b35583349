"""Decentralised aggregation: what its parties keep on their disks, and the audit of a log that anybody copies."""
