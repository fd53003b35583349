"""A federation of members on machines of their own. They share one file, and each makes its own key.

- ``members``: who takes part, in which role, at which address. It is the section `federation` of the shared file.
- ``state``: the folder on one machine that outlives every session.
- ``authority``: signs members' certificates, and revokes them.
- ``identity``: one member's key, its request for a certificate, and the certificate.
"""
