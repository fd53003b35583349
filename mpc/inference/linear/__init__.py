"""The private linear layers: what the parties prepare for them, without a dealer or with one."""
