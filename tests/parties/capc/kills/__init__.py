"""Runs of the real programs in which a process is killed, stopped or told to end, or in which strangers connect.

    python -m tests.parties.capc.kills --kills 200 --strangers 50 --seed 1

`cases.py` draws the cases, `trial.py` carries one out, `checks.py` says what is wrong with how it ended, and
`strangers.py` has those who connect without being asked.
"""
