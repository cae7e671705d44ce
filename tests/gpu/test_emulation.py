"""What runs kernels without a GPU finds the mistakes that it promises to find, and none in a kernel that is right."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import card
import host_build
import numpy as np
import pretend
import pytest

pytestmark = pytest.mark.skipif(host_build.compiler() is None, reason="needs g++ 12 or newer")

HEAD = """
#define barrier() emulated_barrier()
#define exchange(value, mask) emulated_exchange(value, mask)
extern "C" __global__ void __launch_bounds__(128) run"""
REVERSE = f"""{HEAD}(const float *x, float *y, int length) {{
  float *shared = (float *)emulated_shared();
  for (int k = 0; k < length; k++) {{
    shared[threadIdx.x] = x[k * blockDim.x + threadIdx.x];
    barrier();
    const float other = shared[blockDim.x - 1 - threadIdx.x];
    AFTER
    y[(blockIdx.x * length + k) * blockDim.x + threadIdx.x] = other;
  }}
}}"""
# Two tiles, one is read while the other is filled.
PIPELINE = f"""{HEAD}(const float *x, float *y, int tiles) {{
  float *shared = (float *)emulated_shared();
  for (int tile = 0; tile <= tiles; tile++) {{
    if (tile < tiles)
      emulated_copy(shared + tile % 2 * 64 + threadIdx.x, x + tile * 64 + threadIdx.x, 4);
    emulated_commit();
    if (tile == 0) continue;
    emulated_wait(PENDING);
    barrier();
    y[(tile - 1) * 64 + threadIdx.x] = shared[(tile - 1) % 2 * 64 + 63 - threadIdx.x];
    AFTER
  }}
}}"""


def run(code, arguments, *, grid=1, block=64, shared=1024, mode="both", options=()):
    kernel = pretend.cupy.RawModule(code=code, options=options).get_function("run")
    with card.launch_mode(mode):
        kernel((grid,), (block,), arguments, shared_mem=shared)


def on_device(*shape, kind=np.float32):
    return pretend.cupy.asarray(np.arange(1.0, 1 + np.prod(shape)).reshape(shape).astype(kind))


# ------------------------------------------------------------ order


@pytest.mark.parametrize("options", [(), ("-DEMULATED_UCONTEXT",)])
@pytest.mark.parametrize("mode", ["eager", "lazy", "both", "all"])
def test_barrier_keeps_the_order(mode, options):
    x, y = on_device(5, 128), pretend.cupy.empty((3, 5, 128), np.float32)
    code = REVERSE.replace("AFTER", "barrier();")
    run(code, (x, y, np.int32(5)), grid=3, block=128, mode=mode, options=options)
    np.testing.assert_array_equal(y.get(), np.broadcast_to(x.get()[:, ::-1], (3, 5, 128)))


def test_threads_of_the_host_do_the_same():
    library = host_build.compile_host(REVERSE.replace("AFTER", "barrier();"), (), "threads")
    x, y = on_device(5, 128), pretend.cupy.empty((3, 5, 128), np.float32)
    card.launch(library, "run", (3, 1, 1, 128, 512), [x._held, y._held, np.int32(5)], card.MODES["both"])
    np.testing.assert_array_equal(y.get(), np.broadcast_to(x.get()[:, ::-1], (3, 5, 128)))


def test_missing_barrier_shows():
    x, y = on_device(5, 128), pretend.cupy.empty((5, 128), np.float32)
    with pytest.raises(RuntimeError, match=r"run depends on an order that nothing keeps: .* of argument 1 differ"):
        run(REVERSE.replace("AFTER", ""), (x, y, np.int32(5)), block=128)


@pytest.mark.parametrize(("kind", "type_"), [("float", "f4"), ("double", "f8"), ("int", "i4"), ("unsigned", "u4")])
def test_exchange_sums_a_warp(kind, type_):
    x, y = on_device(64, kind=type_), pretend.cupy.empty(64, type_)
    body = "T v = x[threadIdx.x]; for (int mask = 16; mask > 0; mask /= 2) v += exchange(v, mask); y[threadIdx.x] = v;"
    run(f"typedef {kind} T;{HEAD}(const T *x, T *y) {{ {body} }}", (x, y), mode="all")
    np.testing.assert_array_equal(y.get(), x.get().reshape(2, 32).sum(1).repeat(32))


def test_exchange_takes_a_pair():
    x, y = on_device(32, kind="c8"), pretend.cupy.empty(32, "c8")
    code = f"struct Pair {{ float a, b; }};{HEAD}(const Pair *x, Pair *y) {{"
    run(code + "y[threadIdx.x] = exchange(x[threadIdx.x], 5); }", (x, y), block=32)
    np.testing.assert_array_equal(y.get(), x.get()[np.arange(32) ^ 5])


@pytest.mark.parametrize(("kind", "type_"), [("float", np.float32), ("double", np.float64)])
def test_new_memory_is_poison(kind, type_):
    y, fresh = pretend.cupy.empty((2, 64), type_), pretend.cupy.empty((2, 64), type_)
    code = f"{HEAD}({kind} *y) {{ {kind} *own = ({kind} *)emulated_shared() + threadIdx.x;"
    run(code + "y[blockIdx.x * 64 + threadIdx.x] = *own; *own = 1; }", (y,), grid=2)
    assert np.isnan(y.get()).all()
    assert np.isnan(fresh.get()).all()
    assert (pretend.cupy.empty_like(y, np.int16) == -1).all()


# ------------------------------------------------------------ copies


@pytest.mark.parametrize("mode", ["eager", "lazy", "all"])
def test_pipeline_of_copies(mode):
    x, y = on_device(7, 64), pretend.cupy.empty((7, 64), np.float32)
    run(PIPELINE.replace("AFTER", "barrier();").replace("PENDING", "1"), (x, y, np.int32(7)), mode=mode)
    np.testing.assert_array_equal(y.get(), x.get()[:, ::-1])


@pytest.mark.parametrize(
    ("after", "pending", "wrong"),
    [("", 1, "eager"), ("barrier();", 2, "lazy")],
    ids=["a tile is filled while it is read", "one group too few is waited for"],
)
def test_a_mistake_shows_in_one_mode_only(after, pending, wrong):
    code = PIPELINE.replace("AFTER", after).replace("PENDING", str(pending))
    x = on_device(7, 64)
    for mode in ("eager", "lazy"):
        y = pretend.cupy.empty((7, 64), np.float32)
        run(code, (x, y, np.int32(7)), mode=mode)
        assert np.array_equal(y.get(), x.get()[:, ::-1]) == (mode != wrong)
    with pytest.raises(RuntimeError, match="depends on an order that nothing keeps"):
        run(code, (x, y, np.int32(7)), mode="both")


def test_copies_that_nobody_waits_for_never_arrive():
    x, y = on_device(64), pretend.cupy.empty(64, np.float32)
    code = f"""{HEAD}(const float *x, float *y, int copies) {{
      float *own = (float *)emulated_shared() + threadIdx.x;
      if (copies) emulated_copy(own, x + threadIdx.x, 4), emulated_commit();
      else emulated_wait(0);
      y[threadIdx.x] = *own;
    }}"""
    for copies in (1, 0):
        run(code, (x, y, np.int32(copies)), mode="lazy")
        assert np.isnan(y.get()).all()


FAULTS = {
    "emulated_copy(shared, x, 12)": "a copy of 12 bytes is of 4, 8 or 16",
    "emulated_copy(shared + 4, x, 8)": r"8 bytes has to lie at multiples of them: .*\+ 4, thread 0, at kernel.cu:6",
    "emulated_copy(shared, x + 1, 16)": "a copy of 16 bytes has to lie at multiples of them",
    "emulated_copy(shared + 1024, x, 4)": "a copy of 4 bytes has to end in shared memory",
    "emulated_copy((void *)x, x, 4)": "a copy of 4 bytes has to end in shared memory",
    "exchange(1, 32)": "an exchange over mask 32, at kernel.cu:10",
    "exchange(1, 0)": "an exchange over mask 0",
    "shared[1024] = 1": r"written beside the 1024 bytes of shared memory of block \(0, 0, 0\)",
    "shared[-1] = 1": "written beside the 1024 bytes",
    "*(int *)threadIdx.x = 1": r"a wild pointer.*thread 0 of block \(0, 0, 0\)",
    "fill_stack(0)": "a stack that is full",
    "((float *)x)[300] = 1": "run wrote beside the memory of argument 0",
    "((float *)x)[-1] = 1": "run wrote beside the memory of argument 0",
    "((float *)x)[5] = 1": "run wrote to the memory of argument 0, which it takes as const",
}
APART = {
    "if (threadIdx.x < 40) barrier();": "thread 0 waits at the barrier at kernel.cu:5, thread 40 has ended",
    "if (threadIdx.x < 5) return; barrier();": "thread 0 has ended, thread 5 waits at the barrier at kernel.cu:6",
    "if (threadIdx.x) barrier(); else\nbarrier();": "kernel.cu:8, thread 1 waits at the barrier at kernel.cu:7",
    "if (threadIdx.x & 1) exchange(1, 2);": "thread 0 has ended, thread 1 exchanges at kernel.cu:9",
    "if (threadIdx.x < 3) exchange(1, 2); else exchange(1, 4);": "thread 0 exchanges.*, thread 3 exchanges",
    "if (threadIdx.x < 3) exchange(1, 2); else barrier();": "thread 0 exchanges.*, thread 3 waits",
}


def one_of(calls):
    """A kernel that makes one of some mistakes; each is written on a line of its own."""
    cases = "\n".join(f"if (which == {i}) {{ {call}; return; }}" for i, call in enumerate(calls))
    return f"{HEAD}(const float *x, int which) {{ char *shared = emulated_shared();\n{cases}\n(void)shared; }}"


@pytest.mark.parametrize("call", FAULTS)
def test_faults(call):
    code = (
        "__noinline__ int fill_stack(int n) { volatile int a[99] = {}; return n > 999 ? 0 : fill_stack(n + 1) + *a; }"
    )
    with pytest.raises(RuntimeError, match=FAULTS[call]):
        run(code + one_of(FAULTS), (on_device(64), np.int32(list(FAULTS).index(call))))


# ------------------------------------------------------------ threads that go apart


@pytest.mark.parametrize("call", APART)
@pytest.mark.parametrize("mode", ["eager", "both"])
def test_divergence(call, mode):
    with pytest.raises(RuntimeError, match=rf"threads of block \(0, 0, 0\) went apart: .*{APART[call]}"):
        run(one_of(APART), (on_device(64), np.int32(list(APART).index(call))), mode=mode)


def test_exchange_wants_a_full_warp():
    with pytest.raises(RuntimeError, match="an exchange in a warp of 16 threads"):
        run(f"{HEAD}() {{ exchange(1, 2); }}", (), block=48)


# ------------------------------------------------------------ limits and arguments


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"shared": 48 * 1024 + 1}, "49153 bytes of shared memory, of 49152 that a block may have"),
        ({"block": 1025}, r"INVALID_VALUE: invalid argument \(a block of \(1025,\)"),
        ({"grid": 0}, r"INVALID_VALUE: invalid argument \(a grid of \(0,\)\)"),
    ],
)
def test_limits(sizes, message):
    with pytest.raises(RuntimeError, match=message):
        run(f"{HEAD}() {{ }}", (), **sizes)


def test_grid_of_three_axes():
    y = pretend.cupy.zeros((2, 3, 4), np.int32)
    code = f"{HEAD}(int *y) {{ y[(blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] += 1 + blockIdx.z; }}"
    kernel = pretend.cupy.RawModule(code=code).get_function("run")
    kernel((4, 3, 2), (1,), (y,))
    np.testing.assert_array_equal(y.get(), np.broadcast_to([[[1]], [[2]]], (2, 3, 4)))


TAKES = "const float *x, double *y, int n, long long m, float a, bool b, const _Float16 *h, const unsigned char *r"


def arguments(**changed):
    cupy = pretend.cupy
    given = {
        "x": cupy.zeros(3, np.float32),
        "y": cupy.zeros(3),
        "n": np.int32(1),
        "m": np.int64(1),
        "a": np.float32(1),
        "b": np.bool_(1),
        "h": cupy.zeros(3, np.float16),
        "r": cupy.zeros(3, bool),
    }
    return tuple((given | changed).values())


@pytest.mark.parametrize(
    "changed", [{}, {"x": np.uintp(0)}, {"y": pretend.cupy.zeros(0)}, {"y": pretend.cupy.zeros(3, complex)}]
)
def test_arguments_that_fit(changed):
    run(f"{HEAD}({TAKES}) {{ }}", arguments(**changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": pretend.cupy.zeros(3)}, r"argument 0 of run is const float32\*, got an array of float64"),
        ({"x": pretend.cupy.zeros(3, complex)}, r"argument 0 of run is const float32\*, got an array of complex128"),
        ({"x": np.zeros(3, np.float32)}, "argument 0 of run is array.*CuPy would choose a type"),
        ({"x": np.float32(0)}, r"argument 0 of run is const float32\*, got np.float32\(0.0\)"),
        ({"x": np.uintp(64)}, r"argument 0 of run is const float32\*, got np.uint64\(64\)"),
        ({"n": 1}, "argument 2 of run is 1, of <class 'int'>; CuPy would choose a type"),
        ({"n": np.int64(1)}, r"argument 2 of run is int32, got np.int64\(1\)"),
        ({"n": np.uintp(0)}, "argument 2 of run is int32, got None"),
        ({"m": np.int32(1)}, "argument 3 of run is int64"),
        ({"a": np.float64(1)}, "argument 4 of run is float32"),
        ({"b": np.int8(1)}, "argument 5 of run is bool"),
        ({"h": pretend.cupy.zeros(3, np.uint8)}, "argument 6 of run is const "),
        ({"more": np.int32(1)}, "run takes 8 arguments .*, got 9"),
    ],
)
def test_arguments_that_do_not_fit(changed, message):
    with pytest.raises(TypeError, match=message):
        run(f"{HEAD}({TAKES}) {{ }}", arguments(**changed))


def test_array_between_two_addresses():
    x = pretend.cupy.zeros(17, np.uint8)[1:].view(np.float32)
    with pytest.raises(ValueError, match="argument 0 of run does not lie at a multiple of its 4 bytes"):
        run(f"{HEAD}(float *x) {{ }}", (x,))


def test_a_view_is_written_through():
    whole = pretend.cupy.zeros((4, 8), np.float32)
    run(f"{HEAD}(float *y, int step) {{ y[threadIdx.x * step] = 1; }}", (whole[1:, 3], np.int32(8)), block=3)
    assert whole.get().sum() == whole[1:, 3].get().sum() == 3


# ------------------------------------------------------------ the compiler


def test_what_does_not_compile():
    with pytest.raises(RuntimeError, match=r"(?s)g\+\+ does not compile the kernel.*kernel.cu:4.*nothing_like_it"):
        run(f"{HEAD}() {{ nothing_like_it(); }}", ())
    with pytest.raises(RuntimeError, match="CUDA_ERROR_NOT_FOUND: named symbol not found"):
        pretend.cupy.RawModule(code=f"{HEAD}() {{ }}").get_function("another")


def test_options():
    y = pretend.cupy.zeros(1)
    given = ("-std=c++17", "-ftz=true", "-fmad=false", "-DREAL=double", "-DWARP=7", "-DONE")
    run(f"{HEAD}(REAL *y) {{ *y = WARP + ONE; }}", (y,), block=1, options=given)
    assert y.get() == 8
    with pytest.raises(ValueError, match="an option that nobody foresaw: -I/usr/include"):
        run(f"{HEAD}() {{ }}", (), options=("-I/usr/include",))
    with pytest.raises(TypeError, match="RawModule here takes code="):
        pretend.cupy.RawModule(path="kernel.cubin")


def test_entries():
    text = 'extern "C" __global__ void __launch_bounds__(A, 2) one(int n) {}\nextern "C" __global__ void two\n() {}'
    assert host_build.entries(text + "\n__global__ void three() {}") == ["one", "two"]


def test_many_may_compile_the_same_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(host_build, "cache", lambda: tmp_path)
    with ThreadPoolExecutor(4) as pool:
        (path,) = set(pool.map(lambda _: host_build.built("int main() { return 7; }\n", ()), range(4)))
    assert [made for made in tmp_path.iterdir() if not made.name.startswith("header-")] == [path]
    assert subprocess.run([str(path)], check=False).returncode == 7


# ------------------------------------------------------------ the thread sanitizer


def under_sanitizer(code, *given, timeout=120):
    try:
        return host_build.run_under_sanitizer(code, (), "run", (2, 1, 1), 64, 1024, given, timeout)
    except RuntimeError as error:
        if "does not run on this machine" not in str(error):
            raise
        pytest.skip(str(error))


def test_sanitizer_is_content_with_what_is_right():
    x = np.ones((3, 64), np.float32)
    clean, text = under_sanitizer(
        REVERSE.replace("AFTER", "barrier();"), x, np.zeros((2, 3, 64), np.float32), np.int32(3)
    )
    assert clean, text


def test_sanitizer_finds_a_removed_barrier():
    x = np.ones((3, 64), np.float32)
    clean, text = under_sanitizer(REVERSE.replace("AFTER", ""), x, np.zeros((2, 3, 64), np.float32), np.int32(3))
    assert not clean
    assert "data race" in text


def test_sanitizer_does_not_take_an_exchange_for_a_barrier():
    code = f"""{HEAD}(float *y, const float *none) {{
      float *shared = (float *)emulated_shared();
      shared[threadIdx.x] = 1;
      float v = exchange(1.0f, 1);
      y[threadIdx.x] = shared[threadIdx.x ^ 1] * v;
    }}"""
    run(code, (pretend.cupy.zeros(64, np.float32), np.uintp(0)), mode="all")  # fibres do not see it
    clean, text = under_sanitizer(code, np.zeros(64, np.float32), None)
    assert not clean
    assert "data race" in text


def test_sanitizer_runs_what_was_recorded():
    whole = on_device(64, 2)
    body = "y[threadIdx.x * step] = 2 * x[threadIdx.x * step];"
    code = f"{HEAD}(const float *x, float *y, int step, const float *none) {{ {body} }}"
    with pretend.recorded() as launches:
        run(code, (whole[:, 0], whole[:, 1], np.int32(2), np.uintp(0)))
    (launch,) = launches
    assert launch.arguments[0].base is launch.arguments[1].base
    assert launch.arguments[1][5] == 12
    assert whole[5, 1] == 2 * whole[5, 0] == 22
    clean, text = under_sanitizer(launch.code, *launch.arguments)
    assert clean, text
    clean, text = under_sanitizer(code.replace("y[threadIdx.x * step]", "y[threadIdx.x * step - 1]"), *launch.arguments)
    assert not clean
    clean, text = under_sanitizer(code.replace("x[threadIdx.x * step]", "x[threadIdx.x * step + 3]"), *launch.arguments)
    assert "data race" in text


def test_sanitizer_ends_where_a_warp_does_not():
    clean, text = under_sanitizer(f"{HEAD}() {{ if (threadIdx.x) exchange(1, 1); }}", timeout=3)
    assert not clean
    assert "no end within 3 s" in text


def test_sanitizer_passes_on_a_fault():
    clean, text = under_sanitizer(f"{HEAD}() {{ emulated_copy(emulated_shared() + 1, emulated_shared(), 4); }}")
    assert not clean
    assert "has to lie at multiples of them" in text
