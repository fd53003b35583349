"""The answering party's model: float layers, their public fixed-point form, ranges, and models of other libraries."""
