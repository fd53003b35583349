"""A federation over a slow link, whose members are killed at random moments and come back.

    python -m tests.parties.capc.slow_link --kills 100 --seed 1 --folder FOLDER

It has a guardian, a member that asks and three that answer, each in a network namespace of its own. The link between
them has 100 Mbit/s and a round trip of 40 ms. Without the rights for that it says so and uses this machine's loopback.
"""
