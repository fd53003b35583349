"""One key of several owners: nobody decrypts alone, and nobody ever holds the whole secret.

The secret key is the sum of the owners' ternary ones. From Mouchet, Troncoso-Pastoriza, Bossuat and Hubaux
("Multiparty homomorphic encryption from ring-learning-with-errors", PoPETs 2021). All owners
are needed for every step::

    agreement         a common random string that none chooses alone     commitments, then openings
    public_key        the key that everybody encrypts with               one round of shares
    relinearisation   the key for products                               two rounds
    rotation          the keys for rotations                             one round
    refresh           a ciphertext at a higher level, its value masked   one round, where the program says
    decryption        a result for one receiver                          one round, once for a job

``session`` binds every share to the owners, the job, the step and its signer. ``masks`` says how wide a mask must be,
and what room it needs. ``training`` runs a whole training, ``simulation`` all roles of one in memory.

Against whom this holds. Up to all owners but one, and the trainer with them, may put together all that they see, as
long as they follow the protocol. The last owner's secret is then hidden by RLWE with its own ternary secret alone:
every share is a sample ``(a, a s_i + e)`` with the common uniform ``a``, or its message is masked. The parameters'
caps stay as they are, since the sum of the others' shares is known to them and makes nothing easier.

What is not caught where it happens. An owner that makes a share of anything else than its secret makes keys under which
nothing decrypts, and what it spoils is found at the first refresh, where the opened integers are too large. A trainer
that has owners refresh or decrypt a ciphertext of its own making reads secrets from the answers. So an owner that does
not trust the trainer runs the program itself, which gives the very same ciphertexts, and answers for these alone.
"""
