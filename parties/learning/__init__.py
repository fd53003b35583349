"""What a data owner does with its records, whatever the protocol: split, train, select, measure."""
