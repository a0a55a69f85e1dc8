"""Which operators the compiled graph of a TorchScript network uses.

Enters: a loaded module. Leaves: nothing, or `Refused`. Runs in the isolated process, after loading.

Why the graph and not the source: `torch.save`, `t = torch; t.save`, `(torch).save` and a line break between
them are one operator, `aten::save`, once compiled. Loading may run code of the file (`__setstate__`), so this
names what a file wants; what keeps it from getting it is the process it runs in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detectors.isolation.zip_archives import Refused

_NAMESPACES = frozenset(("aten", "prim", "quantized", "torchvision", "prepacked"))
_FILE_OPERATORS = frozenset(("save", "load", "from_file", "_from_file", "PythonOp"))


def check_operators(module: Any) -> None:
    """Refuse a network whose methods read or write files, or call operators from elsewhere.

    Args:
        module: As `torch.jit.load` gives it.

    Raises:
        Refused: naming the operator.
    """
    import torch

    for submodule in module.modules():
        for name in submodule._c._method_names():
            graph = submodule._c._get_method(name).graph.copy()
            torch._C._jit_pass_inline(graph)
            for operator in sorted(set(_operators(graph))):
                namespace, _, function = operator.partition("::")
                if namespace not in _NAMESPACES or function in _FILE_OPERATORS:
                    raise Refused(f"holds the operator {operator!r}; refused")


def _operators(block: Any) -> Iterator[str]:
    """Names of all operators of a graph and of the blocks and graphs inside it."""
    waiting = [block]
    while waiting:
        for node in waiting.pop().nodes():
            yield node.kind()
            waiting.extend(node.blocks())
            waiting.extend(node.g(name) for name in node.attributeNames() if node.kindOf(name) == "g")
