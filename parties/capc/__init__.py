"""CaPC as programs. The three roles, and all that a launcher and a report need for a run of them.

- ``client``, ``server``, ``privacy_guardian``: the roles. Begin with one of these, beside docs/protocol.md.
- ``settings``: what one party may know.
- ``questions``, ``campaign``, ``results``: what a querying party asks, why, and what it publishes.
- ``choices``, ``config``, ``casting``, ``processes``, ``protocol``: what one may choose, and the plan that follows.
- ``summary``, ``report``, ``budget_view``: what a person is shown of results and accounts.
- ``simulation``: a campaign in the clear.
"""
