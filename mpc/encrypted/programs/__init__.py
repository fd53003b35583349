"""What can be trained under encryption, each program in one file."""
