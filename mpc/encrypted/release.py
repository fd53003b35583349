"""What of a decrypted result may leave the holder of the private key.

A decrypted result is the exact one plus noise, and the noise depends on the secret key. Whoever gets the noisy numbers
and knows the ciphertext has linear equations for the key (Li and Micciancio, "On the security of homomorphic encryption
on approximate numbers", EUROCRYPT 2021, section 3). There are two ways.

- *Private*: the numbers stay with the key's holder.
- *Verified*: the holder has run the twin. If the decrypted numbers are within the derived bound of the twin's, the
  twin's numbers are released. They hold no noise of the encryption. A trainer that computed something else is found
  out.

Both ways answer once for a key pair. A trainer that may send one result after the other, and sees each time whether it
is refused, would learn a bit each time: of the key, or of the records, because it chooses what it sends. So all results
of a job are compared before anything is said, and all that is said is whether every one agreed. No sentence and no file
holds a number that depends on what was decrypted.
"""

from __future__ import annotations

import numpy as np

from mpc.encrypted.packing import Floats
from mpc.encrypted.ranges import Foreseen
from mpc.errors import CheatingError, ParameterError


class Comparison:
    """Compares all results of a job with the twin's, and says at the end alone whether every one agreed."""

    def __init__(self) -> None:
        self._agreed = True
        self.bound = 0.0
        """The largest bound of those compared so far. It depends on the twin alone."""

    def __repr__(self) -> str:
        return f"Comparison(bound={self.bound:.2g})"

    def note(self, decrypted: Floats, twin: Foreseen) -> None:
        """Compare decrypted weights ``(d',)`` with the twin's, within the derived bound. It says nothing yet."""
        if decrypted.shape != twin.weights.shape:
            raise ParameterError(f"expected weights of shape {twin.weights.shape}, found {decrypted.shape}")
        self.bound = max(self.bound, float(twin.bound.max()))
        if not (np.abs(decrypted - twin.weights) <= twin.bound).all():  # also where one is no number
            self._agreed = False

    def check(self) -> None:
        """Say whether all agreed so far: after the last message of the protocol, and before anything is opened.

        Raises:
            CheatingError: some weight of some result was further away, so that the trainer has not run this program on
                these records.
        """
        if not self._agreed:
            raise CheatingError(
                f"expected every weight within the derived bound of at most {self.bound:.2g} of the twin's, found that "
                "not all are: the trainer ran something else, or on other records"
            )


def verified(decrypted: Floats, twin: Foreseen) -> Floats:
    """Return the twin's weights ``(d',)`` if the decrypted ones are within the derived bound of them.

    Raises:
        CheatingError: some weight is further away, see :class:`Comparison`.
    """
    comparison = Comparison()
    comparison.note(decrypted, twin)
    comparison.check()
    return twin.weights
