"""The door for models of users' own, from a file to the float layers that private inference takes, and back.

``source`` is all that a party's program needs. The other modules load torch, onnx or scikit-learn. They run in a child.

source       which file, of which kind, and its digest
reading      a file as layers with the function of the original
fitting      layers that take this federation's records and give its classes
conversion   both, held to the original, with the owner's private report
extraction   a file as the layers of an extractor of features
extractor    such layers with their digest, which a party's program may load, too
layers_file  layers as an NPZ file that describes itself
onnx_file    layers as an ONNX file
"""
