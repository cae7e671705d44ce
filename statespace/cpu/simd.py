"""A vector of numbers as a value in numba: what the vectorizer does not find by itself.

A loop over eight lanes, or over the rows of a small matrix, is too short for LLVM's loop vectorizer and its other
vectorizer is off in numba, so plain loops run one number at a time. With the vector spelled out, four sections of a
cascade take 1 ns a sample on one core instead of 8. A vector is 64 bytes, eight doubles or sixteen singles: LLVM splits
it for the registers that a machine has, one of AVX-512, two of AVX2, four of NEON.

`fma` rounds once, on every machine and in every place: all lanes give the bits that each would give alone. A processor
without such an instruction (x86 before 2013) calls a function for each and is slow.

Signals are read and written at addresses, so that one compiled loop serves every shape, order and stride. The caller
has checked them and keeps their arrays alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8  # of doubles; `lanes_of` where a loop takes singles too
_GONE = float(np.float32(1e-32))
_NUMBERS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


class Vector(types.Type):
    """The numba type of a vector; its values live in registers only."""

    def __init__(self, number: Any, lanes: int) -> None:
        super().__init__(name=f"{number}x{lanes}")
        self.number, self.lanes = number, lanes


float64x8, float32x16 = Vector(types.float64, 8), Vector(types.float32, 16)
_VECTORS = {types.float64: float64x8, types.float32: float32x16}


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _many(fe_type.number, fe_type.lanes))


def _many(number: Any, count: int) -> Any:
    kind = _NUMBERS[number]
    return kind if count == 1 else ir.VectorType(kind, count)


# --------------------------------------------------------------- arithmetic


@intrinsic
def splat(typing_context: Any, number: Any) -> Any:
    """The same number in all lanes."""
    vector = _VECTORS.get(number)
    return vector and (vector(number), lambda context, builder, signature, args: copies(builder, vector, args[0]))


def copies(builder: Any, vector: Any, number: Any) -> Any:
    kind = _many(vector.number, vector.lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return _shuffled(builder, first, first, [0] * vector.lanes)


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a·b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite does not know the names of vector intrinsics by itself
        kind = _many(a.number, a.lanes)
        name = f"llvm.fma.v{a.lanes}f{a.number.bitwidth}"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name), args
        )

    return (a(a, b, c), generate) if _are_vectors(a, b, c) else None


def _elementwise(name: str, operation: str, meaning: str) -> Any:
    """An operation of two vectors, lane by lane."""

    def typed(typing_context: Any, a: Any, b: Any) -> Any:
        result = a(a, b), lambda context, builder, signature, args: getattr(builder, operation)(*args)
        return result if _are_vectors(a, b) else None

    typed.__name__, typed.__doc__ = name, meaning
    return intrinsic(typed)


mul = _elementwise("mul", "fmul", "Product of two vectors.")
add = _elementwise("add", "fadd", "Sum of two vectors.")
sub = _elementwise("sub", "fsub", "Difference of two vectors.")
div = _elementwise("div", "fdiv", "Quotient of two vectors.")


@intrinsic
def number(typing_context: Any, vector: Any, value: Any) -> Any:
    """A number in all lanes, in the precision of another vector."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[1] if vector == float64x8 else builder.fptrunc(args[1], _NUMBERS[vector.number])
        return copies(builder, vector, value)

    return (vector(vector, types.float64), generate) if _are_vectors(vector) else None


@intrinsic
def is_single(typing_context: Any, vector: Any) -> Any:
    """Whether a vector holds singles, a constant."""
    answer = vector == float32x16
    return types.boolean(vector), lambda context, *rest: context.get_constant(types.boolean, answer)


@intrinsic
def where_less(typing_context: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """Lane by lane, then where a < b, otherwise where it is not, or is not a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return (a(a, b, then, otherwise), generate) if _are_vectors(a, b, then, otherwise) else None


@intrinsic
def size(typing_context: Any, vector: Any) -> Any:
    """The magnitudes, |v|."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _unary(builder, vector, "fabs", args[0])

    return (vector(vector), generate) if _are_vectors(vector) else None


def _unary(builder: Any, vector: Any, name: str, value: Any) -> Any:
    """A function of LLVM's that llvmlite does not know for vectors."""
    kind = _many(vector.number, vector.lanes)
    name = f"llvm.{name}.v{vector.lanes}f{vector.number.bitwidth}"
    return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name), [value])


