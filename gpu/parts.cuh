// Real numbers and complex ones, by the same names (the mirror of statespace/cpu/parts.py).

struct Complex {
  REAL re, im;
};

template <int PARTS_> struct Kind {
  typedef REAL Type;
};
template <> struct Kind<2> {
  typedef Complex Type;
};

__device__ __forceinline__ REAL constant(REAL value, REAL) { return value; }
__device__ __forceinline__ Complex constant(REAL value, Complex) { return Complex{value, 0}; }

__device__ __forceinline__ REAL conj(REAL a) { return a; }
__device__ __forceinline__ Complex conj(Complex a) { return Complex{a.re, -a.im}; }

__device__ __forceinline__ REAL plus(REAL a, REAL b) { return a + b; }
__device__ __forceinline__ Complex plus(Complex a, Complex b) { return Complex{a.re + b.re, a.im + b.im}; }
__device__ __forceinline__ Complex plus(Complex a, REAL b) { return Complex{a.re + b, a.im}; }

__device__ __forceinline__ REAL minus(REAL a, REAL b) { return a - b; }
__device__ __forceinline__ Complex minus(Complex a, Complex b) { return Complex{a.re - b.re, a.im - b.im}; }

__device__ __forceinline__ REAL times(REAL a, REAL b) { return a * b; }
__device__ __forceinline__ Complex times(REAL a, Complex b) { return Complex{a * b.re, a * b.im}; }
__device__ __forceinline__ Complex times(Complex a, REAL b) { return Complex{a.re * b, a.im * b}; }
__device__ __forceinline__ Complex times(Complex a, Complex b) {
  return Complex{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// a b + c
template <class A, class B, class C> __device__ __forceinline__ C times_plus(A a, B b, C c) {
  return plus(times(a, b), c);
}

__device__ __forceinline__ REAL inverse(REAL a) { return 1 / a; }
__device__ __forceinline__ Complex inverse(Complex a) {
  const REAL q = 1 / (a.re * a.re + a.im * a.im);
  return Complex{a.re * q, -a.im * q};
}

__device__ __forceinline__ REAL largest(REAL a) { return a < 0 ? -a : a; }
__device__ __forceinline__ REAL largest(Complex a) {
  const REAL re = largest(a.re), im = largest(a.im);
  return re < im ? im : re;
}

__device__ __forceinline__ REAL real_part(REAL a) { return a; }
__device__ __forceinline__ REAL real_part(Complex a) { return a.re; }

// As the kind of the second: a real number of a complex one is its real part.
__device__ __forceinline__ REAL like(REAL a, REAL) { return a; }
__device__ __forceinline__ Complex like(Complex a, Complex) { return a; }
__device__ __forceinline__ REAL like(Complex a, REAL) { return a.re; }
__device__ __forceinline__ Complex like(REAL a, Complex) { return Complex{a, 0}; }

// Number i of an array of numbers, whose parts lie side by side.
template <class T> __device__ __forceinline__ REAL get(const T *from, long long i, REAL) { return to_real(from[i]); }
template <class T> __device__ __forceinline__ Complex get(const T *from, long long i, Complex) {
  return Complex{(REAL)to_real(from[2 * i]), (REAL)to_real(from[2 * i + 1])};
}
template <class T> __device__ __forceinline__ void put(T *to, long long i, REAL a) { put_real(to[i], a); }
template <class T> __device__ __forceinline__ void put(T *to, long long i, Complex a) {
  put_real(to[2 * i], a.re);
  put_real(to[2 * i + 1], a.im);
}

// Number i of a row of parts in registers.
template <int COUNT> __device__ __forceinline__ REAL each(const REAL (&row)[COUNT], int i, REAL) { return row[i]; }
template <int COUNT> __device__ __forceinline__ Complex each(const REAL (&row)[COUNT], int i, Complex) {
  return Complex{row[(2 * i) % COUNT], row[(2 * i + 1) % COUNT]};
}

__device__ __forceinline__ REAL swapped(REAL a, int mask) { return exchange(a, mask); }
__device__ __forceinline__ Complex swapped(Complex a, int mask) {
  return Complex{exchange(a.re, mask), exchange(a.im, mask)};
}
