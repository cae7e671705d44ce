"""A vector of four doubles as a value in numba: what the vectorizer does not find by itself.

A loop over the rows of a small matrix is too short for LLVM's loop vectorizer (it wants 16 of them) and its other
vectorizer is off in numba, so plain loops run one number at a time. With the vector spelled out a step of 8
states takes a third of the time. LLVM splits or joins the four for the registers that a machine has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

LANES = 4
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_FLAGS = ("contract", "nsz")


class Float64x4(types.Type):
    """The numba type of a vector; its values live in registers only."""

    def __init__(self) -> None:
        super().__init__(name="Float64x4")


float64x4 = Float64x4()


@register_model(Float64x4)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Address of four neighbours in a contiguous 1-D array, as a pointer to a vector."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _is_flat(array: Any) -> bool:
    return bool(
        isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.float64
    )


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """array[index : index + 4] of a contiguous 1-D float64 array; the caller keeps it inside."""
    if not _is_flat(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = builder.load(_pointer(context, builder, array, *args))
        vector.align = 8
        return vector

    return float64x4(array, types.intp), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, vector: Any) -> Any:
    """array[index : index + 4] = vector."""
    if not _is_flat(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _pointer(context, builder, array, args[0], args[1])
        builder.store(args[2], target).align = 8
        return context.get_dummy_value()

    return types.none(array, types.intp, float64x4), generate


@intrinsic
def splat(typing_context: Any, number: Any) -> Any:
    """The same number in all four lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(first, first, mask)

    return float64x4(types.float64), generate


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a·b + c, fused where the machine can."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        product = builder.fmul(args[0], args[1], flags=_FLAGS)
        return builder.fadd(product, args[2], flags=_FLAGS)

    return float64x4(float64x4, float64x4, float64x4), generate


@intrinsic
def add(typing_context: Any, a: Any, b: Any) -> Any:
    """Sum of two vectors."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(args[0], args[1], flags=_FLAGS)

    return float64x4(float64x4, float64x4), generate


__all__ = ["LANES", "add", "float64x4", "fma", "load", "splat", "store"]
