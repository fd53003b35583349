"""From a person's configuration to a finished run of processes.

It plans, launches, watches, tears down and reports. It does not know what the processes compute. They come as a
`parties.frame.plan.Plan`.
"""
