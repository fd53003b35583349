"""What the parties of every protocol need for plans, processes, settings, connections, progress and files."""
