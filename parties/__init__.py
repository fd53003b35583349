"""The parties of a protocol: one program a role, its data and model, and the plan of a run on one machine."""
