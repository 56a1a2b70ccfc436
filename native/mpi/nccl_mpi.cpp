// NCCL's entry points for the CPU device, over MPI: the only code that knows mpi.h. A call is work in its stream's
// order, as a kernel is, and part of the graph that the stream is captured into.
//
// Reductions go round a ring of point-to-point messages: a piece of the data starts at the rank after the one that will
// own it and collects one term per hop. So the order of the additions depends on the number of ranks and the count
// alone, all ranks get the same bits, and each sends 2 (N - 1) / N of the data, which MPI_Allreduce promises none of.
#include "nccl_api.h"
#include "../cpu/capture.h"
#include "../cpu/options.h"
#include <algorithm>
#include <cstring>
#include <mpi.h>

using namespace spectral::cpu;

struct ncclComm {
  MPI_Comm world = MPI_COMM_NULL;
  int ranks = 0, rank = 0;
  std::atomic<ncclResult_t> error{ncclSuccess};
  std::atomic<unsigned long long> sent{0};
  std::vector<char> received;
};

namespace {
constexpr size_t kMessage = size_t(1) << 28;   // bytes; MPI counts in int
constexpr int kTag = 0;

std::mutex mutex;   // MPI is started for one thread at a time
int communicators = 0;

ncclResult_t failed(ncclResult_t result, const std::string& why) {
  set_error(why);
  return result;
}
std::string text_of(int status) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  return {text, size_t(length)};
}

ncclResult_t start() {
  int started = 0, ended = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&ended);
  if (ended)
    return failed(ncclInvalidUsage, "MPI has ended in this process and cannot start again");
  if (started)
    return ncclSuccess;
  int level;
  if (const int status = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level))
    return failed(ncclSystemError, "MPI_Init_thread: " + text_of(status));
  if (level < MPI_THREAD_SERIALIZED)
    return failed(ncclSystemError, "MPI allows calls from one thread only, expected MPI_THREAD_SERIALIZED");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  return ncclSuccess;
}

size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8: return 1;
    case ncclFloat16:
    case ncclBfloat16: return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32: return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64: return 8;
  }
  return 0;
}
bool can_reduce(ncclDataType_t type, ncclRedOp_t op) {
  return (type == ncclFloat32 || type == ncclFloat64 || type == ncclInt32 || type == ncclInt64) &&
         (op == ncclSum || op == ncclMax || op == ncclMin);
}

template <class T>
void combine(char* into, const char* from, size_t count, ncclRedOp_t op) {
  const auto a = reinterpret_cast<T*>(into);
  const auto b = reinterpret_cast<const T*>(from);
  if (op == ncclSum)
    for (size_t i = 0; i < count; ++i)
      a[i] += b[i];
  else
    for (size_t i = 0; i < count; ++i)
      a[i] = op == ncclMax ? std::max(a[i], b[i]) : std::min(a[i], b[i]);
}
void combine(char* into, const char* from, size_t count, ncclDataType_t type, ncclRedOp_t op) {
  switch (type) {
    case ncclFloat32: return combine<float>(into, from, count, op);
    case ncclFloat64: return combine<double>(into, from, count, op);
    case ncclInt32: return combine<int32_t>(into, from, count, op);
    default: return combine<int64_t>(into, from, count, op);
  }
}

// A part of the data, in bytes.
struct Piece {
  char* data;
  size_t bytes;
};

// Sends a piece to the next rank while one arrives from the rank before.
int pass(ncclComm& c, Piece out, Piece in) {
  const int next = (c.rank + 1) % c.ranks, before = (c.rank + c.ranks - 1) % c.ranks;
  for (size_t at = 0; at < std::max(out.bytes, in.bytes); at += kMessage) {
    const size_t send = at < out.bytes ? std::min(kMessage, out.bytes - at) : 0;
    const size_t receive = at < in.bytes ? std::min(kMessage, in.bytes - at) : 0;
    const int status = MPI_Sendrecv(
        out.data + at,
        int(send),
        MPI_BYTE,
        send ? next : MPI_PROC_NULL,
        kTag,
        in.data + at,
        int(receive),
        MPI_BYTE,
        receive ? before : MPI_PROC_NULL,
        kTag,
        c.world,
        MPI_STATUS_IGNORE);
    if (status)
      return status;
    c.sent += send;
  }
  return MPI_SUCCESS;
}

// The data of a reduction: piece i ends with rank i.
class Ring {
 public:
  Ring(ncclComm& c, char* data, size_t count, ncclDataType_t type, ncclRedOp_t op)
      : c_(c), data_(data), count_(count), type_(type), op_(op) {}