@intrinsic
def rounded(typing_context: Any, vector: Any) -> Any:
    """To the nearest integer, halves to the even one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _unary(builder, vector, "rint", args[0])

    return (vector(vector), generate) if _are_vectors(vector) else None


@intrinsic
def power_of_two(typing_context: Any, shifted: Any) -> Any:
    """2^k of shifted = k + 1.5·2^23 (2^52 for doubles), whose last bits are k: they become the exponent."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits, fraction, bias = (32, 23, 127) if vector == float32x16 else (64, 52, 1023)
        kind = ir.VectorType(ir.IntType(bits), vector.lanes)
        exponent = builder.shl(builder.bitcast(args[0], kind), ir.Constant(kind, [fraction] * vector.lanes))
        exponent = builder.add(exponent, ir.Constant(kind, [bias << fraction] * vector.lanes))
        return builder.bitcast(exponent, _many(vector.number, vector.lanes))

    vector = shifted
    return (vector(vector), generate) if _are_vectors(vector) else None


@intrinsic
def without_remnants(typing_context: Any, vector: Any) -> Any:
    """Singles below 1e-32 as 0, before they are subnormal and a hundred times slower; doubles as they are."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _many(vector.number, vector.lanes)
        gone = builder.fcmp_ordered(
            "<", _unary(builder, vector, "fabs", args[0]), ir.Constant(kind, [_GONE] * vector.lanes)
        )
        return builder.select(gone, ir.Constant(kind, [0.0] * vector.lanes), args[0])

    if not _are_vectors(vector):
        return None
    same = lambda context, builder, signature, args: args[0]  # noqa: E731
    return vector(vector), generate if vector == float32x16 else same


def _are_vectors(first: Any, *others: Any) -> bool:
    return isinstance(first, Vector) and all(other == first for other in others)


@intrinsic
def transposed(typing_context: Any, rows: Any) -> Any:
    """The columns of as many rows as lanes: in each stage rows i and i + d swap their blocks of d numbers."""
    if not isinstance(rows, types.UniTuple) or not isinstance(rows.dtype, Vector) or rows.count != rows.dtype.lanes:
        return None
    lanes = rows.count

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = [builder.extract_value(args[0], i) for i in range(lanes)]
        for d in (d for d in (1, 2, 4, 8) if d < lanes):
            left = [k - d + lanes if k & d else k for k in range(lanes)]
            right = [k + lanes if k & d else k + d for k in range(lanes)]
            for i in range(lanes):
                if not i & d:
                    pair = v[i], v[i + d]
                    v[i], v[i + d] = _shuffled(builder, *pair, left), _shuffled(builder, *pair, right)
        return context.make_tuple(builder, signature.return_type, v)

    return rows(rows), generate


@intrinsic
def sums(typing_context: Any, rows: Any) -> Any:
    """The sum over the lanes of each of as many rows as lanes, as one vector; pairs first, then pairs of pairs."""
    if not isinstance(rows, types.UniTuple) or not isinstance(rows.dtype, Vector) or rows.count != rows.dtype.lanes:
        return None
    lanes = rows.count

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = [builder.extract_value(args[0], i) for i in range(lanes)]
        for d in (d for d in (1, 2, 4, 8) if d < lanes):
            # lane k has a partial sum of row k mod 2d: that of the first of two where bit d of k is 0
            own = [k + lanes if k & d else k for k in range(lanes)]
            other = [(k ^ d) + lanes if k & d else k ^ d for k in range(lanes)]
            v = [
                builder.fadd(_shuffled(builder, a, b, own), _shuffled(builder, a, b, other))
                for a, b in zip(v[::2], v[1::2], strict=True)
            ]
        return v[0]

    return rows.dtype(rows), generate


def _shuffled(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    """Numbers of a, and after them those of b, in another order."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


# --------------------------------------------------------------- arrays, contiguous; their numbers say which vector


def vector_of(array: Any) -> Any:
    flat = isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"
    return _VECTORS.get(array.dtype) if flat else None


