"""What of a decrypted result may leave the holder of the private key.

A decrypted result is the exact one plus noise, and the noise depends on the secret key. Whoever gets the noisy numbers
and knows the ciphertext has linear equations for the key (Li and Micciancio, "On the security of homomorphic encryption
on approximate numbers", EUROCRYPT 2021, section 3). There are two ways.

- *Private*: the numbers stay with the key's holder.
- *Verified*: the holder has run the twin. If the decrypted numbers are within the derived bound of the twin's, the
  twin's numbers are released. They hold no noise of the encryption. A trainer that computed something else is found
  out.

Both ways answer once for a key pair. A trainer that may send one result after the other, and sees each time whether it
is refused, would learn a bit of the key each time.
"""

from __future__ import annotations

import numpy as np

from mpc.encrypted.packing import Floats
from mpc.encrypted.ranges import Foreseen
from mpc.errors import CheatingError, ParameterError


def verified(decrypted: Floats, twin: Foreseen) -> Floats:
    """Return the twin's weights ``(d',)`` if the decrypted ones are within the derived bound of them.

    Raises:
        CheatingError: some weight is further away, so that the trainer has not run this program on these records.
    """
    if decrypted.shape != twin.weights.shape:
        raise ParameterError(f"expected weights of shape {twin.weights.shape}, found {decrypted.shape}")
    distance = np.abs(decrypted - twin.weights) / twin.bound
    if not (distance <= 1).all():  # also where one is no number
        found = f"{np.nanmax(distance):.3g} times as much" if np.isfinite(distance).all() else "what is no number"
        raise CheatingError(
            f"expected every weight within the derived bound of {twin.bound.max():.2g} of the twin's, found {found}: "
            "the trainer ran something else, or on other records"
        )
    return twin.weights
