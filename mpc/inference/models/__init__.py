"""What a network is, as floats and in fixed point. Nothing here knows how its layers are computed in secret.

floats/                     layers of a trained network
convert, convert_onnx       models of other libraries as such layers
quantise, quantiser         from float layers to public layers and private weights
fixed/                      the public layers and their chain
ranges                      the worst case that a network's values can reach
"""
