"""Break the library in one place after another, and look whether a law sees it: tests/test_laws.py and its companion.

    python tests/mutants.py            all of them, some minutes; the exit status is 0 when all die
    python tests/mutants.py foh D      those whose name holds one of the words

A mutant is one wrong number or one missing step, put in place of the right one while the laws run on their quick
profile. Each dies in the first law whose assertion fails. The laws nearest to it run first, the others only if it
lives through those. That the library lives through all of them unbroken is for pytest to say. Processes share the work.
"""

import contextlib
import functools
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import conftest  # noqa: F401, the quick profile
import hypothesis
import numpy as np
import pytest

import statespace as ss
from statespace import cpu, scan
from statespace.cpu import selective_adjoint
from statespace.discretization import verbs
from statespace.discretization.algebra import ELEMENTWISE, Factors
from statespace.kernels import lifting, samples, vandermonde
from statespace.scan import time_blocks
from statespace.selective import chunk_gradients, chunks, gradients, mamba3_arguments, plan, pullbacks, ssd_arguments
from statespace.selective import scan as selective_scan
from statespace.simulation import forms, irregular, run, streaming
from statespace.systems import properties

# --------------------------------------------------------------- how something is broken


@contextlib.contextmanager
def replaced(owner, name, make):
    """Put make(original) in place of owner.name, wherever it was imported to."""
    original = getattr(owner, name)
    new = make(original)
    modules = [m for key, m in sys.modules.items() if key.startswith("statespace")]
    places = [m for m in {owner, *modules} if vars(m).get(name) is original]
    for place in places:
        setattr(place, name, new)
    try:
        yield
    finally:
        for place in places:
            setattr(place, name, original)


def coefficient(rule, change):
    """Another α, β or γ in one row of the table; δ follows as αγ + β, and is the closed form where nothing changed."""

    def make(original):
        def factors(self, a, dt, algebra=ELEMENTWISE):
            f = original(self, a, dt, algebra)
            if self != rule:
                return f
            alpha, beta, gamma = change(f, dt, a, algebra)
            moved = algebra.product(alpha, gamma) + beta - algebra.product(f.alpha, f.gamma) - f.beta
            return Factors(alpha, beta, gamma, f.delta + moved)

        return factors

    return lambda: replaced(type(rule), "factors", make)


def closed_form(rule, factor):
    """Another δ, which is αγ + β written out."""

    def make(original):
        def factors(self, a, dt, algebra=ELEMENTWISE):
            f = original(self, a, dt, algebra)
            return f._replace(delta=factor * f.delta) if self == rule else f

        return factors

    return lambda: replaced(type(rule), "factors", make)


def answer(owner, name, change):
    """Another answer of a function: change(answer, *arguments)."""

    def make(original):
        return lambda *args, **more: change(original(*args, **more), *args)

    return lambda: replaced(owner, name, make)


def arguments(owner, name, change):
    """Other arguments of a function: change(*arguments)."""

    def make(original):
        return lambda *args, **more: original(*change(*args), **more)

    return lambda: replaced(owner, name, make)


# --------------------------------------------------------------- the table of α, β, γ

GBT = ss.GeneralizedBilinear(0.3)
ROWS = {
    "zoh": (ss.ZeroOrderHold(), "αβ"),
    "s4_zoh": (ss.ZeroOrderHold(tap="current"), "αγ"),
    "foh": (ss.FirstOrderHold(), "αβγ"),
    "impulse": (ss.Impulse(), "αγ"),
    "gbt(0.3)": (GBT, "αβγ"),
    "bilinear": (ss.Bilinear(), "αβγ"),
    "s4_bilinear": (ss.Bilinear(tap="current"), "αγ"),
    "euler": (ss.ForwardEuler(), "αβ"),
    "backward_euler": (ss.BackwardEuler(), "αγ"),
    "exp_trapezoidal": (ss.ExponentialTrapezoidal(), "αβγ"),
}
PLACE = {"α": 0, "β": 1, "γ": 2}


def put(f, greek, value):
    row = [f.alpha, f.beta, f.gamma]
    row[PLACE[greek]] = value
    return row


def times(greek, factor):
    return lambda f, dt, a, algebra: put(f, greek, factor * f[PLACE[greek]])


def delta_for_zero(greek):
    return lambda f, dt, a, algebra: put(f, greek, dt * algebra.one(f.alpha))


