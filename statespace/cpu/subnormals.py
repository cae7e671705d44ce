"""Subnormal numbers count as 0 while a loop runs: a hundred times slower than others, they are where states fade to."""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_HAS_MXCSR = platform.machine().lower() in ("x86_64", "amd64")
_FLUSH = 0x8040  # of the control word: results and operands that are subnormal count as 0


@intrinsic
def without_subnormals(typing_context: Any) -> Any:
    """Count subnormal numbers as 0 from here on, on this thread; the control word to go back to.

    A state that decays would stay at the smallest of them, where each product takes a hundred times as long. Elsewhere
    than on x86, where they are not that slow, nothing is changed.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i32 = ir.IntType(32)
        if not _HAS_MXCSR:
            return i32(0)
        place = cgutils.alloca_once(builder, i32)
        _control(builder, "stmxcsr", place)
        old = builder.load(place)
        builder.store(builder.or_(old, i32(_FLUSH)), place)
        _control(builder, "ldmxcsr", place)
        return old

    return types.int32(), generate


@intrinsic
def with_control(typing_context: Any, word: Any) -> Any:
    """Go back to a control word."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _HAS_MXCSR:
            place = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(args[0], place)
            _control(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.none(types.int32), generate


def _control(builder: Any, name: str, place: Any) -> None:
    pointer = ir.IntType(8).as_pointer()
    function = ir.FunctionType(ir.VoidType(), [pointer])
    call = cgutils.get_or_insert_function(builder.module, function, f"llvm.x86.sse.{name}")
    builder.call(call, [builder.bitcast(place, pointer)])