def _neighbours(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Address of array[index] and those after it that fill a vector."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = vector_of(array_type)
    return builder.bitcast(builder.gep(data, [index]), _many(vector.number, vector.lanes).as_pointer())


@intrinsic
def lanes_of(typing_context: Any, array: Any) -> Any:
    """How many numbers of an array fill a vector, a constant."""
    vector = _VECTORS.get(array.dtype) if isinstance(array, types.Array) else None
    return vector and (types.intp(array), lambda context, *rest: context.get_constant(types.intp, vector.lanes))


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """The numbers from array[index] on, of a contiguous 1-D array; the caller keeps them inside."""
    vector = vector_of(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.load(_neighbours(context, builder, array, *args))
        found.align = vector.number.bitwidth // 8
        return found

    return vector and (vector(array, types.intp), generate)


@intrinsic
def store(typing_context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write a vector from array[index] on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        stored = builder.store(args[2], _neighbours(context, builder, array, *args[:2]))
        stored.align = vector.number.bitwidth // 8
        return context.get_dummy_value()

    fits = vector_of(array) is not None and vector_of(array) == vector
    return (types.none(array, types.intp, vector), generate) if fits else None


@intrinsic
def spread(typing_context: Any, array: Any, index: Any) -> Any:
    """array[index] in all lanes, without the look at negative indices that numba takes."""
    vector = vector_of(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        return copies(builder, vector, builder.load(builder.gep(data, [args[1]])))

    return vector and (vector(array, types.intp), generate)


@intrinsic
def load_rows(typing_context: Any, array: Any, index: Any, step: Any) -> Any:
    """As many vectors as there are lanes, step numbers apart: what `transposed` takes."""
    vector = vector_of(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, at = [], args[1]
        for _ in range(vector.lanes):
            rows.append(builder.load(_neighbours(context, builder, array, args[0], at)))
            rows[-1].align = vector.number.bitwidth // 8
            at = builder.add(at, args[2])
        return context.make_tuple(builder, signature.return_type, rows)

    return vector and (types.UniTuple(vector, vector.lanes)(array, types.intp, types.intp), generate)


# --------------------------------------------------------------- addresses; `like` is a number of the type found there


def _read(builder: Any, address: Any, like: Any, number: Any, count: int) -> Any:
    """Numbers of one type as those of another."""
    found = builder.load(builder.inttoptr(address, _many(like, count).as_pointer()))
    found.align = like.bitwidth // 8
    return builder.fpext(found, _many(number, count)) if like.bitwidth < number.bitwidth else found


def _writer(number: Any, count: int) -> Callable[..., Any]:
    """Code that rounds numbers to their type and writes them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        like, value = signature.args[1], args[2]
        target = _many(like, count)
        value = builder.fptrunc(value, target) if like.bitwidth < number.bitwidth else value
        builder.store(value, builder.inttoptr(args[0], target.as_pointer())).align = like.bitwidth // 8
        return context.get_dummy_value()

    return generate


def _fits(like: Any, number: Any) -> bool:
    """Whether numbers are held at least as precisely as they lie in memory."""
    return like in _NUMBERS and number in _NUMBERS and like.bitwidth <= number.bitwidth


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
def load_at(typing_context: Any, address: Any, like: Any, array: Any) -> Any:
    """Neighbours at an address, as many and as precise as a vector of the array."""
    vector = vector_of(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _read(builder, args[0], like, vector.number, vector.lanes)

    return (vector(types.intp, like, array), generate) if vector and _fits(like, vector.number) else None


@intrinsic
def load_rows_at(typing_context: Any, addresses: Any, offset: Any, like: Any, array: Any) -> Any:
    """The same for as many addresses as lanes, from an offset in bytes on: what `transposed` takes."""
    vector = vector_of(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = context.make_array(addresses)(context, builder, args[0]).data
        rows = []
        for lane in range(vector.lanes):
            address = builder.add(builder.load(builder.gep(first, [ir.Constant(ir.IntType(64), lane)])), args[1])
            rows.append(_read(builder, address, like, vector.number, vector.lanes))
        return context.make_tuple(builder, signature.return_type, rows)

    listed = isinstance(addresses, types.Array) and addresses.layout == "C" and addresses.dtype == types.intp
    if not (vector and listed and _fits(like, vector.number)):
        return None
    return types.UniTuple(vector, vector.lanes)(addresses, types.intp, like, array), generate


@intrinsic
def store_at(typing_context: Any, address: Any, like: Any, vector: Any) -> Any:
    """Write neighbours at an address."""
    if not (isinstance(vector, Vector) and _fits(like, vector.number)):
        return None
    return types.none(types.intp, like, vector), _writer(vector.number, vector.lanes)


@intrinsic
def read_at(typing_context: Any, address: Any, like: Any) -> Any:
    """Read one number at an address, as a double."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _read(builder, args[0], like, types.float64, 1)

    return (types.float64(types.intp, like), generate) if like in _NUMBERS else None


@intrinsic
def write_at(typing_context: Any, address: Any, like: Any, number: Any) -> Any:
    """Write one double at an address."""
    return (types.none(types.intp, like, types.float64), _writer(types.float64, 1)) if like in _NUMBERS else None


__all__ = [
    "LANES",
    "Vector",
    "add",
    "copies",
    "div",
    "float32x16",
    "float64x8",
    "fma",
    "is_single",
    "lanes_of",
    "load",
    "load_at",
    "load_rows",
    "load_rows_at",
    "mul",
    "number",
    "power_of_two",
    "prefetch",
    "read_at",
    "rounded",
    "size",
    "size_of",
    "splat",
    "spread",
    "store",
    "store_at",
    "sub",
    "sums",
    "transposed",
    "vector_of",
    "where_less",
    "without_remnants",
    "write_at",
]
