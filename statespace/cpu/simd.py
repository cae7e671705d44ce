"""A vector of eight doubles as a value in numba: what the vectorizer does not find by itself.

A loop over eight lanes, or over the rows of a small matrix, is too short for LLVM's loop vectorizer and its other
vectorizer is off in numba, so plain loops run one number at a time. With the vector spelled out, four sections of a
cascade take 1 ns a sample on one core instead of 8. LLVM splits the eight for the registers that a machine has: one of
AVX-512, two of AVX2, four of NEON.

`fma` rounds once, on every machine and in every place: eight lanes give the bits that each would give alone. A
processor without such an instruction (x86 before 2013) calls a function for each and is slow.

Signals are read and written at addresses, so that one compiled loop serves every shape, order and stride. The caller
has checked them and keeps their arrays alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


class Float64x8(types.Type):
    """The numba type of a vector; its values live in registers only."""

    def __init__(self) -> None:
        super().__init__(name="Float64x8")


float64x8 = Float64x8()
_EIGHT = types.UniTuple(float64x8, LANES)


@register_model(Float64x8)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


# --------------------------------------------------------------- arithmetic


@intrinsic
def splat(typing_context: Any, number: Any) -> Any:
    """The same number in all lanes."""
    return float64x8(types.float64), lambda context, builder, signature, args: _splat(builder, args[0])


def _splat(builder: Any, number: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return _shuffled(builder, first, first, [0] * LANES)


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a·b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite does not know the names of vector intrinsics by itself
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f64"), args)

    return float64x8(float64x8, float64x8, float64x8), generate


@intrinsic
def mul(typing_context: Any, a: Any, b: Any) -> Any:
    """Product of two vectors."""
    return float64x8(float64x8, float64x8), lambda context, builder, signature, args: builder.fmul(*args)


@intrinsic
def add(typing_context: Any, a: Any, b: Any) -> Any:
    """Sum of two vectors."""
    return float64x8(float64x8, float64x8), lambda context, builder, signature, args: builder.fadd(*args)


@intrinsic
def transposed(typing_context: Any, rows: Any) -> Any:
    """The columns of eight rows: three stages, in each of which rows i and i + d swap their blocks of d numbers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = [builder.extract_value(args[0], i) for i in range(LANES)]
        for d in (1, 2, 4):
            left = [k - d + LANES if k & d else k for k in range(LANES)]
            right = [k + LANES if k & d else k + d for k in range(LANES)]
            for i in range(LANES):
                if not i & d:
                    pair = v[i], v[i + d]
                    v[i], v[i + d] = _shuffled(builder, *pair, left), _shuffled(builder, *pair, right)
        return context.make_tuple(builder, signature.return_type, v)

    return _EIGHT(_EIGHT), generate


def _shuffled(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    """Numbers of a (0 to 7) and b (8 to 15) in another order."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), LANES), places))


# --------------------------------------------------------------- arrays, contiguous and double


def _neighbours(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Address of array[index : index + 8]."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _is_flat(array: Any) -> bool:
    return bool(
        isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.float64
    )


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """array[index : index + 8] of a contiguous 1-D float64 array; the caller keeps it inside."""
    if not _is_flat(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = builder.load(_neighbours(context, builder, array, *args))
        vector.align = 8
        return vector

    return float64x8(array, types.intp), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, vector: Any) -> Any:
    """array[index : index + 8] = vector."""
    if not _is_flat(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _neighbours(context, builder, array, *args[:2])).align = 8
        return context.get_dummy_value()

    return types.none(array, types.intp, float64x8), generate


@intrinsic
def spread(typing_context: Any, array: Any, index: Any) -> Any:
    """array[index] in all lanes, without the look at negative indices that numba takes."""
    if not _is_flat(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        return _splat(builder, builder.load(builder.gep(data, [args[1]])))

    return float64x8(array, types.intp), generate


# --------------------------------------------------------------- addresses; `like` is a number of the type found there


def _kind(like: Any) -> Any:
    return {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}.get(like)


def _reader(many: int) -> Callable[..., Any]:
    """Code that reads one or eight numbers and widens them to double."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, wide = _kind(signature.args[1]), ir.DoubleType() if many == 1 else _VECTOR
        found = builder.load(builder.inttoptr(args[0], _of(kind, many).as_pointer()))
        found.align = 4 if kind == ir.FloatType() else 8
        return builder.fpext(found, wide) if kind == ir.FloatType() else found

    return generate


def _writer(many: int) -> Callable[..., Any]:
    """Code that rounds one or eight doubles to their type and writes them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, value = _of(_kind(signature.args[1]), many), args[2]
        single = _kind(signature.args[1]) == ir.FloatType()
        value = builder.fptrunc(value, target) if single else value
        builder.store(value, builder.inttoptr(args[0], target.as_pointer())).align = 4 if single else 8
        return context.get_dummy_value()

    return generate


def _of(kind: Any, many: int) -> Any:
    return kind if many == 1 else ir.VectorType(kind, many)


@intrinsic
def size_of(typing_context: Any, like: Any) -> Any:
    """Bytes of one number."""
    size = 4 if like == types.float32 else 8
    return types.intp(like), lambda context, builder, signature, args: context.get_constant(types.intp, size)


@intrinsic
def prefetch(typing_context: Any, address: Any, write: Any) -> Any:
    """Ask for the line of the cache at an address, which need not be there; write is 0 or 1."""
    if not isinstance(write, types.Literal):
        return None
    wanted = int(write.literal_value)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i8, i32 = ir.IntType(8), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32])
        f = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(f, [builder.inttoptr(args[0], i8.as_pointer()), i32(wanted), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.none(types.intp, write), generate


@intrinsic
def load_at(typing_context: Any, address: Any, like: Any) -> Any:
    """Eight neighbours at an address."""
    return (float64x8(types.intp, like), _reader(LANES)) if _kind(like) else None


@intrinsic
def store_at(typing_context: Any, address: Any, like: Any, vector: Any) -> Any:
    """Write eight neighbours at an address."""
    return (types.none(types.intp, like, float64x8), _writer(LANES)) if _kind(like) else None


@intrinsic
def read_at(typing_context: Any, address: Any, like: Any) -> Any:
    """Read one number at an address."""
    return (types.float64(types.intp, like), _reader(1)) if _kind(like) else None


@intrinsic
def write_at(typing_context: Any, address: Any, like: Any, number: Any) -> Any:
    """Write one number at an address."""
    return (types.none(types.intp, like, types.float64), _writer(1)) if _kind(like) else None


__all__ = [
    "LANES",
    "add",
    "float64x8",
    "fma",
    "load",
    "load_at",
    "mul",
    "prefetch",
    "read_at",
    "size_of",
    "splat",
    "spread",
    "store",
    "store_at",
    "transposed",
    "write_at",
]
