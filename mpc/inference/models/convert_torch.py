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
from mpc.inference.models.convert_torch_calls import FUNCTIONS, METHODS, OPERATORS, Call
from mpc.inference.models.convert_torch_modules import MODULES, tensor_values
from mpc.inference.models.converted import DOUBLE, SINGLE, ConvertedLayers, require
from mpc.inference.models.endings import ending_of
from mpc.inference.models.floats import FloatLayer, Floats
from mpc.inference.models.floats.layer import first_line

_ADVICE = {
    name: "; leave it out, the largest logit is the same"
    for name in ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "softmax", "log_softmax", "sigmoid", "logsigmoid")
}


def from_torch(module: Any, drop_endings: bool = False) -> ConvertedLayers:
    """Convert a ``torch.nn.Module``, as in ``eval`` mode, or a program of ``torch.export``. It is left as it was.

    The last layer must give the logits. Leave a softmax out, the largest logit is the same.

    Args:
        drop_endings: leave out a softmax, log softmax, sigmoid or arg max at the end (:mod:`.endings`).

    Raises:
        ParameterError: a call, a module or a setting that is not supported, calls that are no chain, or a module that
            ``torch.fx`` cannot follow, with its place and name.
    """
    torch = needed("torch", "a torch module")
    if type(module).__name__ == "ExportedProgram":
        return _from_program(torch, module, drop_endings)
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
    return _compared(torch, _Chain(torch, module, drop_endings), module, source)


def unsupported_parts(model: Any) -> list[tuple[str, str]]:
    """Return the place and the kind of each module of torch.nn, or call in a program, that no layer stands for."""
    torch = needed("torch", "a torch module")
    if isinstance(model, torch.nn.Module):
        parts = [(f"module {path or '0'}", _known(torch, part)) for path, part in model.named_modules()]
        known = {*MODULES, "Sequential", "ModuleList"}
    else:
        calls = (node for node in model.graph.nodes if node.op == "call_function")
        parts = [(f"call {node.name}", str(node.target).split(".")[1]) for node in calls]
        known = {*OPERATORS, "sym_size"}
    return [(place, kind) for place, kind in parts if kind and kind not in known and ending_of(kind) is None]


def _from_program(torch: Any, program: Any, drop_endings: bool) -> ConvertedLayers:
    """Convert a program, whose calls are those of torch's operators. One of a fixed batch runs on that many queries."""
    source = "the exported program"
    module = program.module()
    shapes = [node.meta["val"].shape for node in module.graph.nodes if node.op == "placeholder"]
    require(len(shapes) == 1 and bool(shapes[0]), source, "one input", len(shapes))
    batch = shapes[0][0]
    chain = _Chain(torch, module, drop_endings, module.graph)
    return _compared(torch, chain, module, source, batch if isinstance(batch, int) else None)


