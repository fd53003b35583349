"""Private tensors beside their peers: operations, training, accuracy, and what parties and networks cost."""
