"""The work of a data owner with its records, under any protocol: split, train, select, measure."""
