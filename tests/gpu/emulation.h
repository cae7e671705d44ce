// What lets g++ compile the text of a CUDA kernel for the host and run it: -include this file.
//
// Threads of a block take turns on stacks of their own (fibres). One runs until it waits at a barrier or an exchange,
// or ends; a warp goes on for as long as it can, then the next; blocks run one after the other. So whatever no barrier
// orders happens far too early or far too late. In LAZY mode copies happen at the wait that covers them, not at once; in
// REVERSED mode the last block, warp and lane come first. Shared memory and the top of each stack are NaN before anybody
// writes to them. A fault ends the launch, which returns a text that says what it was.
//
// With EMULATED_THREADS they are threads of the host, for -fsanitize=thread. An exchange orders no memory there, as it
// orders none on a GPU: the sanitizer must not take it for a barrier.

#pragma once
#define STATESPACE_EMULATED 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <source_location>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <type_traits>
#include <utility>
#include <vector>
#ifdef EMULATED_THREADS
#include <barrier>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#endif
#if defined(__x86_64__) && !defined(EMULATED_UCONTEXT)
#define EMULATED_SWITCH
struct Context {
  void *stack;
};
#else
#include <ucontext.h>
using Context = ucontext_t;
#endif

struct uint3 {
  unsigned int x, y, z;
};
static uint3 blockIdx, blockDim, gridDim;
#define threadIdx (emulated::current->index)

template <class A, class B> constexpr auto min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(b) < T(a) || a != a ? T(b) : T(a); // of a NaN and a number the number, as on a GPU
}
template <class A, class B> constexpr auto max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(a) < T(b) || a != a ? T(b) : T(a);
}

