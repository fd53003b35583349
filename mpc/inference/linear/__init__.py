"""The correlation of private linear layers, under encryption or from a dealer."""
