"""CaPC: the two-party steps of the protocol, and the whole of it in one function (:mod:`mpc.capc.protocol`)."""
