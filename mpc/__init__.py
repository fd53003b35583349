"""Secure computation: protocols, shares, circuits, channels."""