def _compared(torch: Any, chain: _Chain, module: Any, source: str, batch: int | None = None) -> ConvertedLayers:
    """Convert the calls, and keep the module, which runs on so many queries at a time, to compare with."""
    layers = chain.layers()
    tensors = [one for one in (*module.parameters(), *module.buffers()) if one.is_floating_point()]
    wide = any(one.dtype == torch.float64 for one in tensors)
    runs_in = torch.float64 if wide else torch.float32

    def computed_by(module: Any) -> Callable[[Floats], Floats]:
        def compute(values: Floats) -> Floats:
            converted = module.to(runs_in)  # exact, also from float16 and bfloat16
            device = tensors[0].device if tensors else torch.device("cpu")
            size = batch or len(values)
            filled = np.concatenate([values, np.zeros((-len(values) % size, *values.shape[1:]))])
            with torch.no_grad():
                inputs = torch.as_tensor(filled, dtype=runs_in, device=device)
                results = [converted(part) for part in torch.split(inputs, size)]
            for result in results:
                if not isinstance(result, torch.Tensor):
                    raise ParameterError(f"expected one tensor from {source}, found {type(result).__name__}")
            found = torch.cat(results).double().cpu().numpy()
            return np.asarray(found[: len(values)] if len(filled) > len(values) else found, np.float64)

        return compute

    narrow = any(one.dtype != torch.float64 for one in tensors) or not tensors
    unit = SINGLE if narrow else DOUBLE
    shorter = chain.without_endings() if chain.endings else module
    return ConvertedLayers(layers, computed_by(shorter), source, unit, chain.endings, computed_by(module))


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

    def __init__(self, torch: Any, module: Any, drop_endings: bool, graph: Any = None) -> None:
        self._torch = torch
        self._module = module
        self._graph = graph  # None where torch.fx has to follow the calls first
        self._drop_endings = drop_endings
        self._logits: Any = None  # the node in front of the endings
        self.endings: list[str] = []
        self._layers: list[FloatLayer] = []
        self._given: dict[str, Any] = {}  # inputs of forward with a default

    def layers(self) -> list[FloatLayer]:
        """Follow the calls from the input to the output."""
        graph = self._graph = copy.deepcopy(self._graph) if self._graph is not None else self._traced()
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
                result = node.args[0]  # a program's is a tuple of all its results
                result = result[0] if isinstance(result, tuple) and len(result) == 1 else result
                require(result is current, "the output", "the last result alone", node.args[0])
            elif node.op == "get_attr":
                known[node] = operator.attrgetter(node.target)(self._module)
            else:
                name = self._name(node)
                known[node] = self._number(node, name, known, current)
                if known[node] is None:
                    self._step(node, name, known, current)
                    current = node
        return self._layers

    def without_endings(self) -> Any:
        """Return the module up to its logits, as one of torch.fx."""
        graph = copy.deepcopy(self._graph)
        nodes = list(graph.nodes)
        logits = nodes[list(self._graph.nodes).index(self._logits)]
        result = nodes[-1].args[0]
        nodes[-1].args = ((logits,),) if isinstance(result, tuple) else (logits,)
        for node in reversed(nodes[:-1]):
            if not node.users and node.op != "placeholder":
                graph.erase_node(node)
        return self._torch.fx.GraphModule(self._module, graph)

    def _number(self, node: Any, name: str, known: dict[Any, Any], current: Any) -> Any:
        """What a call computes from the shape or from constants, or None where it computes on the query."""
        source = node.args[0] if node.args else None
        sized = node.op == "call_method" and node.target in ("size", "dim")
        if (sized or self._operator(node) == "sym_size") and source is current:
            place = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
            return _Size(-2 if node.target == "dim" else place)
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
        first = bool(node.args) and node.args[0] is current
        ending = self._ending(node, name) if self._drop_endings else None
        if ending is not None:
            require(first, name, "the logits as the first argument", node.args)
            self._logits = self._logits or current
            self.endings.append(ending)
            return
        converted = self._converted(node, name, known, first)
        if self.endings and converted:
            raise ParameterError(f"expected the {self.endings[-1]} as the last step, found {name} behind it")
        self._layers += converted

    def _ending(self, node: Any, name: str) -> str | None:
        """Return what may stand behind the logits, over the classes, if the call is that."""
        if node.op == "call_module":
            module = self._module.get_submodule(node.target)
            called, axis = _known(self._torch, module) or "", getattr(module, "dim", None)
        else:
            called = self._called(node)
            axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        ending = ending_of(called)
        if ending is not None and "sigmoid" not in ending:
            required = ending == "arg max"  # of all values at once without an axis
            require(axis in (1, -1) or (axis is None and not required), name, "the axis of the classes", axis)
        return ending

    def _operator(self, node: Any) -> str | None:
        """Return the name of torch's operator that a program calls, without its overload."""
        called = node.target if node.op == "call_function" else None
        return str(called).split(".")[1] if isinstance(called, self._torch._ops.OpOverload) else None

    def _called(self, node: Any) -> str:
        called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return self._operator(node) or called

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
        return f"call {node.name} ({self._called(node)})"

    def _converted(self, node: Any, name: str, known: dict[Any, Any], first: bool) -> list[FloatLayer]:
        if node.op == "call_module":
            module = self._module.get_submodule(node.target)
            kind = _known(self._torch, module) or ""
            if kind not in MODULES:
                raise ParameterError(f"expected one of {', '.join(MODULES)}, found {name}{_ADVICE.get(kind, '')}")
            require(first and len(node.args) == 1 and not node.kwargs, name, "one input", node.args)
            layer = MODULES[kind](module, name)
            return [] if layer is None else [layer]
        called = self._called(node)
        if node.target is self._torch.nn.functional.max_pool2d:
            called = "max_pool2d"
        table = METHODS if node.op == "call_method" else OPERATORS if self._operator(node) else FUNCTIONS
        if called not in table:
            raise ParameterError(
                f"expected one of {', '.join(sorted(table))}, found {name}{_ADVICE.get(called.strip('_'), '')}"
            )
        return table[called](Call(name, *self._resolved(node, known), first, tensor_values))

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