  int reduce() {
    for (int hop = 0; hop < c_.ranks - 1; ++hop) {
      const Piece mine = piece(c_.rank - hop - 2);
      c_.received.resize(std::max(c_.received.size(), mine.bytes));
      if (const int status = pass(c_, piece(c_.rank - hop - 1), {c_.received.data(), mine.bytes}))
        return status;
      combine(mine.data, c_.received.data(), mine.bytes / size_of(type_), type_, op_);
    }
    return MPI_SUCCESS;
  }
  int gather() {
    for (int hop = 0; hop < c_.ranks - 1; ++hop)
      if (const int status = pass(c_, piece(c_.rank - hop), piece(c_.rank - hop - 1)))
        return status;
    return MPI_SUCCESS;
  }

  Piece piece(int owner) const {
    const size_t i = size_t((owner + 2 * c_.ranks) % c_.ranks);
    const size_t from = count_ * i / c_.ranks, end = count_ * (i + 1) / c_.ranks;
    return {data_ + from * size_of(type_), (end - from) * size_of(type_)};
  }

 private:
  ncclComm& c_;
  char* data_;
  size_t count_;
  ncclDataType_t type_;
  ncclRedOp_t op_;
};

ncclResult_t check(ncclComm_t c, const void* send, const void* receive, size_t count, ncclDataType_t type) {
  if (!c)
    return failed(ncclInvalidArgument, "no communicator");
  if (!size_of(type))
    return failed(ncclInvalidArgument, "unknown data type " + std::to_string(type));
  if (count && (!send || !receive))
    return failed(ncclInvalidArgument, "no data");
  return c->error;
}
// Runs the work, which gives the status of MPI, in the stream's order.
template <class Work>
ncclResult_t submitted(ncclComm_t c, CUstream stream, const char* call, Work work) {
  if (const CUresult status = check_stream(stream))
    return failed(ncclInvalidArgument, "the stream is not one of the CPU device: error " + std::to_string(status));
  const CUresult status = submit(stream, [=] {
    std::lock_guard l(mutex);
    const int result = work();
    if (!result)
      return CUDA_SUCCESS;
    c->error = ncclRemoteError;
    set_error(std::string(call) + " between ranks: " + text_of(result));
    return CUDA_ERROR_UNKNOWN;
  });
  return status ? (c->error ? c->error.load() : ncclUnhandledCudaError) : ncclSuccess;
}
void copy(void* to, const void* from, size_t bytes) {
  if (bytes && to != from)
    std::memmove(to, from, bytes);
}
}   // namespace

extern "C" {
ncclResult_t ncclGetVersion(int* version) {
  *version = 22000;   // of the interface: 2.20.0
  return ncclSuccess;
}
// The ranks are those of MPI's world, which knows itself.
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memset(id, 0, sizeof *id);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId, int rank) {
  std::lock_guard l(mutex);
  *comm = nullptr;
  if (const ncclResult_t status = start())
    return status;
  int world_rank, world_ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world_ranks);
  if (ranks != world_ranks || rank != world_rank)
    return failed(
        ncclInvalidUsage,
        "MPI started rank " + std::to_string(world_rank) + " of " + std::to_string(world_ranks) + ", expected rank " +
            std::to_string(rank) + " of " + std::to_string(ranks));
  auto made = std::make_unique<ncclComm>();
  if (const int status = MPI_Comm_dup(MPI_COMM_WORLD, &made->world))
    return failed(ncclRemoteError, "MPI_Comm_dup: " + text_of(status));
  MPI_Comm_set_errhandler(made->world, MPI_ERRORS_RETURN);
  made->ranks = ranks;
  made->rank = rank;
  ++communicators;
  *comm = made.release();
  return ncclSuccess;
}
// Waits for the other ranks. MPI ends with the last communicator.
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (!comm)
    return ncclSuccess;
  std::lock_guard l(mutex);
  MPI_Comm_free(&comm->world);
  delete comm;
  if (--communicators == 0)
    MPI_Finalize();
  return ncclSuccess;
}
// Tells nobody and waits for nobody: the launcher ends the other ranks when this process fails.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  *error = comm->error;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "a call of the CPU device failed";
    case ncclSystemError: return "MPI could not start";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "another rank could not be reached";
    case ncclInProgress: return "in progress";
  }
  return "unknown result";
}
const char* ncclGetLastError(ncclComm_t) { return last_error(); }

