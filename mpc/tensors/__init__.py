"""Private tensors: computing and training on secret-shared data, from one Python program that every party runs."""
