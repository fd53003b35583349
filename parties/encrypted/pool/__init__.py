"""Several owners pool records that none shows, and a trainer trains on all of them under a key that the owners share.

    owners                                              trainer
      agree/commitment, agree/opening          ---->      relays all to all
      first/...   public key, products         ---->      relays all to all
      second/...  products, rotations          ---->      combines the keys
      moments/... G and b, encrypted           ---->      adds them up, solves
                                               <----    release/masked/...  the result under a mask
      decryption/...  to the opener alone
      opener: garbled/...                      <---->     mask, noise
      all: opened, the weights with noise, from the opener

With logistic regression the middle is another one, see :mod:`parties.encrypted.pool.logistic`. Rows are encrypted, and
all owners refresh the weights together.

The opener is the first owner. Every owner learns the noisy weights, and each one's own records stay with it. The
trainer learns the job's shape. What is trusted stands in :mod:`mpc.encrypted.joint_ridge` and
:mod:`mpc.encrypted.joint_logistic`. Keys are made for one run and end with it, and each owner answers for one result.
"""
