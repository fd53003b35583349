"""Trained torch modules as the layers of :meth:`mpc.inference.Network.from_layers`.

A module is converted by what it computes, not by what it is called. ``torch.fx`` (Reed et al., MLSys 2022) writes down
the calls of ``forward``, through modules of the owner's own down to those of ``torch.nn`` and to functions. The calls
must form a chain. Each takes the result of the one before, once. Anything else is refused by name.

torch is imported only where a model is converted, as the owner of a model has its library.
"""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from mpc.errors import ParameterError
from mpc.extras import needed
from mpc.inference.models.convert_torch_calls import FUNCTIONS, METHODS, Call
from mpc.inference.models.converted import DOUBLE, SINGLE, ConvertedLayers, require
from mpc.inference.models.floats import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    Floats,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
)
from mpc.inference.models.floats.layer import first_line, pair
from mpc.inference.models.shapes import Sides

_ADVICE = {
    name: "; leave it out, the largest logit is the same"
    for name in ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "softmax", "log_softmax", "sigmoid", "logsigmoid")
}


def from_torch(module: Any) -> ConvertedLayers:
    """Convert a ``torch.nn.Module``, as in ``eval`` mode. It is left as it was.

    The last layer must give the logits. Leave a softmax out, the largest logit is the same.

    Raises:
        ParameterError: a call, a module or a setting that is not supported, calls that are no chain, or a module that
            ``torch.fx`` cannot follow, with its place and name.
    """
    torch = needed("torch", "a torch module")
    require(isinstance(module, torch.nn.Module), "from_torch", "a torch.nn.Module", type(module).__name__)
    source = f"the module {type(module).__name__}"
    _refuse_hooks(torch, module)
    try:
        module = copy.deepcopy(module)  # what its owner does to it later changes nothing here
    except Exception as error:
        raise ParameterError(
            f"expected a module that can be copied, found {source} ({type(error).__name__}: {first_line(error)})"
        ) from error
    module.eval()
    if _known(torch, module) not in (None, "Sequential"):
        module = torch.nn.Sequential(module)
    layers = _Chain(torch, module).layers()
    tensors = [one for one in (*module.parameters(), *module.buffers()) if one.is_floating_point()]
    wide = any(one.dtype == torch.float64 for one in tensors)
    runs_in = torch.float64 if wide else torch.float32

    def original(values: Floats) -> Floats:
        converted = module.to(runs_in)  # exact, also from float16 and bfloat16
        device = tensors[0].device if tensors else torch.device("cpu")
        with torch.no_grad():
            result = converted(torch.as_tensor(values, dtype=runs_in, device=device))
        if not isinstance(result, torch.Tensor):
            raise ParameterError(f"expected one tensor from {source}, found {type(result).__name__}")
        return np.asarray(result.double().cpu().numpy(), np.float64)

    narrow = any(one.dtype != torch.float64 for one in tensors) or not tensors
    return ConvertedLayers(layers, original, source, SINGLE if narrow else DOUBLE)


def _refuse_hooks(torch: Any, module: Any) -> None:
    """Refuse what changes a module's function from outside its ``forward``."""
    everywhere = torch.nn.modules.module
    for kind in ("_global_forward_hooks", "_global_forward_pre_hooks"):
        require(not getattr(everywhere, kind, None), "torch", "no hooks on every module", kind)
    for path, part in module.named_modules():
        for kind in ("_forward_hooks", "_forward_pre_hooks"):
            hooks = [getattr(hook, "__name__", type(hook).__name__) for hook in getattr(part, kind).values()]
            require(not hooks, _name(path, part), "no forward hooks", ", ".join(hooks))


def _name(path: str, module: Any) -> str:
    return f"module {path or '0'} ({type(module).__name__})"


def _known(torch: Any, module: Any) -> str | None:
    """Return the name under which torch.nn has this module, if it computes what torch's class computes.

    A parametrised module has a class of its own, whose weights are computed when they are read.
    """
    kind = type(module)
    if torch.nn.utils.parametrize.is_parametrized(module):
        kind = kind.__mro__[1]
    own = "forward" in vars(module)
    return kind.__name__ if kind.__module__.startswith("torch.nn.modules.") and not own else None


