// The part of NCCL's interface that Spectral calls, as NVIDIA's library exports it: types, values and signatures.
#pragma once
#include "../cpu/cuda_api.h"
#include <cstddef>

extern "C" {
enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
};
enum ncclDataType_t {
  ncclInt8 = 0,
  ncclUint8 = 1,
  ncclInt32 = 2,
  ncclUint32 = 3,
  ncclInt64 = 4,
  ncclUint64 = 5,
  ncclFloat16 = 6,
  ncclFloat32 = 7,
  ncclFloat64 = 8,
  ncclBfloat16 = 9
};
enum ncclRedOp_t { ncclSum = 0, ncclProd = 1, ncclMax = 2, ncclMin = 3, ncclAvg = 4 };
struct ncclUniqueId {
  char internal[128];
};
typedef struct ncclComm* ncclComm_t;

ncclResult_t ncclGetVersion(int* version);
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
ncclResult_t ncclCommAbort(ncclComm_t comm);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error);
const char* ncclGetErrorString(ncclResult_t result);
const char* ncclGetLastError(ncclComm_t comm);   // none: of this thread's latest call
ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();
ncclResult_t ncclAllReduce(
    const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
    CUstream stream);
ncclResult_t ncclReduceScatter(
    const void* send, void* receive, size_t receive_count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
    CUstream stream);
ncclResult_t ncclAllGather(
    const void* send, void* receive, size_t send_count, ncclDataType_t type, ncclComm_t comm, CUstream stream);
ncclResult_t ncclBroadcast(
    const void* send, void* receive, size_t count, ncclDataType_t type, int root, ncclComm_t comm, CUstream stream);

// Beyond NCCL's. Bytes that this rank has sent in calls on the communicator so far.
unsigned long long spectral_nccl_bytes_sent(ncclComm_t comm);
// MPI alone, for ranks that it started and whose data moves by another library: starts it, broadcasts from rank 0, ends
// it.
ncclResult_t spectral_mpi_start(int* rank, int* ranks);
ncclResult_t spectral_mpi_broadcast(void* data, size_t bytes);
ncclResult_t spectral_mpi_stop();
}
