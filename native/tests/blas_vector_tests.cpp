// cuBLAS on vectors, factors and results in host and device memory, and products in F64, against loops in double.
#include "../cpu/blas_api.h"
#include "host.h"

namespace {
template <class T>
std::vector<T> numbers(size_t n) {
  Rng rng;
  const auto f = rng.normal(n);
  return std::vector<T>(f.begin(), f.end());
}
template <class T>
bool near(double got, double wanted, double scale) {   // false for NaN
  return std::abs(got - wanted) <= scale * (sizeof(T) == 4 ? 1e-5 : 1e-13);
}

template <class T>
struct Calls;
template <>
struct Calls<float> {
  static constexpr auto axpy = cublasSaxpy_v2;
  static constexpr auto scal = cublasSscal_v2;
  static constexpr auto copy = cublasScopy_v2;
  static constexpr auto swap = cublasSswap_v2;
  static constexpr auto dot = cublasSdot_v2;
  static constexpr auto nrm2 = cublasSnrm2_v2;
  static constexpr auto asum = cublasSasum_v2;
  static constexpr auto amax = cublasIsamax_v2;
  static constexpr auto gemv = cublasSgemv_v2;
};
template <>
struct Calls<double> {
  static constexpr auto axpy = cublasDaxpy_v2;
  static constexpr auto scal = cublasDscal_v2;
  static constexpr auto copy = cublasDcopy_v2;
  static constexpr auto swap = cublasDswap_v2;
  static constexpr auto dot = cublasDdot_v2;
  static constexpr auto nrm2 = cublasDnrm2_v2;
  static constexpr auto asum = cublasDasum_v2;
  static constexpr auto amax = cublasIdamax_v2;
  static constexpr auto gemv = cublasDgemv_v2;
};

template <class T>
void vectors(cublasHandle_t h) {
  using C = Calls<T>;
  constexpr int n = 37;
  const auto x = numbers<T>(2 * n);   // every second element
  const auto y = numbers<T>(3 * n);   // every third, from the end
  Buffer<T> dx(x);
  Buffer<T> dy(y);
  const T alpha = T(0.75);
  double dot = 0;
  double squares = 0;
  double sum = 0;
  int largest = 0;
  for (int i = 0; i < n; ++i) {
    const double v = x[size_t(2 * i)];
    dot += v * y[size_t(3 * (n - 1 - i))];
    squares += v * v;
    sum += std::abs(v);
    if (std::abs(v) > std::abs(double(x[size_t(2 * largest)])))
      largest = i;
  }
  T got = 0;
  int index = 0;
  CHECK(C::dot(h, n, dx.device(), 2, dy.device(), -3, &got) == CUBLAS_STATUS_SUCCESS);
  CHECK(near<T>(got, dot, squares));
  CHECK(C::nrm2(h, n, dx.device(), 2, &got) == CUBLAS_STATUS_SUCCESS);
  CHECK(near<T>(got, std::sqrt(squares), std::sqrt(squares)));
  CHECK(C::asum(h, n, dx.device(), 2, &got) == CUBLAS_STATUS_SUCCESS);
  CHECK(near<T>(got, sum, sum));
  CHECK(C::amax(h, n, dx.device(), 2, &index) == CUBLAS_STATUS_SUCCESS);
  CHECK(index == largest + 1);
  CHECK(C::axpy(h, n, &alpha, dx.device(), 2, dy.device(), -3) == CUBLAS_STATUS_SUCCESS);
  auto v = dy.get();
  int wrong = 0;
  for (int i = 0; i < n; ++i)
    wrong += !near<T>(v[size_t(3 * (n - 1 - i))], double(y[size_t(3 * (n - 1 - i))]) + 0.75 * x[size_t(2 * i)], 10);
  CHECK(wrong == 0 && v[1] == y[1]);
  CHECK(C::scal(h, n, &alpha, dx.device(), 2) == CUBLAS_STATUS_SUCCESS);
  v = dx.get();
  CHECK(v[0] == x[0] * alpha && v[1] == x[1] && v[2 * n - 2] == x[2 * n - 2] * alpha);
  CHECK(C::swap(h, n, dx.device(), 1, dx.device() + n, 1) == CUBLAS_STATUS_SUCCESS);
  CHECK(dx.get()[0] == v[n] && dx.get()[n] == v[0]);
  CHECK(C::copy(h, n, dx.device(), 1, dy.device(), 1) == CUBLAS_STATUS_SUCCESS);
  CHECK(dy.get()[0] == v[n]);

  // nothing there: no work, and 0
  got = 7;
  index = 7;
  CHECK(C::nrm2(h, 0, nullptr, 1, &got) == CUBLAS_STATUS_SUCCESS && got == 0);
  CHECK(C::amax(h, n, dx.device(), 0, &index) == CUBLAS_STATUS_SUCCESS && index == 0);
  CHECK(C::dot(h, -1, dx.device(), 1, dy.device(), 1, &got) == CUBLAS_STATUS_SUCCESS && got == 0);
  CHECK(C::axpy(h, 0, &alpha, nullptr, 1, nullptr, 1) == CUBLAS_STATUS_SUCCESS);
  CHECK(C::axpy(h, n, &alpha, nullptr, 1, dy.device(), 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(C::axpy(h, n, nullptr, dx.device(), 1, dy.device(), 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(C::scal(h, n, nullptr, dx.device(), 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(C::nrm2(h, n, dx.device(), 1, nullptr) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(C::asum(nullptr, n, dx.device(), 1, &got) == CUBLAS_STATUS_NOT_INITIALIZED);
}

template <class T>
void matrix_and_vector(cublasHandle_t h) {
  using C = Calls<T>;
  constexpr int m = 7;
  constexpr int n = 5;
  constexpr int lda = 9;
  const auto a = numbers<T>(lda * n);
  const auto x = numbers<T>(m);
  Buffer<T> da(a);
  Buffer<T> dx(x);
  Buffer<T> dy(std::vector<T>(m, T(2)));
  const T alpha = T(0.5);
  const T beta = T(0.25);
  for (const cublasOperation_t t : {CUBLAS_OP_N, CUBLAS_OP_T}) {
    CU(cuMemcpyHtoD(dy.p, std::vector<T>(m, T(2)).data(), m * sizeof(T)));
    CHECK(
        C::gemv(h, t, m, n, &alpha, da.device(), lda, dx.device(), 1, &beta, dy.device(), 1) == CUBLAS_STATUS_SUCCESS);
    const auto y = dy.get();
    for (int i = 0; i < (t ? n : m); ++i) {
      double sum = 0;
      for (int k = 0; k < (t ? m : n); ++k)
        sum += double(a[size_t(t ? i * lda + k : k * lda + i)]) * x[size_t(k)];
      CHECK(near<T>(y[size_t(i)], 0.5 * sum + 0.5, 10));
    }
  }
  const auto with = [&](int rows, int ld, int step) {
    return C::gemv(h, CUBLAS_OP_N, rows, n, &alpha, da.device(), ld, dx.device(), step, &beta, dy.device(), 1);
  };
  CHECK(with(-1, lda, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with(m, m - 1, 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with(m, lda, 0) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with(0, lda, 1) == CUBLAS_STATUS_SUCCESS);
}

void product(cublasHandle_t h) {
  constexpr int m = 5;
  constexpr int n = 300;   // more than one panel
  constexpr int k = 9;
  const auto a = numbers<double>(m * k);
  const auto b = numbers<double>(n * k);
  Buffer<double> da(a);
  Buffer<double> db(b);
  Buffer<double> dc(std::vector<double>(m * n, 1));
  const double alpha = 2;
  const double beta = 3;
  for (const cublasOperation_t ta : {CUBLAS_OP_N, CUBLAS_OP_T})
    for (const cublasOperation_t tb : {CUBLAS_OP_N, CUBLAS_OP_T}) {
      CU(cuMemcpyHtoD(dc.p, std::vector<double>(m * n, 1).data(), m * n * sizeof(double)));
      const int lda = ta ? k : m;
      const int ldb = tb ? n : k;
      CHECK(
          cublasDgemm_v2(h, ta, tb, m, n, k, &alpha, da.device(), lda, db.device(), ldb, &beta, dc.device(), m) ==
          CUBLAS_STATUS_SUCCESS);
      const auto c = dc.get();
      int wrong = 0;
      for (int j = 0; j < n; ++j)
        for (int i = 0; i < m; ++i) {
          double sum = 0;
          for (int l = 0; l < k; ++l)
            sum += a[size_t(ta ? i * k + l : l * m + i)] * b[size_t(tb ? l * n + j : j * k + l)];
          wrong += !near<double>(c[size_t(j * m + i)], 2 * sum + 3, 50);
        }
      CHECK(wrong == 0);
    }
  const auto with = [&](int rows, int lda, const double* factor) {
    return cublasDgemm_v2(
        h, CUBLAS_OP_N, CUBLAS_OP_N, rows, n, k, factor, da.device(), lda, db.device(), k, &beta, dc.device(), m);
  };
  CHECK(with(-1, m, &alpha) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with(m, m - 1, &alpha) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with(m, m, nullptr) == CUBLAS_STATUS_INVALID_VALUE);
}

// Factors and results in device memory are read and written when the work runs, also by a replay.
void device_pointers(cublasHandle_t h) {
  Buffer<float> x(std::vector<float>{3, 4});
  Buffer<float> alpha(std::vector<float>{2});
  Buffer<float> result(std::vector<float>{0});
  CUstream s = nullptr;
  CUgraph graph = nullptr;
  CUgraphExec replay = nullptr;
  float host = 0;
  CHECK_STATUS(cuStreamCreate(&s, 0), CUDA_SUCCESS);
  CHECK(cublasSetStream_v2(h, s) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSetPointerMode_v2(h, CUBLAS_POINTER_MODE_DEVICE) == CUBLAS_STATUS_SUCCESS);
  CHECK_STATUS(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK(cublasSscal_v2(h, 2, alpha.device(), x.device(), 1) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSnrm2_v2(h, 2, x.device(), 1, result.device()) == CUBLAS_STATUS_SUCCESS);
  CHECK_STATUS(cuStreamEndCapture(s, &graph), CUDA_SUCCESS);
  CHECK(result.get()[0] == 0);
  const float later = 10;
  CU(cuMemcpyHtoD(alpha.p, &later, sizeof later));
  CHECK_STATUS(cuGraphInstantiateWithFlags(&replay, graph, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphLaunch(replay, s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(s), CUDA_SUCCESS);
  CHECK(std::abs(result.get()[0] - 50) <= 1e-4f);
  CHECK_STATUS(cuGraphExecDestroy(replay), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_SUCCESS);

  // a result for the host cannot be waited for while the stream is captured
  CHECK(cublasSetPointerMode_v2(h, CUBLAS_POINTER_MODE_HOST) == CUBLAS_STATUS_SUCCESS);
  CHECK_STATUS(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK(cublasSnrm2_v2(h, 2, x.device(), 1, &host) == CUBLAS_STATUS_EXECUTION_FAILED);
  CHECK_STATUS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK(cublasSetStream_v2(h, nullptr) == CUBLAS_STATUS_SUCCESS);
  CHECK_STATUS(cuStreamDestroy(s), CUDA_SUCCESS);
}

void settings(cublasHandle_t h) {
  CUstream s = reinterpret_cast<CUstream>(9);
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_DEVICE;
  cublasAtomicsMode_t atomics = CUBLAS_ATOMICS_ALLOWED;
  cublasMath_t math = 9;
  int count = -1;
  CHECK(cublasGetStream_v2(h, &s) == CUBLAS_STATUS_SUCCESS && !s);
  CHECK(cublasGetStream_v2(h, nullptr) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasGetPointerMode_v2(h, &pointers) == CUBLAS_STATUS_SUCCESS && pointers == CUBLAS_POINTER_MODE_HOST);
  CHECK(cublasSetPointerMode_v2(h, cublasPointerMode_t(2)) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasGetAtomicsMode(h, &atomics) == CUBLAS_STATUS_SUCCESS && atomics == CUBLAS_ATOMICS_NOT_ALLOWED);
  CHECK(cublasSetAtomicsMode(h, cublasAtomicsMode_t(5)) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSetMathMode(h, 3) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasGetMathMode(h, &math) == CUBLAS_STATUS_SUCCESS && math == 3);
  CHECK(cublasSetMathMode(h, 0) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSetMathMode(h, -1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSetSmCountTarget(h, 1) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasGetSmCountTarget(h, &count) == CUBLAS_STATUS_SUCCESS && count == 1);
  CHECK(cublasSetSmCountTarget(h, 1 << 20) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSetSmCountTarget(h, 0) == CUBLAS_STATUS_SUCCESS);
  Buffer<char> workspace(1024);
  CHECK(spectralCpuBlasWorkspace(h) == 0);
  CHECK(cublasSetWorkspace_v2(h, workspace.device(), 1024) == CUBLAS_STATUS_SUCCESS);
  CHECK(spectralCpuBlasWorkspace(h) == 1024);
  CHECK(cublasSetStream_v2(h, nullptr) == CUBLAS_STATUS_SUCCESS);   // gives the library's own one back
  CHECK(spectralCpuBlasWorkspace(h) == 0);
  CHECK(cublasSetWorkspace_v2(h, workspace.device() + 1, 1000) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSetWorkspace_v2(nullptr, nullptr, 0) == CUBLAS_STATUS_NOT_INITIALIZED);
}
}   // namespace

TEST_GROUP(blas_vectors) {
  cublasHandle_t h = nullptr;
  const cublasStatus_t status = cublasCreate_v2(&h);
  check(status == CUBLAS_STATUS_SUCCESS, std::string("cublasCreate: ") + spectralCpuLastError());
  if (status)
    return;
  settings(h);
  vectors<float>(h);
  vectors<double>(h);
  matrix_and_vector<float>(h);
  matrix_and_vector<double>(h);
  product(h);
  device_pointers(h);
  CHECK(cublasDestroy_v2(h) == CUBLAS_STATUS_SUCCESS);
}
