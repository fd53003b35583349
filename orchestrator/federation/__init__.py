"""A federation of members on machines of their own. They share one file, and each makes its own key.

Who takes part, in which role, at which address, is the section `federation` of that file (`parties.frame.members`).

- ``shared``: reads the file, and says which member and which folder a command is about.
- ``state``: the folder on one machine that outlives every session.
- ``authority``: signs members' certificates, and revokes them.
- ``identity``: one member's key, its request for a certificate, and the certificate.
- ``service``: a role that takes part in many sessions, with a process for each.
- ``ask``: one session that a member opens.
- ``records``: what a service keeps on the disk, and what is removed of it.
- ``check``: what would keep a member from taking part, and how to mend it.
- ``behalf``: on whose behalf a command is given.
- ``signs``: what a service shows of itself while it runs, and whether it is well.
- ``metrics``: the same as figures at an address.
- ``session_events``: the events of a service's sessions.
- ``provisioning``, ``commands``, ``looking``: all of these as commands, for certificates and for sessions.
"""
