"""`python -m capc` is the command `capc`."""

from capc.start import main

main()