// A group lets one thread issue calls for several devices, of which a rank has one.
ncclResult_t ncclGroupStart() { return ncclSuccess; }
ncclResult_t ncclGroupEnd() { return ncclSuccess; }

ncclResult_t ncclAllReduce(
    const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
    CUstream stream) {
  if (const ncclResult_t status = check(comm, send, receive, count, type))
    return status;
  if (!can_reduce(type, op))
    return failed(ncclInvalidArgument, "expected a sum, minimum or maximum of F32, F64, I32 or I64");
  return submitted(comm, stream, "ncclAllReduce", [=] {
    copy(receive, send, count * size_of(type));
    Ring ring(*comm, static_cast<char*>(receive), count, type, op);
    const int status = ring.reduce();
    return status ? status : ring.gather();
  });
}
ncclResult_t ncclReduceScatter(
    const void* send, void* receive, size_t receive_count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
    CUstream stream) {
  if (const ncclResult_t status = check(comm, send, receive, receive_count, type))
    return status;
  if (!can_reduce(type, op))
    return failed(ncclInvalidArgument, "expected a sum, minimum or maximum of F32, F64, I32 or I64");
  return submitted(comm, stream, "ncclReduceScatter", [=] {
    const size_t count = receive_count * comm->ranks;
    // What is sent keeps its values, so the sums are made in a copy.
    std::vector<char> sums(count * size_of(type));
    copy(sums.data(), send, sums.size());
    Ring ring(*comm, sums.data(), count, type, op);
    const int status = ring.reduce();
    if (!status)
      copy(receive, ring.piece(comm->rank).data, receive_count * size_of(type));
    return status;
  });
}
ncclResult_t ncclAllGather(
    const void* send, void* receive, size_t send_count, ncclDataType_t type, ncclComm_t comm, CUstream stream) {
  if (const ncclResult_t status = check(comm, send, receive, send_count, type))
    return status;
  return submitted(comm, stream, "ncclAllGather", [=] {
    const size_t bytes = send_count * size_of(type);
    const auto all = static_cast<char*>(receive);
    copy(all + bytes * comm->rank, send, bytes);
    return Ring(*comm, all, send_count * comm->ranks, type, ncclSum).gather();
  });
}
ncclResult_t ncclBroadcast(
    const void* send, void* receive, size_t count, ncclDataType_t type, int root, ncclComm_t comm, CUstream stream) {
  if (const ncclResult_t status = check(comm, send, receive, count, type))
    return status;
  if (root < 0 || root >= comm->ranks)
    return failed(ncclInvalidArgument, "no rank " + std::to_string(root));
  return submitted(comm, stream, "ncclBroadcast", [=] {
    const size_t bytes = count * size_of(type);
    const auto data = static_cast<char*>(receive);
    if (comm->rank == root)
      copy(receive, send, bytes);
    // Along a chain: the last rank passes nothing on.
    const int next = (comm->rank + 1) % comm->ranks, before = (comm->rank + comm->ranks - 1) % comm->ranks;
    for (size_t at = 0; at < bytes; at += kMessage) {
      const int part = int(std::min(kMessage, bytes - at));
      int status = MPI_SUCCESS;
      if (comm->rank != root)
        status = MPI_Recv(data + at, part, MPI_BYTE, before, kTag, comm->world, MPI_STATUS_IGNORE);
      if (!status && next != root) {
        status = MPI_Send(data + at, part, MPI_BYTE, next, kTag, comm->world);
        comm->sent += part;
      }
      if (status)
        return status;
    }
    return MPI_SUCCESS;
  });
}

unsigned long long spectral_nccl_bytes_sent(ncclComm_t comm) { return comm->sent; }

ncclResult_t spectral_mpi_start(int* rank, int* ranks) {
  std::lock_guard l(mutex);
  if (const ncclResult_t status = start())
    return status;
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, ranks);
  return ncclSuccess;
}
ncclResult_t spectral_mpi_broadcast(void* data, size_t bytes) {
  std::lock_guard l(mutex);
  const int status = MPI_Bcast(data, int(bytes), MPI_BYTE, 0, MPI_COMM_WORLD);
  return status ? failed(ncclRemoteError, "MPI_Bcast: " + text_of(status)) : ncclSuccess;
}
ncclResult_t spectral_mpi_stop() {
  std::lock_guard l(mutex);
  return MPI_Finalize() ? ncclSystemError : ncclSuccess;
}
}
