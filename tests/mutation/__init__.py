"""A search for tests that could not fail, by running them on changed code. See `python -m tests.mutation --help`."""
