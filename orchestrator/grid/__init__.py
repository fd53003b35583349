"""The same configuration many times, over a grid of values and a list of seeds, into a table of figures.

`cells` makes the combinations, `table` keeps the file, `workers` are the processes that try one after the other, and
`sweep` is the command.
"""
