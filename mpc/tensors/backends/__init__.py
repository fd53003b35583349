"""What a private tensor is computed with. Each back-end has its own number of parties and its own trust."""
