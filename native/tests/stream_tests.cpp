// Asynchronous streams: what runs when, what orders it, and that a missing wait shows.
#include "host.h"

namespace {
constexpr size_t kBytes = 64;

struct Asynchronous {
  explicit Asynchronous(long seed = 0) {
    spectralCpuSetOption("seed", seed);
    spectralCpuSetOption("async", 1);
  }
  ~Asynchronous() {
    spectralCpuSetOption("async", 0);
    spectralCpuSetOption("seed", 0);
  }
};
struct Pinned {
  unsigned char* p = nullptr;
  explicit Pinned(size_t bytes) { CU(cuMemHostAlloc(reinterpret_cast<void**>(&p), bytes, 0)); }
  ~Pinned() { cuMemFreeHost(p); }
};
// What the device holds now, whatever has been submitted: its memory is the host's.
unsigned char now(const Buffer<unsigned char>& b) { return *static_cast<volatile unsigned char*>(b.device()); }
void set(const Buffer<unsigned char>& b, unsigned char value, CUstream s) {
  CHECK_STATUS(cuMemsetD8Async(b.p, value, b.n, s), CUDA_SUCCESS);
}
void copy(const Buffer<unsigned char>& to, const Buffer<unsigned char>& from, CUstream s) {
  CHECK_STATUS(cuMemcpyDtoDAsync(to.p, from.p, to.n, s), CUDA_SUCCESS);
}
const std::vector<unsigned char> kZeros(kBytes, 0);

void runs_when_waited_for() {
  Asynchronous on;
  Stream a;
  Stream b;
  Buffer<unsigned char> x(kZeros), y(kZeros);
  set(x, 1, a.s);
  set(y, 2, b.s);
  CHECK(now(x) == 0 && now(y) == 0);
  CHECK_STATUS(cuStreamSynchronize(a.s), CUDA_SUCCESS);
  CHECK(now(x) == 1 && now(y) == 0);   // the other stream was not waited for
  CHECK_STATUS(cuCtxSynchronize(), CUDA_SUCCESS);
  CHECK(now(y) == 2);
  CHECK_STATUS(cuStreamQuery(a.s), CUDA_SUCCESS);
  set(x, 3, a.s);
  set(x, 4, a.s);
  CHECK_STATUS(cuStreamQuery(a.s), CUDA_ERROR_NOT_READY);   // one piece runs at a time
  CHECK_STATUS(cuStreamQuery(a.s), CUDA_SUCCESS);
  CHECK(now(x) == 4);
  {
    Stream gone;
    set(y, 5, gone.s);
  }
  CHECK(now(y) == 2);
  CHECK_STATUS(cuCtxSynchronize(), CUDA_SUCCESS);
  CHECK(now(y) == 5);   // a destroyed stream's work still runs
  set(x, 6, a.s);
  spectralCpuSetOption("async", 0);
  CHECK(now(x) == 6);
}

// The value that arrives if b copies what a writes, with a wait for it or without.
int through_streams(long seed, bool waits) {
  Asynchronous on(seed);
  Stream a;
  Stream b;
  Event written;
  Buffer<unsigned char> x(kZeros), y(kZeros);
  set(x, 1, a.s);
  CHECK_STATUS(cuEventRecord(written.e, a.s), CUDA_SUCCESS);
  set(x, 2, a.s);   // after the event, so either value may arrive
  if (waits)
    CHECK_STATUS(cuStreamWaitEvent(b.s, written.e, 0), CUDA_SUCCESS);
  copy(y, x, b.s);
  CHECK_STATUS(cuStreamSynchronize(b.s), CUDA_SUCCESS);
  return now(y);
}
void events_order_streams() {
  CHECK(through_streams(0, true) == 1);
  CHECK(through_streams(0, false) == 0);
  int missed = 0;
  int late = 0;
  for (long seed = 1; seed <= 40; ++seed) {
    const int with = through_streams(seed, true);
    CHECK(with == 1 || with == 2);
    late += with == 2;
    missed += through_streams(seed, false) == 0;
  }
  CHECK(missed > 0 && late > 0);   // the schedules differ
}

void events_tell_how_far_work_is() {
  Asynchronous on;
  Stream a;
  Event from;
  Event to;
  Buffer<unsigned char> x(kZeros);
  float milliseconds = -1;
  CHECK_STATUS(cuEventQuery(from.e), CUDA_SUCCESS);   // never recorded
  CHECK_STATUS(cuEventRecord(from.e, a.s), CUDA_SUCCESS);
  set(x, 1, a.s);
  CHECK_STATUS(cuEventRecord(to.e, a.s), CUDA_SUCCESS);
  CHECK_STATUS(cuEventElapsedTime(&milliseconds, from.e, to.e), CUDA_ERROR_NOT_READY);
  CHECK_STATUS(cuEventSynchronize(from.e), CUDA_SUCCESS);
  CHECK(now(x) == 0);
  CHECK_STATUS(cuEventQuery(to.e), CUDA_ERROR_NOT_READY);
  CHECK_STATUS(cuEventQuery(to.e), CUDA_SUCCESS);
  CHECK(now(x) == 1);
  CHECK_STATUS(cuEventElapsedTime(&milliseconds, from.e, to.e), CUDA_SUCCESS);
  CHECK(milliseconds >= 0);
}

void the_default_stream_orders_blocking_ones() {
  Asynchronous on;
  Stream blocking(CU_STREAM_DEFAULT);
  Stream apart;
  Buffer<unsigned char> x(kZeros), y(kZeros), z(kZeros);
  set(x, 1, blocking.s);
  set(z, 1, apart.s);
  copy(y, x, nullptr);
  set(x, 2, blocking.s);
  CHECK_STATUS(cuStreamSynchronize(blocking.s), CUDA_SUCCESS);
  CHECK(now(y) == 1 && now(x) == 2);   // the copy came between
  CHECK(now(z) == 0);
  set(x, 3, blocking.s);
  CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  CHECK(now(x) == 3 && now(z) == 0);
}

void host_memory_is_read_late() {
  Asynchronous on;
  Stream a;
  Buffer<unsigned char> x(kZeros), large(size_t(1) << 17);
  Pinned pinned(kBytes);
  std::vector<unsigned char> small(kBytes, 1);
  std::vector<unsigned char> long_one(large.n, 1);
  CHECK_STATUS(cuMemcpyHtoDAsync(x.p, small.data(), kBytes, a.s), CUDA_SUCCESS);
  small.assign(kBytes, 9);
  CHECK_STATUS(cuStreamSynchronize(a.s), CUDA_SUCCESS);
  CHECK(now(x) == 1);   // pageable and short: taken when the call was made
  std::memset(pinned.p, 1, kBytes);
  CHECK_STATUS(cuMemcpyHtoDAsync(x.p, pinned.p, kBytes, a.s), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpyHtoDAsync(large.p, long_one.data(), large.n, a.s), CUDA_SUCCESS);
  std::memset(pinned.p, 9, kBytes);   // too early
  long_one.assign(large.n, 9);
  CHECK_STATUS(cuStreamSynchronize(a.s), CUDA_SUCCESS);
  CHECK(now(x) == 9 && now(large) == 9);

  CHECK_STATUS(cuMemcpyDtoHAsync(pinned.p, x.p, kBytes, a.s), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFreeHost(pinned.p), CUDA_ERROR_ILLEGAL_STATE);
  CHECK(std::string(spectralCpuLastError()).find("while a copy") != std::string::npos);
  CHECK_STATUS(cuStreamSynchronize(a.s), CUDA_SUCCESS);

  set(x, 4, a.s);
  CHECK_STATUS(cuMemcpyDtoH(small.data(), x.p, kBytes), CUDA_SUCCESS);   // waits for blocking streams only
  CHECK(small[0] == 9);
  CUdeviceptr p = 0;
  CHECK_STATUS(cuMemAlloc(&p, kBytes), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD8Async(p, 1, kBytes, a.s), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);   // after the work that uses it
  CHECK(now(x) == 4);
}

struct FaultArgs {
  const float* x;
  float* y;
  int n;
  float a;
};
void a_fault_shows_later() {
  Asynchronous on;
  Stream a;
  Buffer<unsigned char> x(kZeros);
  auto* y = reinterpret_cast<float*>(x.p);
  FaultArgs args{y + 1, y, 8, 1.0f};   // 16 bytes at a multiple of 4: found by the device, under sanitizers too
  void* params[] = {&args};
  CHECK_STATUS(cuLaunchKernel(kernel("axpy_f32"), 1, 1, 1, 256, 1, 1, 0, a.s, params, nullptr), CUDA_SUCCESS);
  set(x, 1, a.s);
  CHECK_STATUS(cuStreamSynchronize(a.s), CUDA_ERROR_LAUNCH_FAILED);
  CHECK(std::string(spectralCpuLastError()).find("axpy_f32") != std::string::npos);
  CHECK(now(x) == 0);   // what came after it is lost
  spectralCpuSetOption("reset", 0);
}
}   // namespace

TEST_GROUP(streams) {
  runs_when_waited_for();
  events_order_streams();
  events_tell_how_far_work_is();
  the_default_stream_orders_blocking_ones();
  host_memory_is_read_late();
  a_fault_shows_later();
}
