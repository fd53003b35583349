"""Private tensors as a run of processes. Every party runs one program, each on its own shares."""