def swapped(f, dt, a, algebra):
    return f.alpha, f.gamma, f.beta


def phi(greek, name):
    """Δ φ in place of a coefficient, or nothing where φ1 − φ2 becomes φ1 − φ1."""

    def change(f, dt, a, algebra):
        values = {"φ1": algebra.exponentials(dt * a).phi1, "φ2": algebra.exponentials(dt * a).phi2, "0": 0 * f.alpha}
        return put(f, greek, dt * values[name])

    return change


def table():
    for name, (rule, nonzero) in ROWS.items():
        for greek in "αβγ":
            if greek in nonzero:
                yield f"{name}: −{greek}", coefficient(rule, times(greek, -1.0)), name
                yield f"{name}: 2{greek}", coefficient(rule, times(greek, 2.0)), name
            else:
                yield f"{name}: {greek} = Δ", coefficient(rule, delta_for_zero(greek)), name
        if name != "bilinear":  # whose taps are the same
            yield f"{name}: taps swapped", coefficient(rule, swapped), name
        for factor, sign in ((-1.0, "−"), (2.0, "2")):
            yield f"{name}: {sign}δ", closed_form(rule, factor), name
    for name, greek, other in (
        ("zoh", "β", "φ2"),
        ("s4_zoh", "γ", "φ2"),
        ("foh", "γ", "φ1"),
        ("foh", "β", "φ1"),
        ("foh", "β", "0"),
    ):
        yield f"{name}: {greek} = Δ{other}", coefficient(ROWS[name][0], phi(greek, other)), name


# --------------------------------------------------------------- what stands around the table


def feedthrough(change):
    """Another D_d, from D and from D + C γ B."""

    def changed(pair, system, *rest):
        digital, shift = pair
        parts = (digital.A, digital.B, digital.C, change(system, digital.D))
        return ss.DiscreteSystem(*parts, dt=digital.dt, method=digital.method), shift

    return answer(verbs, "with_shift", changed)


def of_pairs(system, through):
    """Half of what the pairs make."""
    return system.D + (through - system.D) / (2.0 if system.stores_pairs else 1.0)


def discretization():
    shifted = {"−γ B u": -1.0, "2γ B u": 2.0, "no γ B u": 0.0}
    for name, factor in shifted.items():
        change = answer(verbs, "with_shift", lambda pair, *_, k=factor: (pair[0], k * pair[1]))
        yield f"state shift: {name}", change, "table"
    yield "D: without C γ B", feedthrough(lambda system, through: system.D), "table"
    yield "D: − C γ B", feedthrough(lambda system, through: 2 * system.D - through), "table"
    yield "D: without D", feedthrough(lambda system, through: through - system.D), "table"
    yield "pairs: C γ B once", feedthrough(of_pairs), "table"


def engines():
    """The pairs factor, D and the state in the loops and around them."""

    def half_c(a, bt, ct, *rest):
        return a, bt, ct / 2, *rest

    def no_d(a, bt, ct, dt, *rest):
        return a, bt, ct, 0 * dt, *rest

    def half(y, *args):
        return y / 2 if args[0].stores_pairs else y

    def half_third(parts, system):
        return (*parts[:2], parts[2] / 2, parts[3]) if system.stores_pairs else parts

    yield "pairs: loop", arguments(cpu, "pair_steps", half_c), "forms|simulating"
    yield "pairs: powers", answer(vandermonde, "_factors", half_left), "kernel|forms"
    yield "pairs: read out", answer(irregular, "_read_out", half), "straight|uneven|uniform"
    yield "pairs: blocks", answer(forms, "_seen", half), "forms"
    yield "pairs: four matrices", answer(properties, "realization", half_third), "engine|kernel"
    yield "D: pairs without D", arguments(cpu, "pair_steps", no_d), "forms|engine"
    yield "D: diagonal without D", arguments(cpu, "diagonal_steps", no_d), "engine"


def half_left(pair, poles, weights, step, blocks):
    left, right = pair
    return (left / 2 if left.shape[-1] == 2 * poles.shape[-1] else left), right


def shifted_back(answered, form, digital, shift, u, *rest):
    y, final, x = answered
    return y, final - (u[..., -1:, :] @ shift)[..., 0, :] if u.shape[-2] else final, x


