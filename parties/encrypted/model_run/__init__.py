"""A model that its owner does not show, trained between two processes on records that their owner does not show.

    data owner, who trains                                  project owner, who holds the key
                                                              makes keys, encrypts the weights
                                                    <----   keys/...           public key, rotations
                                                    <----   model/preparation  of features, in the clear
                                                    <----   model/...          weights, encrypted
      computes the map of all steps from its records,
      multiplies, floods
      trained/...    weights, flooded               ---->
                                                              decrypts

It computes what the commands do by files, see `parties.encrypted.private_model`. The data owner sees no weight. The
project owner learns the trained model, and what `mpc.encrypted.private_model.Flood` says of the records. Its keys are
made for one run and end with it, so that they decrypt one result.
"""
