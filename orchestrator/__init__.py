"""From a person's configuration to a finished run of processes: plan, launch, watch, tear down, report.

Nothing here knows what the processes compute; they come as a `parties.frame.plan.Plan`.
"""
