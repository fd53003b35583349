"""Training on encrypted numbers: programs, their twins in the clear, and what is looked at before and after.

- ``packing``: how records lie in the slots of ciphertexts.
- ``arithmetic``: what a program computes with, encrypted or in the clear.
- ``programs``: what can be trained.
- ``twin``, ``noise``: the same program in the clear, and a bound on the encrypted run's error.
- ``pooled``, ``tiling``: ridge regression on second moments that several owners have sent, and how they lie in slots.
- ``ranges``: what is refused before anything is encrypted.
"""