namespace emulated {

using Where = std::source_location;
constexpr int WARP = 32, SHARED = 48 * 1024, FRONT = 128, BEHIND = 4096, LAZY = 1, REVERSED = 2;
constexpr unsigned int CANARY = 0xfff9abcdu; // a NaN, two of them too
enum State { RUNS, EXCHANGES, WAITS, ENDED };
constexpr const char *DOING[] = {"runs", "exchanges at", "waits at the barrier at", "has ended"};

struct Copy {
  void *to;
  const void *from;
  int bytes, group;
};

struct Thread {
  uint3 index = {};
  State state = RUNS;
  Where where = {};                 // it waits or exchanges
  unsigned long long given[2] = {}; // to exchanges, in turns
  unsigned int exchanges = 0;
  int groups = 0; // of copies that are committed
  std::vector<Copy> copies = {};
  Context context = {};
};

struct Launch {
  void (*body)(const void *kernel, void **arguments);
  const void *kernel;
  void **arguments;
  int shared, mode;
};

alignas(128) static char arena[FRONT + SHARED + BEHIND];
static Launch launch;
static std::vector<Thread> threads;
static char message[512];
static pthread_mutex_t reporting = PTHREAD_MUTEX_INITIALIZER;

static void report(const char *format, ...) { // the first fault only: others follow from it
  pthread_mutex_lock(&reporting);
  va_list values;
  va_start(values, format);
  if (!*message) vsnprintf(message, sizeof message, format, values);
  va_end(values);
  pthread_mutex_unlock(&reporting);
}

#ifndef EMULATED_THREADS // ---------------------------------------------------------------- fibres

#ifndef EMULATED_STACK
#define EMULATED_STACK 65536
#endif
constexpr size_t PAGE = 4096, EACH = EMULATED_STACK + PAGE; // below each stack lies a page that nobody may touch
static Thread *current;
static Context scheduler;
static sigjmp_buf rescue;

#ifdef EMULATED_SWITCH
extern "C" __attribute__((visibility("hidden"))) void emulated_switch(void **from, void *to);
asm(".text\n.type emulated_switch,@function\nemulated_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\npopq %rcx\njmpq *%rcx\n");
static void go(Context &from, Context &to) { emulated_switch(&from.stack, to.stack); }
static void prepare(Context &context, char *bottom, size_t bytes, void (*life)()) {
  void **top = (void **)(bottom + bytes) - 8; // six registers, the way to life, and a word that aligns
  top[6] = (void *)life;
  context.stack = top;
}
#else
static void go(Context &from, Context &to) { swapcontext(&from, &to); }
static void prepare(Context &context, char *bottom, size_t bytes, void (*life)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = bottom, context.uc_stack.ss_size = bytes;
  makecontext(&context, life, 0);
}
#endif

static void stop(State state, const Where &where = {}) {
  current->state = state, current->where = where;
  go(current->context, scheduler);
}
static void fail() { stop(ENDED); } // nobody comes back to it
static void wait_for_warp(const Where &where) { stop(EXCHANGES, where); }
static void wait_for_block(const Where &where) { stop(WAITS, where); }
static void life() {
  launch.body(launch.kernel, launch.arguments);
  stop(ENDED);
}

static void tell(const Thread &thread, char (&text)[160]) {
  const int length = snprintf(text, sizeof text, "thread %u %s", thread.index.x, DOING[thread.state]);
  if (thread.state == EXCHANGES || thread.state == WAITS)
    snprintf(text + length, sizeof text - length, " %s:%u", thread.where.file_name(), (unsigned)thread.where.line());
}

// Whether threads `begin` to `end` do the same in the same place.
static bool agree(int begin, int end) {
  const Thread &a = threads[begin];
  for (int i = begin + 1; i < end; i++) {
    const Thread &b = threads[i];
    if (a.state == b.state && a.where.line() == b.where.line() && a.where.column() == b.where.column()) continue;
    char first[160], second[160];
    tell(a, first), tell(b, second);
    report("threads of block (%u, %u, %u) went apart: %s, %s", blockIdx.x, blockIdx.y, blockIdx.z, first, second);
    return false;
  }
  return true;
}

// Let the threads of a warp go on until they wait for the block or end.
static bool run_warp(int begin, int end) {
  for (;;) {
    for (int i = begin; i < end; i++) {
      current = &threads[launch.mode & REVERSED ? begin + end - 1 - i : i];
      if (current->state == RUNS) go(scheduler, current->context);
      if (*message) return false;
    }
    bool exchange = false;
    for (int i = begin; i < end; i++) exchange |= threads[i].state == EXCHANGES;
    if (!exchange) return true;
    if (!agree(begin, end)) return false;
    if (end - begin < WARP) return report("an exchange in a warp of %d threads", end - begin), false;
    for (int i = begin; i < end; i++) threads[i].state = RUNS;
  }
}

static void run_block(char *stacks) {
  const int count = (int)threads.size(), warps = (count + WARP - 1) / WARP;
  for (int i = 0; i < count; i++) {
    char *bottom = stacks + i * EACH + PAGE;
    const size_t bytes = EMULATED_STACK - i * 192 % 4096; // not all in the same lines of the cache
    memset(bottom + bytes - PAGE, 0xff, PAGE);
    prepare(threads[i].context, bottom, bytes, life);
  }
  do {
    for (Thread &thread : threads) thread.state = RUNS;
    for (int i = 0; i < warps; i++) {
      const int warp = launch.mode & REVERSED ? warps - 1 - i : i, end = (warp + 1) * WARP;
      if (!run_warp(warp * WARP, end < count ? end : count)) return;
    }
    if (!agree(0, count)) return;
  } while (threads[0].state == WAITS);
}

// A wild pointer ends the launch, not the process.
static void rescued(int) { siglongjmp(rescue, 1); }
struct Rescue {
  static constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE};
  char room[65536];
  stack_t before;
  struct sigaction others[3];
  Rescue() {
    const stack_t own = {.ss_sp = room, .ss_flags = 0, .ss_size = sizeof room};
    sigaltstack(&own, &before);
    struct sigaction action = {};
    action.sa_handler = rescued, action.sa_flags = SA_ONSTACK;
    for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &action, &others[i]);
  }
  ~Rescue() {
    for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &others[i], nullptr);
    sigaltstack(&before, nullptr);
  }
};

template <class Blocks> void run_all(Blocks blocks) {
  const size_t bytes = threads.size() * EACH;
  char *stacks = (char *)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) return report("no memory for the stacks of %zu threads", threads.size());
  for (size_t i = 0; i < threads.size(); i++) mprotect(stacks + i * EACH, PAGE, PROT_NONE);
  const Rescue rescue_here;
  if (!sigsetjmp(rescue, 1)) blocks([=] { run_block(stacks); });
  else report("a wild pointer, a stack that is full, or a division by zero: thread %u of block (%u, %u, %u)",
              current->index.x, blockIdx.x, blockIdx.y, blockIdx.z);
  munmap(stacks, bytes);
}

#else // ------------------------------------------------------------------------ threads of the host

static thread_local Thread *current;
static std::barrier<> *block_barrier;
struct Failure {};
static void fail() { throw Failure(); }

// Where threads of a warp meet. Relaxed, and the sanitizer does not look into a system call: nothing is ordered.
#ifdef __x86_64__
constexpr int ORDER = __ATOMIC_RELAXED; // the processor keeps it
#else
constexpr int ORDER = __ATOMIC_SEQ_CST;
#endif
struct Meeting {
  int missing = WARP, number = 0;
};
static Meeting *meetings;