def carries():
    """What is handed from block to block."""

    def forgotten(x, *_):
        return np.concatenate([x[..., :1, :], 0 * x[..., 1:, :]], axis=-2)

    def late(x, *_):
        return np.concatenate([x[..., :1, :], x[..., :-1, :]], axis=-2)

    def without_power(parts, *_):
        return parts._replace(power=0 * parts.power)

    def early_power(parts, system, M):
        return parts._replace(power=lifting.blocks(system, M - 1).power if M > 1 else parts.power)

    def backwards(parts, *_):
        return parts._replace(reach=parts.reach[..., ::-1, :, :])

    yield "carry: chunks from zero", answer(forms, "_passed", forgotten), "forms|chunks"
    yield "carry: chunks a block late", answer(forms, "_passed", late), "forms|chunks"
    yield "carry: A^M left out", answer(forms, "blocks", without_power), "forms|chunks"
    yield "carry: A^(M−1)", answer(forms, "blocks", early_power), "forms|chunks"
    yield "carry: inputs of a block backwards", answer(forms, "blocks", backwards), "forms|chunks"
    yield "carry: T of the future", answer(forms, "toeplitz", lambda t, *_: t.swapaxes(-1, -2)), "forms|chunks"
    yield "carry: stream from zero", answer(streaming, "_kept", lambda x, *_: 0 * x), "blocks_are"
    yield "carry: kernel from zero", answer(samples, "without_remnants", lambda x, *_: 0 * x), "kernel"
    yield "carry: final state of a convolution", answer(forms, "_final_state", lambda x, *_: 0.5 * x), "forms"
    yield "carry: final state without γ B u", answer(run, "_run_shifted", shifted_back), "goes_on"


