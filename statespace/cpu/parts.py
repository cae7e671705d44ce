"""Real and complex numbers of vectors: a number is (re,) or (re, im), so that one loop serves both.

Complex numbers in one array do not vectorize; their parts, in vectors of their own, do. A real factor of one part times
a complex one of two takes two products, not four.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from statespace.cpu.compile import inlined
from statespace.cpu.simd import Vector, copies, number, size, vector_of, where_less


def _is_number(kind: Any) -> bool:
    return isinstance(kind, types.UniTuple) and isinstance(kind.dtype, Vector) and kind.count <= 2


def _are_numbers(*kinds: Any) -> bool:
    return all(_is_number(kind) and kind.dtype == kinds[0].dtype for kind in kinds)


def _longest(*kinds: Any) -> Any:
    return max(kinds, key=lambda kind: kind.count)


def _taken(builder: Any, kind: Any, value: Any) -> list[Any]:
    return [builder.extract_value(value, i) for i in range(kind.count)]


class _Arithmetic:
    """Code for sums and products of vectors, rounded once where a product is added."""

    def __init__(self, builder: Any, vector: Any) -> None:
        scalar = ir.DoubleType() if vector.number == types.float64 else ir.FloatType()
        self.builder, self.kind = builder, ir.VectorType(scalar, vector.lanes)
        self.vector, self.zero = vector, ir.Constant(self.kind, None)
        self.name = f"llvm.fma.v{vector.lanes}f{vector.number.bitwidth}"

    def constant(self, value: Any) -> Any:
        """A double in all lanes."""
        single = self.vector.number == types.float32
        return copies(self.builder, self.vector, self.builder.fptrunc(value, ir.FloatType()) if single else value)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        if c is None:
            return self.builder.fmul(a, b)
        kind = ir.FunctionType(self.kind, [self.kind] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, self.name), [a, b, c])

    def times_plus(self, a: list[Any], b: list[Any], c: list[Any], count: int) -> list[Any]:
        """The first parts of a·b + c."""
        c = c + [None] * (2 - len(c))
        if len(a) == 2 and len(b) == 2:
            real = self.fma(a[0], b[0], self.fma(self.builder.fneg(a[1]), b[1], c[0]))
            return [real] if count == 1 else [real, self.fma(a[0], b[1], self.fma(a[1], b[0], c[1]))]
        if len(a) == 2:
            a, b = b, a
        return [self.fma(a[0], part, rest) for part, rest in zip(b[:count], c, strict=False)]


@intrinsic
def plus(typing_context: Any, a: Any, b: Any) -> Any:
    """A + b."""
    return _sum(a, b, "fadd")


@intrinsic
def minus(typing_context: Any, a: Any, b: Any) -> Any:
    """A − b, with as many parts each."""
    return _sum(a, b, "fsub") if a == b else None


def _sum(a: Any, b: Any, operation: str) -> Any:
    if not _are_numbers(a, b):
        return None
    result = _longest(a, b)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, second = (_taken(builder, kind, value) for kind, value in zip((a, b), args, strict=True))
        both = [getattr(builder, operation)(x, y) for x, y in zip(first, second, strict=False)]
        rest = (first if a.count > b.count else second)[len(both) :]
        return context.make_tuple(builder, result, both + rest)

    return result(a, b), generate


@intrinsic
def times(typing_context: Any, a: Any, b: Any) -> Any:
    """a·b."""
    if not _are_numbers(a, b):
        return None
    result = _longest(a, b)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, second = (_taken(builder, kind, value) for kind, value in zip((a, b), args, strict=True))
        product = _Arithmetic(builder, a.dtype).times_plus(first, second, [], result.count)
        return context.make_tuple(builder, result, product)

    return result(a, b), generate


@intrinsic
def times_plus(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c with the parts of c: a sum with one part takes real parts only."""
    if not _are_numbers(a, b, c):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, y, z = (_taken(builder, kind, value) for kind, value in zip((a, b, c), args, strict=True))
        total = _Arithmetic(builder, a.dtype).times_plus(x, y, z, c.count)
        return context.make_tuple(builder, c, total + z[len(total) :])

    return c(a, b, c), generate


@intrinsic
def polynomial(typing_context: Any, z: Any, coefficients: Any) -> Any:
    """Σ_k c_k z^k of real coefficients, the last one first; unrolled, which a loop over a tuple is not."""
    if not (_is_number(z) and isinstance(coefficients, types.UniTuple) and coefficients.dtype == types.float64):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arithmetic, argument = _Arithmetic(builder, z.dtype), _taken(builder, z, args[0])
        c = [arithmetic.constant(builder.extract_value(args[1], k)) for k in range(coefficients.count)]
        total = [c[0]] + [arithmetic.zero] * (z.count - 1)
        for c_k in c[1:]:
            total = arithmetic.times_plus(total, argument, [c_k, arithmetic.zero][: z.count], z.count)
        return context.make_tuple(builder, z, total)

    return z(z, coefficients), generate


