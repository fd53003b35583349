"""Models that are built in. Each is a file that a user may copy and change."""
