// Capture and replay: what is kept, with which arguments, and what a capture refuses.
#include "../cpu/blas_api.h"
#include "../cpu/loader_api.h"
#include "host.h"
#include <thread>

namespace {
struct AxpyArgs {
  const float* x;
  float* y;
  int n;
  float a;
};

CUresult axpy(CUstream s, AxpyArgs args) {
  void* params[] = {&args};
  return cuLaunchKernel(kernel("axpy_f32"), 1, 1, 1, 256, 1, 1, 0, s, params, nullptr);
}

void replays_in_order() {
  Stream stream;
  Buffer<float> x(std::vector<float>(8, 1.0f)), y(std::vector<float>(8, 5.0f)), z(std::vector<float>(8, 0.0f));
  cublasHandle_t blas = nullptr;
  CHECK(cublasCreate_v2(&blas) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSetStream_v2(blas, stream.s) == CUBLAS_STATUS_SUCCESS);
  CUstreamCaptureStatus status;
  CHECK_STATUS(cuStreamBeginCapture(stream.s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamIsCapturing(stream.s, &status), CUDA_SUCCESS);
  CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
  CHECK_STATUS(cuMemsetD8Async(y.p, 0, 32, stream.s), CUDA_SUCCESS);
  {
    AxpyArgs args{x.device(), y.device(), 8, 3.0f};   // gone before the replay
    CHECK_STATUS(axpy(stream.s, args), CUDA_SUCCESS);
  }
  float one = 1;
  float half = 0.5f;
  CHECK(
      cublasSgemm_v2(
          blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 4, &one, y.device(), 2, x.device(), 4, &half, z.device(), 2) ==
      CUBLAS_STATUS_SUCCESS);
  one = 100;
  half = 100;   // scalars are taken when the call is made
  CHECK_STATUS(cuMemcpyDtoDAsync(z.p + 16, z.p, 16, stream.s), CUDA_SUCCESS);
  CUgraph graph = nullptr;
  CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_SUCCESS);
  CHECK(y.get()[0] == 5.0f);   // nothing has run
  size_t nodes = 0;
  CHECK_STATUS(cuGraphGetNodes(graph, nullptr, &nodes), CUDA_SUCCESS);
  CHECK(nodes == 4);
  CUgraphExec exec = nullptr;
  CHECK_STATUS(cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_ERROR_INVALID_VALUE);
  float expected = 0;
  for (int i = 0; i < 3; ++i) {
    CHECK_STATUS(cuGraphLaunch(exec, i == 1 ? nullptr : stream.s), CUDA_SUCCESS);
    expected = 12 + 0.5f * expected;
    CHECK(y.get()[7] == 3.0f && z.get()[0] == expected && z.get()[7] == expected);
  }
  CHECK_STATUS(cuGraphExecDestroy(exec), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphLaunch(exec, stream.s), CUDA_ERROR_INVALID_VALUE);
  CHECK(cublasDestroy_v2(blas) == CUBLAS_STATUS_SUCCESS);
}

void refuses() {
  Stream stream;
  Buffer<float> x(8);
  CUgraph graph = reinterpret_cast<CUgraph>(&stream);
  CUevent event = nullptr;
  CUdeviceptr p = 0;
  CU(cuEventCreate(&event, CU_EVENT_DEFAULT));
  CHECK_STATUS(cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK_STATUS(cuStreamBeginCapture(stream.s, CUstreamCaptureMode(7)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_ERROR_ILLEGAL_STATE);

  // Waiting for the stream ends its capture.
  CHECK_STATUS(cuStreamBeginCapture(stream.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamBeginCapture(stream.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_ERROR_ILLEGAL_STATE);
  CHECK_STATUS(cuEventRecord(event, stream.s), CUDA_SUCCESS);
  CHECK_STATUS(cuEventSynchronize(event), CUDA_ERROR_CAPTURED_EVENT);
  CHECK_STATUS(cuStreamSynchronize(stream.s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK_STATUS(cuMemsetD8Async(x.p, 0, 4, stream.s), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK(graph == nullptr);

  // Allocations: by mode. Refused, they end the capture too.
  CHECK_STATUS(cuStreamBeginCapture(stream.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAlloc(&p, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_SUCCESS);
  CUcontext context = nullptr;
  CU(cuCtxGetCurrent(&context));
  for (CUstreamCaptureMode mode : {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL}) {
    CHECK_STATUS(cuStreamBeginCapture(stream.s, mode), CUDA_SUCCESS);
    std::thread([&] {
      CU(cuCtxSetCurrent(context));
      const bool global = mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
      CHECK_STATUS(cuMemAlloc(&p, 64), global ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS);
      CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    }).join();
    CHECK_STATUS(cuMemAlloc(&p, 64), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  }
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);

  // A thread that chose so is concerned by no capture.
  CUstreamCaptureMode exchanged = CU_STREAM_CAPTURE_MODE_RELAXED;
  CHECK_STATUS(cuThreadExchangeStreamCaptureMode(&exchanged), CUDA_SUCCESS);
  CHECK(exchanged == CU_STREAM_CAPTURE_MODE_GLOBAL);
  CHECK_STATUS(cuStreamBeginCapture(stream.s, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAlloc(&p, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_SUCCESS);
  CHECK_STATUS(cuThreadExchangeStreamCaptureMode(&exchanged), CUDA_SUCCESS);
  CHECK(exchanged == CU_STREAM_CAPTURE_MODE_RELAXED);
  exchanged = CUstreamCaptureMode(3);
  CHECK_STATUS(cuThreadExchangeStreamCaptureMode(&exchanged), CUDA_ERROR_INVALID_VALUE);

  // The default stream waits for blocking streams only.
  CHECK_STATUS(cuStreamBeginCapture(stream.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD8Async(x.p, 0, 4, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamEndCapture(stream.s, &graph), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_SUCCESS);
  Stream blocking(CU_STREAM_DEFAULT);
  CHECK_STATUS(cuStreamBeginCapture(blocking.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD8Async(x.p, 0, 4, nullptr), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  CHECK_STATUS(cuStreamEndCapture(blocking.s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK_STATUS(cuEventDestroy(event), CUDA_SUCCESS);
}
// z = 2 x and w = 3 x beside each other, then z += w; `joins` leaves out the last wait for w.
CUresult capture_fork(
    CUgraph* graph, const Buffer<float>& x, const Buffer<float>& z, const Buffer<float>& w, bool joins) {
  Stream origin;
  Stream other;
  Event forked;
  Event joined;
  CHECK_STATUS(cuStreamBeginCapture(origin.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD8Async(z.p, 0, 32, origin.s), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD8Async(w.p, 0, 32, origin.s), CUDA_SUCCESS);
  CHECK_STATUS(cuEventRecord(forked.e, origin.s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamWaitEvent(other.s, forked.e, 0), CUDA_SUCCESS);
  CUstreamCaptureStatus status;
  CHECK_STATUS(cuStreamIsCapturing(other.s, &status), CUDA_SUCCESS);
  CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
  CHECK_STATUS(axpy(other.s, {x.device(), w.device(), 8, 3.0f}), CUDA_SUCCESS);
  CHECK_STATUS(axpy(origin.s, {x.device(), z.device(), 8, 2.0f}), CUDA_SUCCESS);
  CHECK_STATUS(cuEventRecord(joined.e, other.s), CUDA_SUCCESS);
  if (joins)
    CHECK_STATUS(cuStreamWaitEvent(origin.s, joined.e, 0), CUDA_SUCCESS);
  CHECK_STATUS(axpy(origin.s, {w.device(), z.device(), 8, 1.0f}), CUDA_SUCCESS);
  return cuStreamEndCapture(origin.s, graph);
}
void forks_and_joins() {
  Buffer<float> x(std::vector<float>(8, 1.0f)), z(8), w(8);
  CUgraph graph = nullptr;
  CHECK_STATUS(capture_fork(&graph, x, z, w, true), CUDA_SUCCESS);
  size_t nodes = 0;
  CHECK_STATUS(cuGraphGetNodes(graph, nullptr, &nodes), CUDA_SUCCESS);
  CHECK(nodes == 5);
  CUgraphExec exec = nullptr;
  CHECK_STATUS(cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
  for (long seed = 0; seed < 20; ++seed) {
    spectralCpuSetOption("seed", seed);
    CHECK_STATUS(cuGraphLaunch(exec, nullptr), CUDA_SUCCESS);
    CHECK(z.get()[7] == 5.0f && w.get()[0] == 3.0f);
  }
  spectralCpuSetOption("seed", 0);
  CHECK_STATUS(cuGraphExecDestroy(exec), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_SUCCESS);
  CHECK_STATUS(capture_fork(&graph, x, z, w, false), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  CHECK(graph == nullptr);
}
void refuses_forks() {
  Stream origin;
  Stream other;
  Event event;
  Buffer<float> x(8);
  CUgraph graph = nullptr;
  // work outside the capture
  CHECK_STATUS(cuEventRecord(event.e, other.s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamBeginCapture(origin.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamWaitEvent(origin.s, event.e, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
  CHECK_STATUS(cuStreamEndCapture(origin.s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  // the end of a stream that joined
  CHECK_STATUS(cuStreamBeginCapture(origin.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuEventRecord(event.e, origin.s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamWaitEvent(other.s, event.e, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamEndCapture(other.s, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  CHECK_STATUS(cuStreamEndCapture(origin.s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK_STATUS(cuMemsetD8Async(x.p, 0, 4, other.s), CUDA_SUCCESS);   // free again
  // an event of a capture that has ended
  CHECK_STATUS(cuStreamWaitEvent(other.s, event.e, 0), CUDA_ERROR_CAPTURED_EVENT);
  // two captures
  CHECK_STATUS(cuStreamBeginCapture(origin.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamBeginCapture(other.s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuEventRecord(event.e, origin.s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamWaitEvent(other.s, event.e, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
  CHECK_STATUS(cuStreamEndCapture(origin.s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK_STATUS(cuStreamEndCapture(other.s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}
}   // namespace

TEST_GROUP(graphs) {
  replays_in_order();
  refuses();
  forks_and_joins();
  refuses_forks();
}
