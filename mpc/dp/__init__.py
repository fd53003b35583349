"""Differential privacy: exact discrete noise, and what releases cost."""
