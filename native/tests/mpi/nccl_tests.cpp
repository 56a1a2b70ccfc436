// NCCL's entry points over MPI, as several ranks: mpirun -n N spectral_nccl_tests. Wanted values are small whole
// numbers, whose sums are exact in any order.
#include "../../mpi/nccl_api.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {
int rank, ranks, passed, failed;
ncclComm_t comm;

void check(bool ok, const char* what, int line) {
  ++(ok ? passed : failed);
  if (!ok)
    std::printf("rank %d of %d, line %d: %s\n", rank, ranks, line, what);
}
#define CHECK(condition) check(condition, #condition, __LINE__)
#define NCCL(call)                                                               \
  do {                                                                           \
    const ncclResult_t r_ = (call);                                              \
    check(r_ == ncclSuccess, #call, __LINE__);                                   \
    if (r_ != ncclSuccess)                                                       \
      std::printf("  %s: %s\n", ncclGetErrorString(r_), ncclGetLastError(comm)); \
  } while (0)

template <class T>
struct Values {   // on the device, which is the host
  explicit Values(size_t n) : count(n) { cuMemAlloc(&address, std::max<size_t>(1, n * sizeof(T))); }
  ~Values() { cuMemFree(address); }
  T* data() const { return reinterpret_cast<T*>(address); }
  T& operator[](size_t i) const { return data()[i]; }
  CUdeviceptr address;
  size_t count;
};
template <class T>
T value(int of_rank, size_t i) {
  return T((i % 97) * (of_rank + 1));
}
template <class T>
T sum(size_t i) {
  T total = 0;
  for (int r = 0; r < ranks; ++r)
    total += value<T>(r, i);
  return total;
}

template <class T>
void sums(ncclDataType_t type, size_t count, CUstream stream) {
  Values<T> in(count), out(count);
  for (size_t i = 0; i < count; ++i)
    in[i] = value<T>(rank, i), out[i] = T(-1);
  const unsigned long long before = spectral_nccl_bytes_sent(comm);
  NCCL(ncclAllReduce(in.data(), out.data(), count, type, ncclSum, comm, stream));
  cuStreamSynchronize(stream);
  bool right = true, kept = true;
  for (size_t i = 0; i < count; ++i)
    right &= out[i] == sum<T>(i), kept &= in[i] == value<T>(rank, i);
  CHECK(right);
  CHECK(kept);
  // Over all ranks 2 (N - 1) times the data, and on each rank its share of that but for a few elements.
  const double sent = double(spectral_nccl_bytes_sent(comm) - before);
  CHECK(std::abs(sent - 2.0 * (ranks - 1) * count * sizeof(T) / ranks) <= 2.0 * sizeof(T));
  NCCL(ncclAllReduce(in.data(), in.data(), count, type, ncclMax, comm, stream));   // in place
  cuStreamSynchronize(stream);
  right = true;
  for (size_t i = 0; i < count; ++i)
    right &= in[i] == value<T>(ranks - 1, i);
  CHECK(right);
}

void shares(size_t each, CUstream stream) {
  Values<float> all(each * ranks), own(each), joined(each * ranks);
  for (size_t i = 0; i < all.count; ++i)
    all[i] = value<float>(rank, i), joined[i] = -1;
  NCCL(ncclReduceScatter(all.data(), own.data(), each, ncclFloat32, ncclSum, comm, stream));
  NCCL(ncclAllGather(own.data(), joined.data(), each, ncclFloat32, comm, stream));
  cuStreamSynchronize(stream);
  bool right = true, kept = true;
  for (size_t i = 0; i < each; ++i)
    right &= own[i] == sum<float>(rank * each + i);
  for (size_t i = 0; i < all.count; ++i)
    right &= joined[i] == sum<float>(i), kept &= all[i] == value<float>(rank, i);
  CHECK(right);
  CHECK(kept);
}

void broadcasts(CUstream stream) {
  for (int root = 0; root < ranks; ++root) {
    Values<int> data(101);
    for (size_t i = 0; i < data.count; ++i)
      data[i] = value<int>(rank, i);
    NCCL(ncclBroadcast(data.data(), data.data(), data.count, ncclInt32, root, comm, stream));
    cuStreamSynchronize(stream);
    bool right = true;
    for (size_t i = 0; i < data.count; ++i)
      right &= data[i] == value<int>(root, i);
    CHECK(right);
  }
}

// All ranks have the same bits where rounding depends on the order.
void same_bits(CUstream stream) {
  Values<float> data(1003), first(1003);
  for (size_t i = 0; i < data.count; ++i)
    data[i] = 1.0f / float(i * ranks + rank + 3);
  NCCL(ncclAllReduce(data.data(), data.data(), data.count, ncclFloat32, ncclSum, comm, stream));
  NCCL(ncclBroadcast(data.data(), first.data(), data.count, ncclFloat32, 0, comm, stream));
  cuStreamSynchronize(stream);
  if (rank == 0)
    std::memcpy(first.data(), data.data(), data.count * sizeof(float));
  CHECK(!std::memcmp(data.data(), first.data(), data.count * sizeof(float)));
}

// A call comes after what is before it in its stream, whenever that runs.
void in_order(CUstream stream) {
  Values<float> data(64);
  for (size_t i = 0; i < data.count; ++i)
    data[i] = -1;
  float three;
  const float want = 3;
  std::memcpy(&three, &want, sizeof three);
  unsigned bits;
  std::memcpy(&bits, &three, sizeof bits);
  cuMemsetD32Async(data.address, bits, data.count, stream);
  NCCL(ncclAllReduce(data.data(), data.data(), data.count, ncclFloat32, ncclSum, comm, stream));
  cuStreamSynchronize(stream);
  CHECK(data[0] == 3.0f * ranks);
  CHECK(data[63] == 3.0f * ranks);
}

void in_a_graph(CUstream stream) {
  Values<float> data(64);
  for (size_t i = 0; i < data.count; ++i)
    data[i] = 1;
  CUgraph graph;
  CUgraphExec launched;
  cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  NCCL(ncclAllReduce(data.data(), data.data(), data.count, ncclFloat32, ncclSum, comm, stream));
  CHECK(cuStreamEndCapture(stream, &graph) == CUDA_SUCCESS);
  CHECK(data[5] == 1);   // nothing has run
  CHECK(cuGraphInstantiateWithFlags(&launched, graph, 0) == CUDA_SUCCESS);
  cuGraphLaunch(launched, stream);
  cuGraphLaunch(launched, stream);
  cuStreamSynchronize(stream);
  CHECK(data[5] == float(ranks * ranks));
  cuGraphExecDestroy(launched);
  cuGraphDestroy(graph);
}

void refused(CUstream stream) {
  Values<float> data(8);
  CHECK(ncclAllReduce(data.data(), data.data(), 8, ncclBfloat16, ncclSum, comm, stream) == ncclInvalidArgument);
  CHECK(ncclAllReduce(data.data(), data.data(), 8, ncclFloat32, ncclProd, comm, stream) == ncclInvalidArgument);
  CHECK(ncclAllReduce(nullptr, data.data(), 8, ncclFloat32, ncclSum, comm, stream) == ncclInvalidArgument);
  CHECK(ncclBroadcast(data.data(), data.data(), 8, ncclFloat32, ranks, comm, stream) == ncclInvalidArgument);
  CHECK(ncclAllReduce(data.data(), data.data(), 8, ncclFloat32, ncclSum, nullptr, stream) == ncclInvalidArgument);
}

void all(CUstream stream) {
  for (size_t count : {size_t(0), size_t(1), size_t(2), size_t(3), size_t(5), size_t(64), size_t(100003)}) {
    sums<float>(ncclFloat32, count, stream);
    sums<double>(ncclFloat64, count, stream);
    sums<int32_t>(ncclInt32, count, stream);
    sums<int64_t>(ncclInt64, count, stream);
    shares(count, stream);
  }
  broadcasts(stream);
  same_bits(stream);
  in_order(stream);
  in_a_graph(stream);
}
}   // namespace

int main() {
  const auto number = [](const char* name) { return std::atoi(std::getenv(name) ? std::getenv(name) : "0"); };
  rank = number("OMPI_COMM_WORLD_RANK");
  ranks = number("OMPI_COMM_WORLD_SIZE");
  CUcontext context;
  CUstream stream;
  if (cuInit(0) || cuCtxCreate(&context, 0, 0) || cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING))
    return 2;
  ncclUniqueId id;
  NCCL(ncclGetUniqueId(&id));
  CHECK(ncclCommInitRank(&comm, ranks + 1, id, rank) == ncclInvalidUsage);
  NCCL(ncclCommInitRank(&comm, ranks, id, rank));
  all(stream);
  refused(stream);
  for (long seed : {0l, 7l}) {
    spectralCpuSetOption("async", 1);
    spectralCpuSetOption("seed", seed);
    all(stream);
  }
  NCCL(ncclCommDestroy(comm));
  comm = nullptr;
  CHECK(ncclCommInitRank(&comm, ranks, id, rank) == ncclInvalidUsage);   // MPI has ended
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