static void wait_for_warp(const Where &) {
  Meeting &meeting = meetings[current->index.x / WARP];
  const int number = __atomic_load_n(&meeting.number, ORDER);
  if (__atomic_sub_fetch(&meeting.missing, 1, ORDER) == 0) {
    __atomic_store_n(&meeting.missing, WARP, ORDER);
    __atomic_store_n(&meeting.number, number + 1, ORDER);
    syscall(SYS_futex, &meeting.number, FUTEX_WAKE_PRIVATE, WARP, nullptr, nullptr, 0);
  }
  while (__atomic_load_n(&meeting.number, ORDER) == number)
    syscall(SYS_futex, &meeting.number, FUTEX_WAIT_PRIVATE, number, nullptr, nullptr, 0);
}
static void wait_for_block(const Where &) { block_barrier->arrive_and_wait(); }

static void life(Thread *thread) {
  current = thread;
  try {
    launch.body(launch.kernel, launch.arguments);
  } catch (const Failure &) {
  }
  block_barrier->arrive_and_drop();
}

static void run_block() {
  std::barrier<> barrier((std::ptrdiff_t)threads.size());
  std::vector<Meeting> warps(threads.size() / WARP + 1);
  block_barrier = &barrier, meetings = warps.data();
  std::vector<std::thread> running;
  for (Thread &thread : threads) running.emplace_back(life, &thread);
  for (std::thread &thread : running) thread.join();
}

template <class Blocks> void run_all(Blocks blocks) { blocks(run_block); }

#endif // ----------------------------------------------------------------------------- both

static bool untouched(const char *from, const char *to) {
  unsigned int word;
  for (; from < to; from += sizeof word) {
    memcpy(&word, from, sizeof word);
    if (word != CANARY) return false;
  }
  return true;
}

template <class Run> void run_fresh(unsigned int number, Run run) {
  const unsigned int across = gridDim.x * gridDim.y;
  blockIdx = {number % gridDim.x, number % across / gridDim.x, number / across};
  const size_t size = threads.size();
  threads = std::vector<Thread>(size);
  for (size_t i = 0; i < size; i++) threads[i].index = {(unsigned int)i, 0, 0};
  char *shared = arena + FRONT;
  for (char *word = arena; word < arena + sizeof arena; word += sizeof CANARY) memcpy(word, &CANARY, sizeof CANARY);
  memset(shared, 0xff, launch.shared);
  run();
  if (!untouched(arena, shared) || !untouched(shared + (launch.shared + 3) / 4 * 4, arena + sizeof arena))
    report("written beside the %d bytes of shared memory of block (%u, %u, %u)", launch.shared, blockIdx.x, blockIdx.y,
           blockIdx.z);
}

template <class T> void tell_type(char *&to) {
  using Bare = std::remove_cv_t<T>;
  constexpr int BITS = 8 * (int)sizeof(std::conditional_t<std::is_void_v<T>, char, T>);
  if (std::is_const_v<T>) to += sprintf(to, "const ");
  if constexpr (std::is_pointer_v<Bare>) tell_type<std::remove_pointer_t<Bare>>(to), *to++ = '*';
  else if (std::is_void_v<T>) to += sprintf(to, "void");
  else if (std::is_same_v<Bare, bool>) to += sprintf(to, "bool");
  else if (std::is_floating_point_v<T>) to += sprintf(to, "float%d", BITS);
  else if (std::is_integral_v<T>) to += sprintf(to, std::is_unsigned_v<T> ? "uint%d" : "int%d", BITS);
  else to += sprintf(to, "bytes%d", BITS / 8);
}

// What a kernel takes: "const float32*,int64,bytes2*".
template <class... P> const char *signature(void (*)(P...)) {
  static char text[32 * sizeof...(P) + 1];
  char *to = text;
  ((tell_type<P>(to), *to++ = ','), ...);
  if (to > text) to[-1] = 0;
  return text;
}

template <class... P> void call(const void *kernel, void **arguments) {
  [=]<size_t... I>(std::index_sequence<I...>) {
    ((void (*)(P...))kernel)(*(std::remove_cv_t<P> *)arguments[I]...);
  }(std::index_sequence_for<P...>());
}

// Null, or what went wrong.
template <class... P>
const char *run(void (*kernel)(P...), unsigned int x, unsigned int y, unsigned int z, unsigned int block, int shared,
                int mode, void **arguments) {
  *message = 0;
  launch = {call<P...>, (const void *)kernel, arguments, shared, mode};
  gridDim = {x, y, z}, blockDim = {block, 1, 1};
  if (shared > SHARED) report("%d bytes of shared memory, of %d that a block may have", shared, SHARED);
  if (block < 1 || block > 1024) report("a block of %u threads, of 1024 that it may have", block);
  if (*message) return message;
  threads = std::vector<Thread>(block);
  run_all([=](auto run_block) {
    const unsigned int blocks = x * y * z;
    for (unsigned int i = 0; i < blocks && !*message; i++) run_fresh(mode & REVERSED ? blocks - 1 - i : i, run_block);
  });
  return *message ? message : nullptr;
}