class _Chain:
    """The calls of a module in order, as layers."""

    def __init__(self, torch: Any, module: Any) -> None:
        self._torch = torch
        self._module = module
        self._layers: list[FloatLayer] = []
        self._given: dict[str, Any] = {}  # inputs of forward with a default

    def layers(self) -> list[FloatLayer]:
        """Follow the calls from the input to the output."""
        graph = self._traced()
        for node in reversed(list(graph.nodes)):  # a result that is not used means nothing, or the comparison shows it
            if not node.users and node.op not in ("placeholder", "output"):
                graph.erase_node(node)
        known: dict[Any, Any] = {}  # what nodes other than tensors stand for
        current: Any = None
        for node in graph.nodes:
            if node.op == "placeholder":
                if current is not None:  # one with a default, which has become a constant
                    default = not node.users and node.target.rsplit("_", 1)[0] in self._given
                    require(default, f"input {node.target}", "one input", "another")
                    continue
                current = node
                known[node] = None
            elif node.op == "output":
                require(node.args[0] is current, "the output", "the last result alone", node.args[0])
            elif node.op == "get_attr":
                known[node] = operator.attrgetter(node.target)(self._module)
            else:
                name = self._name(node)
                known[node] = self._number(node, name, known, current)
                if known[node] is None:
                    self._step(node, name, known, current)
                    current = node
        return self._layers

    def _number(self, node: Any, name: str, known: dict[Any, Any], current: Any) -> Any:
        """What a call computes from the shape or from constants, or None where it computes on the query."""
        source = node.args[0] if node.args else None
        if node.op == "call_method" and node.target in ("size", "dim") and source is current:
            place = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
            return _Size(place if node.target == "size" else -2)
        if node.target is getattr and source is current:
            require(node.args[1] == "shape", name, "the shape of a tensor", node.args[1])
            return _Size(None)
        if node.target is operator.getitem and isinstance(known.get(source), _Size):
            return known[source].at(node.args[1])
        if any(known[one] is None for one in node.all_input_nodes) or node.op == "call_module":
            return None
        if not node.all_input_nodes or any(isinstance(known[one], _Size) for one in node.all_input_nodes):
            return _Size(-2)  # some number that only the shape settles
        args, kwargs = self._resolved(node, known)
        with self._torch.no_grad():
            return (
                getattr(args[0], node.target)(*args[1:], **kwargs)
                if node.op == "call_method"
                else node.target(*args, **kwargs)
            )

    def _step(self, node: Any, name: str, known: dict[Any, Any], current: Any) -> None:
        """Convert a call that takes the last result, once."""
        moving = [one for one in node.all_input_nodes if known[one] is None and one is not node]
        arguments = (*node.args, *node.kwargs.values())
        if moving != [current] or sum(one is current for one in arguments) != 1:
            raise ParameterError(
                f"expected a chain, each step taking the one before, found {name} of "
                f"{', '.join(str(one) for one in moving)} after {current}"
            )
        self._layers += self._converted(node, name, known, bool(node.args) and node.args[0] is current)

    def _traced(self) -> Any:
        torch, chain = self._torch, self

        class Tracer(torch.fx.Tracer):  # type: ignore[misc, name-defined]
            def is_leaf_module(self, module: Any, path: str) -> bool:
                return _known(chain._torch, module) not in (None, "Sequential")

        try:
            parameters = list(inspect.signature(self._module.forward).parameters.values())[1:]
            self._given = given = {one.name: one.default for one in parameters if one.default is not one.empty}
            return Tracer().trace(self._module, concrete_args=given or None)
        except Exception as error:
            raise ParameterError(
                f"expected a module whose forward torch.fx can follow, found {type(self._module).__name__} "
                f"({type(error).__name__}: {first_line(error)})"
            ) from error

    def _name(self, node: Any) -> str:
        if node.op == "call_module":
            return _name(node.target, self._module.get_submodule(node.target))
        called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return f"call {node.name} ({called})"

    def _converted(self, node: Any, name: str, known: dict[Any, Any], first: bool) -> list[FloatLayer]:
        if node.op == "call_module":
            module = self._module.get_submodule(node.target)
            kind = _known(self._torch, module) or ""
            if kind not in _MODULES:
                raise ParameterError(f"expected one of {', '.join(_MODULES)}, found {name}{_ADVICE.get(kind, '')}")
            require(first and len(node.args) == 1 and not node.kwargs, name, "one input", node.args)
            layer = _MODULES[kind](module, name)
            return [] if layer is None else [layer]
        called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        if node.target is self._torch.nn.functional.max_pool2d:
            called = "max_pool2d"
        table = METHODS if node.op == "call_method" else FUNCTIONS
        if called not in table:
            raise ParameterError(
                f"expected one of {', '.join(sorted(table))}, found {name}{_ADVICE.get(called.strip('_'), '')}"
            )
        return table[called](Call(name, *self._resolved(node, known), first, _tensor))

    def _resolved(self, node: Any, known: dict[Any, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A call's arguments, in which constants stand for the nodes that give them."""
        resolve = self._torch.fx.node.map_arg
        args = resolve(node.args, lambda one: known[one])
        return tuple(args), dict(resolve(dict(node.kwargs), lambda one: known[one]))


class _Size:
    """A number of a tensor's shape. Only the first one, of queries, is told from the others.

    Attributes:
        place: 0 for the number of queries, None for the whole shape, -2 for what follows from sizes.
    """

    def __init__(self, place: Any) -> None:
        self.place = place

    def at(self, index: Any) -> _Size:
        """Return one number of a shape."""
        return _Size(index if self.place is None and isinstance(index, int) else -2)

    def __index__(self) -> int:
        raise ParameterError("expected a number that does not depend on the query's shape, found one that does")


def _tensor(tensor: Any, name: str) -> Floats:
    """Return a tensor's values as float64.

    Raises:
        ParameterError: it has none, or none that are real numbers.
    """
    try:
        dense = tensor.detach()
        if dense.is_complex():
            raise TypeError(f"numbers of type {dense.dtype}")
        if dense.is_quantized:
            dense = dense.dequantize()
        if dense.layout is not _strided():
            dense = dense.to_dense()
        return np.asarray(dense.cpu().double().numpy(), np.float64).copy()
    except Exception as error:
        raise ParameterError(
            f"expected real numbers in {name}, found {getattr(tensor, 'dtype', type(tensor).__name__)} on "
            f"{getattr(tensor, 'device', 'no device')} ({type(error).__name__}: {first_line(error)})"
        ) from error


def _strided() -> Any:
    import torch  # noqa: PLC0415

    return torch.strided


def _bias(tensor: Any, outputs: int, name: str) -> Floats:
    return np.zeros(outputs) if tensor is None else _tensor(tensor, name)


def _linear(module: Any, name: str) -> FloatLayer:
    weight = _tensor(module.weight, name)
    return Linear(weight, _bias(module.bias, len(weight), name))


def _convolution(module: Any, name: str) -> FloatLayer:
    require(module.padding_mode == "zeros", name, "zeros as padding", module.padding_mode)
    require(pair(module.dilation) == (1, 1), name, "a dilation of 1", module.dilation)
    weight = _tensor(module.weight, name)
    require(weight.ndim == 4, name, "weights of 4 dimensions", weight.ndim)
    stride, groups = pair(module.stride), operator.index(module.groups)
    return Conv2d(weight, _bias(module.bias, len(weight), name), stride, zeros(module.padding, weight), groups)


def zeros(padding: Any, weight: Floats) -> Sides:
    """Return the padding of a convolution on each side."""
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":  # torch puts the odd zero at the end
        rows, columns = (size - 1 for size in weight.shape[2:])
        return (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
    return _sides(padding)


def _sides(padding: Any) -> Sides:
    rows, columns = pair(padding)
    return rows, rows, columns, columns


def _normalisation(module: Any, name: str) -> FloatLayer:
    require(module.running_mean is not None, name, "running statistics", "none")
    mean, variance = _tensor(module.running_mean, name), _tensor(module.running_var, name)
    scale = np.ones(len(mean)) if module.weight is None else _tensor(module.weight, name)
    return BatchNorm(mean, variance, scale, _bias(module.bias, len(mean), name), float(module.eps))


def _max_pool(module: Any, name: str) -> FloatLayer:
    require(pair(module.dilation) == (1, 1), name, "a dilation of 1", module.dilation)
    require(not module.ceil_mode, name, "ceil_mode off", "on")
    require(not module.return_indices, name, "return_indices off", "on")
    return MaxPool2d(pair(module.kernel_size), pair(module.stride), _sides(module.padding))


def _average_pool(module: Any, name: str) -> FloatLayer:
    padding = _sides(module.padding)
    require(not module.ceil_mode, name, "ceil_mode off", "on")
    require(module.divisor_override is None, name, "no divisor_override", module.divisor_override)
    require(module.count_include_pad or not any(padding), name, "count_include_pad with padding", "none")
    return AvgPool2d(pair(module.kernel_size), pair(module.stride), padding)


def _adaptive_pool(module: Any, name: str) -> FloatLayer:
    sizes = module.output_size
    require(not isinstance(sizes, tuple | list) or None not in sizes, name, "a whole output size", sizes)
    return AdaptiveAvgPool2d(pair(sizes))


def _flatten(module: Any, name: str) -> FloatLayer:
    dimensions = (module.start_dim, module.end_dim)
    require(dimensions in ((1, -1), (1, 3)), name, "all dimensions but the first", dimensions)
    return Flatten()


def _nothing(module: Any, name: str) -> None:
    """Dropout in eval mode and the like."""


_MODULES: dict[str, Callable[[Any, str], FloatLayer | None]] = {
    "Linear": _linear,
    "Conv2d": _convolution,
    "BatchNorm1d": _normalisation,
    "BatchNorm2d": _normalisation,
    "ReLU": lambda module, name: ReLU(),
    "LeakyReLU": lambda module, name: LeakyReLU(float(module.negative_slope)),
    "MaxPool2d": _max_pool,
    "AvgPool2d": _average_pool,
    "AdaptiveAvgPool2d": _adaptive_pool,
    "Flatten": _flatten,
    "Dropout": _nothing,
    "Dropout1d": _nothing,
    "Dropout2d": _nothing,
    "AlphaDropout": _nothing,
    "Identity": _nothing,
}
