"""The correlations that the parties prepare for the private linear layers, without a dealer or with one."""