// Launch with arguments from files, words of "offset file" or "0 -" for null, and say what went wrong.
template <class... P> int drive(void (*kernel)(P...), char **words) {
  const bool pointer[] = {std::is_pointer_v<P>..., false};
  char **files = words + 7;
  std::vector<char *> memory, places(sizeof...(P));
  std::vector<void *> arguments;
  for (size_t i = 0; i < sizeof...(P); i++) {
    char *room = nullptr;
    for (size_t j = 0; j < i && !room; j++) // what lies together stays together
      if (!strcmp(files[2 * i + 1], files[2 * j + 1])) room = memory[j];
    if (FILE *file = room ? nullptr : fopen(files[2 * i + 1], "rb")) {
      fseek(file, 0, SEEK_END);
      const size_t bytes = ftell(file);
      rewind(file);
      room = (char *)aligned_alloc(512, bytes / 512 * 512 + 512);
      if (fread(room, 1, bytes, file) != bytes) return fprintf(stderr, "cannot read %s\n", files[2 * i + 1]), 4;
      fclose(file);
    }
    memory.push_back(room);
    places[i] = room ? room + atoll(files[2 * i]) : nullptr;
    arguments.push_back(pointer[i] ? (void *)&places[i] : places[i]);
  }
  int n[6];
  for (int i = 0; i < 6; i++) n[i] = atoi(words[1 + i]);
  const char *fault = run(kernel, n[0], n[1], n[2], n[3], n[4], n[5], arguments.data());
  return fault ? fprintf(stderr, "%s\n", fault), 3 : 0;
}

} // namespace emulated

// --------------------------------------------------------------------- what a kernel calls

inline char *emulated_shared() { return emulated::arena + emulated::FRONT; }

inline void emulated_barrier(const emulated::Where &where = emulated::Where::current()) {
  emulated::wait_for_block(where);
}

// The value of the lane whose number differs in the bits of the mask; every lane of the warp is here.
template <class T>
T emulated_exchange(T value, int mask, const emulated::Where &where = emulated::Where::current()) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  using namespace emulated;
  if (mask < 1 || mask >= WARP) report("an exchange over mask %d, at %s:%u", mask, where.file_name(), where.line()), fail();
  Thread *own = current, *partner = own - own->index.x + (own->index.x ^ mask);
  const int turn = own->exchanges++ % 2; // nobody overwrites what the last lane of this warp has still to read
  unsigned long long bits = 0;
  memcpy(&bits, &value, sizeof value);
  __atomic_store_n(&own->given[turn], bits, __ATOMIC_RELAXED);
  wait_for_warp(where);
  bits = __atomic_load_n(&partner->given[turn], __ATOMIC_RELAXED);
  memcpy(&value, &bits, sizeof value);
  return value;
}

inline void emulated_copy(void *to, const void *from, int bytes,
                          const emulated::Where &where = emulated::Where::current()) {
  using namespace emulated;
  const char *at = (char *)to, *shared = emulated_shared();
  const char *wrong = bytes != 4 && bytes != 8 && bytes != 16         ? "is of 4, 8 or 16"
                      : (size_t)to % bytes || (size_t)from % bytes    ? "has to lie at multiples of them"
                      : at < shared || at + bytes > shared + launch.shared ? "has to end in shared memory"
                                                                           : nullptr;
  if (wrong)
    report("a copy of %d bytes %s: from %p to shared memory + %lld, thread %u, at %s:%u", bytes, wrong, from,
           (long long)(at - shared), current->index.x, where.file_name(), where.line()), fail();
  if (launch.mode & LAZY) current->copies.push_back({to, from, bytes, current->groups});
  else memcpy(to, from, bytes);
}

inline void emulated_commit() { emulated::current->groups++; }

// All groups but the last n are there.
inline void emulated_wait(int n) {
  auto &copies = emulated::current->copies;
  size_t done = 0;
  for (; done < copies.size() && copies[done].group < emulated::current->groups - n; done++)
    memcpy(copies[done].to, copies[done].from, copies[done].bytes);
  copies.erase(copies.begin(), copies.begin() + done);
}

#define EMULATED_ENTRY(name)                                                                                               \
  extern "C" __attribute__((visibility("default"))) const char *name##__signature() { return emulated::signature(name); } \
  extern "C" __attribute__((visibility("default"))) const char *name##__launch(                                           \
      unsigned int x, unsigned int y, unsigned int z, unsigned int block, int shared, int mode, void **arguments) {        \
    return emulated::run(name, x, y, z, block, shared, mode, arguments);                                                  \
  }
#define EMULATED_MAIN(name)                                                                                                \
  int main(int, char **words) { return emulated::drive(name, words); }