@intrinsic
def conj(typing_context: Any, a: Any) -> Any:
    """The complex conjugate."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = _taken(builder, a, args[0])
        return context.make_tuple(builder, a, parts[:1] + [builder.fneg(part) for part in parts[1:]])

    return (a(a), generate) if _is_number(a) else None


@intrinsic
def like(typing_context: Any, a: Any, parts: Any) -> Any:
    """A with as many parts as there are in parts: the real part, or an imaginary part of 0."""
    if not _is_number(a):
        return None
    result = types.UniTuple(a.dtype, parts.count)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _taken(builder, a, args[0])[: result.count]
        zero = ir.Constant(found[0].type, None)
        return context.make_tuple(builder, result, found + [zero] * (result.count - len(found)))

    return result(a, parts), generate


# --------------------------------------------------------------- arrays: the parts of a number are neighbours


def _addresses(context: Any, builder: Any, array: Any, value: Any, first: Any, count: int, width: int) -> list[Any]:
    data = context.make_array(array)(context, builder, value).data
    return [builder.gep(data, [builder.add(first, ir.Constant(ir.IntType(64), part * width))]) for part in range(count)]


def _vectors(builder: Any, vector: Any, address: Any) -> Any:
    scalar = ir.DoubleType() if vector.number == types.float64 else ir.FloatType()
    return builder.bitcast(address, ir.VectorType(scalar, vector.lanes).as_pointer())


def _scaled(builder: Any, index: Any, factor: int) -> Any:
    return builder.mul(index, ir.Constant(ir.IntType(64), factor))


@intrinsic
def get(typing_context: Any, array: Any, index: Any, parts: Any) -> Any:
    """Number ``index`` of an array of vectors, of as many parts as there are in parts."""
    vector = vector_of(array)
    if vector is None:
        return None
    result = types.UniTuple(vector, parts.count)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = _scaled(builder, args[1], parts.count * vector.lanes)
        found = []
        for address in _addresses(context, builder, array, args[0], first, parts.count, vector.lanes):
            found.append(builder.load(_vectors(builder, vector, address)))
            found[-1].align = vector.number.bitwidth // 8
        return context.make_tuple(builder, result, found)

    return result(array, types.intp, parts), generate


@intrinsic
def put(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a number of vectors."""
    vector = vector_of(array)
    if vector is None or not _is_number(value) or value.dtype != vector:
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = _scaled(builder, args[1], value.count * vector.lanes)
        addresses = _addresses(context, builder, array, args[0], first, value.count, vector.lanes)
        for part, address in zip(_taken(builder, value, args[2]), addresses, strict=True):
            builder.store(part, _vectors(builder, vector, address)).align = vector.number.bitwidth // 8
        return context.get_dummy_value()

    return types.none(array, types.intp, value), generate


@intrinsic
def each(typing_context: Any, array: Any, index: Any, parts: Any, shared: Any) -> Any:
    """Number ``index`` of an array that holds one for all lanes, where they share it, otherwise one for each."""
    vector = vector_of(array)
    if vector is None:
        return None
    result = types.UniTuple(vector, parts.count)
    width = 1 if isinstance(shared, types.NoneType) else vector.lanes

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = _scaled(builder, args[1], parts.count * width)
        found = []
        for address in _addresses(context, builder, array, args[0], first, parts.count, width):
            if width == 1:
                found.append(copies(builder, vector, builder.load(address)))
            else:
                found.append(builder.load(_vectors(builder, vector, address)))
                found[-1].align = vector.number.bitwidth // 8
        return context.make_tuple(builder, result, found)

    return result(array, types.intp, parts, shared), generate


# --------------------------------------------------------------- a vector beside a number


@intrinsic
def scale(typing_context: Any, vector: Any, a: Any) -> Any:
    """Every part times a vector."""
    return _by_part(vector, a, "fmul")


@intrinsic
def over(typing_context: Any, vector: Any, a: Any) -> Any:
    """Every part divided by a vector, which comes first."""
    return _by_part(vector, a, "fdiv")


def _by_part(vector: Any, a: Any, operation: str) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = [getattr(builder, operation)(part, args[0]) for part in _taken(builder, a, args[1])]
        return context.make_tuple(builder, a, parts)

    return (a(vector, a), generate) if _is_number(a) and a.dtype == vector else None


@intrinsic
def choose(typing_context: Any, v: Any, w: Any, a: Any, b: Any) -> Any:
    """Lane by lane, a where v < w, otherwise b."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        less = builder.fcmp_ordered("<", args[0], args[1])
        pairs = zip(_taken(builder, a, args[2]), _taken(builder, b, args[3]), strict=True)
        return context.make_tuple(builder, a, [builder.select(less, *pair) for pair in pairs])

    return (a(v, w, a, b), generate) if _are_numbers(a, b) and a == b and v == w == a.dtype else None


@inlined
def constant(value: Any, a: Any) -> Any:
    """A real constant with the parts and the precision of a number."""
    return like((number(a[0], value),), a)


@inlined
def largest(a: Any) -> Any:
    """The larger of the magnitudes of the parts, a vector."""
    first, last = size(a[0]), size(a[-1])
    return where_less(first, last, last, first)


@inlined
def inverse(a: Any) -> Any:
    """1/a, which neither overflows nor vanishes on the way."""
    m = largest(a)
    b = over(m, a)
    square = times_plus(b, conj(b), (number(m, 0.0),))[0]
    return over(m, over(square, conj(b)))