def lanes():
    """Channels and blocks of time as lanes."""

    def without_power(past, *_):
        return past and past._replace(power=None if past.power is None else 0 * past.power)

    def short(past, *_):
        return past and past._replace(samples=past.samples if past.power is not None else past.samples // 4)

    def late(power, which, v, x):
        return power, which, np.roll(v, 1, axis=1), x

    def half(part):
        def change(found, *_):
            table = found.table.copy()
            table[:, part] *= 0.5
            ready = table[:1] if found.shared else np.repeat(table[:1], found.width, axis=1)
            return found._replace(table=table, ready=ready)

        return change

    near = "lanes"
    yield "lanes: A^S left out", answer(time_blocks, "memory", without_power), near
    yield "lanes: a quarter of the memory", answer(time_blocks, "memory", short), near
    yield "lanes: carried a block late", arguments(cpu, "carry", late), near
    yield "lanes: transposed A^S", arguments(cpu, "carry", lambda a, *rest: (a.swapaxes(1, 2).copy(), *rest)), near
    yield "lanes: half of c in a cascade", answer(scan.lanes, "_cascade", half(slice(5, None, 8))), near
    yield "lanes: half of d in a cascade", answer(scan.lanes, "_cascade", half(slice(7, None, 8))), near
    yield "lanes: half of a in modes", answer(scan.lanes, "_diagonal", half(0)), near
    yield "lanes: half of D of modes", answer(scan.lanes, "_diagonal", half(-1)), near
    yield "lanes: columns of A left out", answer(scan.lanes, "_ends", lambda ends, *_: np.maximum(ends - 1, 0)), near
    yield "lanes: blocks a sample late", arguments(time_blocks, "_cut_up", lambda p, b, *w: (p, b + (b > 0), *w)), near
    for part, of in ((1, "a12 a21"), (3, "c1"), (5, "d")):
        yield f"lanes: half of {of} in quick units", answer(scan, "quick_lanes", half(slice(part, None, 6))), near
    yield "lanes: units left out", answer(scan, "quick_lanes", lambda lanes, *_: lanes._replace(units=None)), near


def first_samples():
    def first(factor):
        def change(h, *_):
            h = np.array(h)
            h[..., 0, :, :] *= factor
            return h

        return change

    def shifted(h, *_):
        return np.concatenate([h[..., 1:, :, :], 0 * h[..., :1, :, :]], axis=-3)

    def late(h, *_):
        return np.concatenate([0 * h[..., :1, :, :], h[..., :-1, :, :]], axis=-3)

    yield "kernel: h_0 = 0", answer(samples, "_samples", first(0.0)), "kernel|forms"
    yield "kernel: 2 h_0", answer(samples, "_samples", first(2.0)), "kernel|forms"
    yield "kernel: a sample early", answer(samples, "_samples", shifted), "kernel|forms"
    yield "kernel: a sample late", answer(samples, "_samples", late), "kernel|forms"


def dtypes():
    """The state is double, the output as precise as u, and complex where the system, u or x0 is."""
    rule, near = (scan, "state_and_output_types"), "single|engine"

    def narrow(kinds, system, u, x0):
        return (np.result_type(kinds[0], np.float64).type, kinds[1]) if u.dtype.itemsize > 4 else single(kinds)

    def single(kinds):
        return np.dtype(f"{np.dtype(kinds[0]).kind}{np.dtype(kinds[0]).itemsize // 2}").type, kinds[1]

    def real(kinds, *_):
        return kinds[0], np.empty(0, kinds[1]).real.dtype

    yield "dtype: state as narrow as u", answer(*rule, narrow), near
    yield "dtype: output always double", answer(*rule, lambda k, *_: (k[0], np.result_type(k[1], float))), near
    yield "dtype: output always single", answer(*rule, lambda k, *_: (k[0], narrowest(k[1]))), near
    yield "dtype: output always real", answer(*rule, real), near
    yield "dtype: x0 does not count", arguments(*rule, lambda s, u, x0: (s, u, x0.real)), near
    yield "dtype: u does not count", arguments(*rule, lambda s, u, x0: (s, u.real, x0)), near


def narrowest(kind):
    return np.complex64 if np.dtype(kind).kind == "c" else np.float32


# --------------------------------------------------------------- the selective scan, and ssd


def selective():
    """What the compiled scan is told: tables, addresses, kinds, and the state that is handed on."""
    near = "the_scan_is_the_reference"

    def told(part, value, where=(plan, "as_kinds")):
        return answer(*where, lambda kinds, *_: kinds._replace(**{part: value(getattr(kinds, part))}))

    def turned(k):
        def change(turns, _, lanes, complex_):
            if complex_:
                parts = turns.reshape(len(turns), -1, 3, lanes.channels.shape[1])
                parts[:, :, 1:] *= k
            return turns

        return change

    def first_group(found, *_):
        places, strides = found
        return np.broadcast_to(places[:1, :, :1], places.shape).copy(), strides

    def from_channel_0(places, array, batch, lanes):
        return np.repeat(places[:, :1], places.shape[1], axis=1)

    def weight(pair, *_):
        return pair[0], 1 - pair[1]

    def late(edges, *_):
        return edges[0] + 1, edges[1]

    def rows_of_the_first(edges, *_):
        return edges[0], np.minimum(edges[1], edges[1][1])

    def exchanged(found, *_):
        return found._replace(places=found.places[:, [1, 0, 2, 3]])

    def backwards(lanes, *_):
        return lanes._replace(channels=lanes.channels[:, ::-1].copy())

    def without(part):
        return answer(plan, "as_model", lambda model, *_: model._replace(**{part: 0 * getattr(model, part)}))

    def dropped(k):
        return answer(selective_scan, "start", lambda pair, *_: tuple(t * (i != k) for i, t in enumerate(pair)))

    def ends(change):
        return arguments(selective_scan, "_final", lambda i, lanes, x, v: (i, lanes, *change(x, v)))

    yield "selective: e^z by ln 2", answer(plan, "_turns", lambda t, *_: (t * np.log(2)).astype(t.dtype)), near
    yield "selective: no half turns", answer(plan, "_turns", turned(0)), near
    yield "selective: half turns backwards", answer(plan, "_turns", turned(-1)), near
    yield "selective: B and C exchanged", answer(plan, "_levels", lambda p, *_: (p[0][:, ::-1].copy(), p[1])), near
    yield "selective: B and C by states", answer(plan, "_levels", lambda p, *_: (p[0], p[1][:, ::-1].copy())), near
    yield "selective: B and C of the first", answer(plan, "_levels", first_group), f"channel|{near}"
    yield "selective: signals of the first lane", answer(plan, "places_of", from_channel_0), near
    yield "selective: Δ and u exchanged", answer(plan, "as_plan", exchanged), near
    yield "selective: a reset late", answer(plan, "_edges", late), f"reset|{near}"
    yield "selective: resets of one row", answer(plan, "_edges", rows_of_the_first), "reset|channel"
    yield "selective: lanes backwards", answer(plan, "as_lanes", backwards), "channel|blocks"
    yield "selective: groups as one", told("shared", lambda _: None), f"channel|{near}"
    yield "selective: states not joined", answer(plan, "as_plan", lambda found, *_: found._replace(beside=1)), near
    yield "selective: pairs once", told("doubled", lambda _: 1.0), near
    yield "selective: no softplus", told("softened", lambda _: False), "surrounds"
    yield "selective: no gate", told("gated", lambda _: False), "surrounds"
    yield "selective: 1 − w for w", answer(plan, "rule_number", weight), near
    for name, wrong in (("zoh", "s4_zoh"), ("foh", "zoh"), ("s4_zoh", "zoh"), ("gbt(0.3)", "s4_bilinear")):
        yield f"selective: {wrong} for {name}", arguments(plan, "rule_number", other_rule(name, wrong)), near
    yield "selective: no D", without("direct"), near
    yield "selective: no bias", without("bias"), "surrounds"
    yield "selective: half of A", answer(plan, "as_model", lambda m, *_: m._replace(a=m.a / 2)), near
    yield "selective: x0 dropped", dropped(0), f"blocks|steps|{near}"
    yield "selective: v0 dropped", dropped(1), f"blocks|steps|{near}"
    yield "selective: x handed on as zero", ends(lambda x, v: (0 * x, v)), "blocks|steps"
    yield "selective: v handed on as x", ends(lambda x, v: (x, x if v.size else v)), "blocks|steps"


def other_rule(name, wrong):
    return lambda rule: (ROWS[wrong][0] if rule == ROWS[name][0] else rule,)


def selective_gradients():
    near = "gradient_is_that_of_the_scan"
    adjoint = selective_adjoint, "selective_adjoint"

    def kinds(part, value):
        return arguments(*adjoint, lambda a, b, k, *rest: (a, b, k._replace(**{part: value}), *rest))

    def unmarked(*args):
        return *args[:-2], 0 * args[-2], args[-1]

    def shorter(found, *_):
        return np.stack([found[:, 0], np.maximum(found[:, 1] - 1, found[:, 0])], axis=1)

    def remembered(original):
        return lambda table, lanes, rows: None

    yield "selective gradient: tiles from zero", arguments(*adjoint, unmarked), near
    yield "selective gradient: slope of softplus", kinds("softened", False), near
    yield "selective gradient: slope of the gate", kinds("gated", False), near
    yield "selective gradient: a unit left out", answer(gradients, "_chunks", shorter), near
    yield "selective gradient: half of B", answer(gradients, "_level", lambda g, *_: g / 2), near
    yield "selective gradient: repeats count", lambda: replaced(gradients, "_forget_repeats", remembered), near
    yield "selective gradient: last state", answer(gradients, "_last", lambda pair, *_: (None, pair[1])), near
    yield (
        "selective gradient: copies once",
        answer(gradients, "summed", lambda g, *_: g if g is None else g / 2),
        near,
    )


def chunked():
    """Decays, weights and states of ssd."""
    near = "test_ssd_"
    tri = {"later": lambda m: np.swapaxes(m, -3, -1), "no diagonal": without_diagonal}

    def decay(**change):
        return answer(chunks, "decays", lambda d, *_: d._replace(**{k: f(getattr(d, k)) for k, f in change.items()}))

    def rolled(part):
        return np.roll(part, 1, axis=-2)

    yield "ssd: chunks from zero", decay(total=lambda t: 0 * t), near
    yield "ssd: no decay over a chunk", decay(total=lambda t: 0 * t + 1), near
    yield "ssd: state a sample late", decay(since=rolled), near
    yield "ssd: left of a sample, a sample late", decay(until=rolled), near
    yield "ssd: mixing of the future", answer(chunks, "decay_matrix", lambda m, *_: tri["later"](m)), near
    yield (
        "ssd: a sample does not hear itself",
        answer(chunks, "decay_matrix", lambda m, *_: tri["no diagonal"](m)),
        near,
    )
    yield "ssd: Δ left out", answer(chunks, "weights", lambda w, piece, decays: decays.copy()), near
    yield "ssd: heads backwards", answer(chunks, "by_head", lambda t, *_: t[..., ::-1, :]), near
    yield "ssd: a reset decays as any", without_resets, near
    yield "ssd: x0 dropped", answer(ssd_arguments, "starting_rows", lambda x, *_: 0 * x), near
    yield "ssd: κ for γ", answer(mamba3_arguments, "trapezoid_recurrence", lambda r, *_: r._replace(now=r.later)), near
    yield "ssd: no tap before", answer(mamba3_arguments, "next_weight", lambda w, *_: 0 * w), near
    of = "gradient_is_that_of_ssd"
    yield "ssd gradient: of later samples", answer(chunk_gradients, "_from", lambda z, *_: np.roll(z, -1, -2)), of
    yield "ssd gradient: of earlier samples", answer(chunk_gradients, "_before", lambda u, *_: np.roll(u, -1, -2)), of
    yield "ssd gradient: of spans", answer(chunk_gradients, "_spanned", lambda z, *_: 0 * z), of
    yield "ssd gradient: of the state", answer(chunk_gradients, "_dot", lambda s, *_: 0 * s), of
    yield "ssd gradient: states once more", answer(chunk_gradients, "_states", lambda s, *_: s[:1] * len(s)), of
    yield "ssd gradient: of D", answer(pullbacks, "of_heads", lambda d, *_: d / 2), of


def without_diagonal(matrix):
    found = matrix.copy()
    chunks.diagonal(found)[...] = 0
    return found


@contextlib.contextmanager
def without_resets():
    """No reset is told to the chunks at all."""
    with arguments(ssd_arguments, "recurrence", lambda given: (given._replace(reset=None),))():
        yield


# --------------------------------------------------------------- the laws, and who dies


def laws():
    """Name and call of every law, with its parameters; they keep the profile under which they are imported."""
    import test_laws
    import test_selective_laws

    for name, function in (*vars(test_laws).items(), *vars(test_selective_laws).items()):
        if not name.startswith("test_") or name.endswith("law_is_vacuous"):
            continue
        marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
        if not marks:
            yield name, function
        for mark in marks:
            for value in mark.args[1]:
                yield f"{name}[{value}]", bound(function, mark.args[0], value)


def bound(function, parameter, value):
    return lambda: function(**{parameter: value})


REFUSED = ("TypingError", "ComplexWarning")  # by numba and NumPy, in whatever law


def killer(mutant, near, found):
    """The law that a mutant dies in, or None. A crash counts where no law judges: wrong types that are refused."""
    import re

    first = [item for item in found if re.search(re.escape(f"[{near}]") if near in ROWS else near, item[0])]
    crashed = ""
    with mutant():
        for name, law in [*first, *(item for item in found if item not in first)]:
            error = dies(law)
            if error == "AssertionError":
                return name
            crashed = crashed or (error and f"{name} ({error})")
            if error in REFUSED:
                break
    return crashed or None


def dies(law):
    """The kind of error that a law fails with; nothing where it holds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            law()
    except pytest.skip.Exception:
        return ""
    except Exception as error:
        return type(error).__name__
    return ""


@functools.cache
def everything():
    """All mutants and all laws; each process has its own."""
    hypothesis.settings.register_profile(
        "mutants",
        hypothesis.settings.get_profile("quick"),
        phases=(hypothesis.Phase.generate,),
        database=None,
        report_multiple_bugs=False,  # the first is enough
    )
    hypothesis.settings.load_profile("mutants")
    mutants = [
        *table(),
        *discretization(),
        *engines(),
        *carries(),
        *lanes(),
    ]
    mutants += [*first_samples(), *dtypes(), *selective(), *selective_gradients(), *chunked()]
    return mutants, list(laws())


def judged(k):
    """Name, law and seconds of mutant k."""
    mutants, found = everything()
    (name, mutant, near), begin = mutants[k], time.perf_counter()
    return name, killer(mutant, near, found), time.perf_counter() - begin


def main(words):
    mutants, start, alive = everything()[0], time.perf_counter(), []
    chosen = [k for k, (name, _, _) in enumerate(mutants) if not words or any(word in name for word in words)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for name, law, took in pool.map(judged, chosen):
            if law is None:
                alive.append(name)
            print(f"{name:<44} {law or 'lives':<70} {took:5.1f} s", flush=True)
    print(f"{len(mutants)} mutants, {len(alive)} live, {time.perf_counter() - start:.0f} s")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
