"""Private inference of whole models, beside its peers. ``python -m benchmarks.inference`` runs it."""
