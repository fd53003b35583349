"""Packed, additively homomorphic encryption."""
