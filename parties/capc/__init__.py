"""CaPC as programs: client, server and privacy guardian, and the plan of a run."""
