"""Garbled circuits over a channel: sessions, batches, and the one-call functions `argmax` and `sum_histogram`."""
