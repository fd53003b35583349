"""What every protocol's parties stand on: plans, processes, settings, connections, progress, files."""
