"""Encrypted training as programs: the data owner's, the trainer's, and their files."""
