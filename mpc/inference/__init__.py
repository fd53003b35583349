"""Private inference, steps 1a and 1b: the answering party's network on the querying party's secret inputs."""
