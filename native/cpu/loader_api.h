// What loaders of the driver's interface call beyond what the library itself does, with cuda.h's names and signatures.
// The last part is newer than CUDA 12.4; the names and layouts are those of CUDA 12.8.
#pragma once
#include "loader_types.h"
#ifndef SPECTRAL_CHECK_CUDA_H
extern "C" {
#define cuCtxPopCurrent cuCtxPopCurrent_v2
#define cuCtxPushCurrent cuCtxPushCurrent_v2
#define cuDevicePrimaryCtxSetFlags cuDevicePrimaryCtxSetFlags_v2
#define cuDevicePrimaryCtxReset cuDevicePrimaryCtxReset_v2
#define cuMemAllocHost cuMemAllocHost_v2
#define cuMemAllocPitch cuMemAllocPitch_v2
#define cuMemGetAddressRange cuMemGetAddressRange_v2
#define cuMemHostGetDevicePointer cuMemHostGetDevicePointer_v2
#define cuMemHostRegister cuMemHostRegister_v2
#define cuMemcpy2D cuMemcpy2D_v2
#define cuMemcpy2DUnaligned cuMemcpy2DUnaligned_v2
#define cuMemcpy2DAsync cuMemcpy2DAsync_v2
#define cuMemcpy3D cuMemcpy3D_v2
#define cuMemcpy3DAsync cuMemcpy3DAsync_v2
#define cuMemsetD16 cuMemsetD16_v2
#define cuMemsetD2D8 cuMemsetD2D8_v2
#define cuMemsetD2D16 cuMemsetD2D16_v2
#define cuMemsetD2D32 cuMemsetD2D32_v2
#define cuGetProcAddress cuGetProcAddress_v2
#define cuLinkCreate cuLinkCreate_v2
#define cuLinkAddData cuLinkAddData_v2
#define cuLinkAddFile cuLinkAddFile_v2

CUresult cuDeviceGetUuid(CUuuid*, CUdevice);
CUresult cuDeviceGetUuid_v2(CUuuid*, CUdevice);
CUresult cuDeviceGetPCIBusId(char*, int len, CUdevice);
CUresult cuDeviceGetByPCIBusId(CUdevice*, const char*);
CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice);
CUresult cuDeviceGetProperties(CUdevprop*, CUdevice);
CUresult cuDeviceCanAccessPeer(int*, CUdevice, CUdevice peer);
CUresult cuDeviceGetP2PAttribute(int*, CUdevice_P2PAttribute, CUdevice, CUdevice peer);
CUresult cuDeviceGetExecAffinitySupport(int*, CUexecAffinityType, CUdevice);
CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags);
CUresult cuCtxDisablePeerAccess(CUcontext peer);

CUresult cuCtxCreate_v3(CUcontext*, CUexecAffinityParam*, int count, unsigned flags, CUdevice);
CUresult cuCtxPushCurrent(CUcontext);
CUresult cuCtxPopCurrent(CUcontext*);
CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active);
CUresult cuDevicePrimaryCtxSetFlags(CUdevice, unsigned flags);
CUresult cuDevicePrimaryCtxReset(CUdevice);
CUresult cuCtxGetApiVersion(CUcontext, unsigned*);
CUresult cuCtxGetId(CUcontext, unsigned long long*);
CUresult cuCtxGetFlags(unsigned*);
CUresult cuCtxSetFlags(unsigned);
CUresult cuCtxGetLimit(size_t*, CUlimit);
CUresult cuCtxSetLimit(CUlimit, size_t);
CUresult cuCtxGetCacheConfig(CUfunc_cache*);
CUresult cuCtxSetCacheConfig(CUfunc_cache);
CUresult cuCtxGetSharedMemConfig(CUsharedconfig*);
CUresult cuCtxSetSharedMemConfig(CUsharedconfig);
CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest);
CUresult cuCtxGetExecAffinity(CUexecAffinityParam*, CUexecAffinityType);
CUresult cuCtxResetPersistingL2Cache(void);
CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);

CUresult cuMemAllocHost(void**, size_t);
CUresult cuMemHostGetFlags(unsigned*, void*);
CUresult cuMemHostGetDevicePointer(CUdeviceptr*, void*, unsigned flags);
CUresult cuMemHostRegister(void*, size_t, unsigned flags);
CUresult cuMemHostUnregister(void*);
CUresult cuMemAllocPitch(CUdeviceptr*, size_t* pitch, size_t width, size_t height, unsigned element);
CUresult cuMemGetAddressRange(CUdeviceptr*, size_t*, CUdeviceptr);
CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute*, void** values, CUdeviceptr);
CUresult cuPointerSetAttribute(const void*, CUpointer_attribute, CUdeviceptr);
CUresult cuMemAllocManaged(CUdeviceptr*, size_t, unsigned flags);
CUresult cuMemPrefetchAsync(CUdeviceptr, size_t, CUdevice, CUstream);
CUresult cuMemPrefetchAsync_v2(CUdeviceptr, size_t, CUmemLocation, unsigned flags, CUstream);
CUresult cuMemAdvise(CUdeviceptr, size_t, CUmem_advise, CUdevice);
CUresult cuMemAdvise_v2(CUdeviceptr, size_t, CUmem_advise, CUmemLocation);
CUresult cuMemRangeGetAttribute(void* data, size_t bytes, CUmem_range_attribute, CUdeviceptr, size_t count);
CUresult cuMemRangeGetAttributes(
    void** data, size_t* bytes, CUmem_range_attribute*, size_t attributes, CUdeviceptr, size_t count);
CUresult cuStreamAttachMemAsync(CUstream, CUdeviceptr, size_t, unsigned flags);
CUresult cuMemAllocAsync(CUdeviceptr*, size_t, CUstream);
CUresult cuMemAllocFromPoolAsync(CUdeviceptr*, size_t, CUmemoryPool, CUstream);
CUresult cuMemFreeAsync(CUdeviceptr, CUstream);
CUresult cuDeviceGetDefaultMemPool(CUmemoryPool*, CUdevice);
CUresult cuDeviceGetMemPool(CUmemoryPool*, CUdevice);
CUresult cuDeviceSetMemPool(CUdevice, CUmemoryPool);
CUresult cuMemPoolCreate(CUmemoryPool*, const CUmemPoolProps*);
CUresult cuMemPoolDestroy(CUmemoryPool);
CUresult cuMemPoolTrimTo(CUmemoryPool, size_t);
CUresult cuMemPoolGetAttribute(CUmemoryPool, CUmemPool_attribute, void*);
CUresult cuMemPoolSetAttribute(CUmemoryPool, CUmemPool_attribute, void*);
CUresult cuMemPoolGetAccess(CUmemAccess_flags*, CUmemoryPool, CUmemLocation*);
CUresult cuMemPoolSetAccess(CUmemoryPool, const CUmemAccessDesc*, size_t count);

CUresult cuMemcpy(CUdeviceptr, CUdeviceptr, size_t);
CUresult cuMemcpyAsync(CUdeviceptr, CUdeviceptr, size_t, CUstream);
CUresult cuMemcpyPeer(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, size_t);
CUresult cuMemcpyPeerAsync(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, size_t, CUstream);
CUresult cuMemcpy2D(const CUDA_MEMCPY2D*);
CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D*);
CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D*, CUstream);
CUresult cuMemcpy3D(const CUDA_MEMCPY3D*);
CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D*, CUstream);
CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER*);
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER*, CUstream);
CUresult cuMemsetD16(CUdeviceptr, unsigned short, size_t);
CUresult cuMemsetD16Async(CUdeviceptr, unsigned short, size_t, CUstream);
CUresult cuMemsetD2D8(CUdeviceptr, size_t pitch, unsigned char, size_t width, size_t height);
CUresult cuMemsetD2D16(CUdeviceptr, size_t pitch, unsigned short, size_t width, size_t height);
CUresult cuMemsetD2D32(CUdeviceptr, size_t pitch, unsigned, size_t width, size_t height);
CUresult cuMemsetD2D8Async(CUdeviceptr, size_t pitch, unsigned char, size_t width, size_t height, CUstream);
CUresult cuMemsetD2D16Async(CUdeviceptr, size_t pitch, unsigned short, size_t width, size_t height, CUstream);
CUresult cuMemsetD2D32Async(CUdeviceptr, size_t pitch, unsigned, size_t width, size_t height, CUstream);

CUresult cuStreamCreateWithPriority(CUstream*, unsigned flags, int priority);
CUresult cuStreamGetPriority(CUstream, int*);
CUresult cuStreamGetFlags(CUstream, unsigned*);
CUresult cuStreamGetId(CUstream, unsigned long long*);
CUresult cuStreamGetCtx(CUstream, CUcontext*);
CUresult cuStreamGetAttribute(CUstream, CUstreamAttrID, CUstreamAttrValue*);
CUresult cuStreamSetAttribute(CUstream, CUstreamAttrID, const CUstreamAttrValue*);
CUresult cuStreamCopyAttributes(CUstream to, CUstream from);
CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode*);
CUresult cuStreamAddCallback(CUstream, CUstreamCallback, void* data, unsigned flags);
CUresult cuLaunchHostFunc(CUstream, CUhostFn, void* data);
CUresult cuEventRecordWithFlags(CUevent, CUstream, unsigned flags);

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode*);
CUresult cuModuleGetFunctionCount(unsigned*, CUmodule);
CUresult cuModuleEnumerateFunctions(CUfunction*, unsigned count, CUmodule);
CUresult cuFuncGetModule(CUmodule*, CUfunction);
CUresult cuFuncGetName(const char**, CUfunction);
CUresult cuFuncIsLoaded(CUfunctionLoadingState*, CUfunction);
CUresult cuFuncLoad(CUfunction);
CUresult cuFuncSetCacheConfig(CUfunction, CUfunc_cache);
CUresult cuFuncSetSharedMemConfig(CUfunction, CUsharedconfig);
CUresult cuLaunchKernelEx(const CUlaunchConfig*, CUfunction, void** params, void** extra);
CUresult cuTensorMapReplaceAddress(CUtensorMap*, void* base);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int* blocks, CUfunction, int threads, size_t dynamic_shared, unsigned flags);
CUresult cuOccupancyMaxPotentialBlockSize(
    int* grid, int* block, CUfunction, CUoccupancyB2DSize, size_t dynamic_shared, int limit);
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(
    int* grid, int* block, CUfunction, CUoccupancyB2DSize, size_t dynamic_shared, int limit, unsigned flags);
CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, CUfunction, int blocks, int threads);
CUresult cuOccupancyMaxPotentialClusterSize(int* size, CUfunction, const CUlaunchConfig*);
CUresult cuOccupancyMaxActiveClusters(int* clusters, CUfunction, const CUlaunchConfig*);
CUresult cuLinkCreate(unsigned count, CUjit_option*, void** values, CUlinkState*);
CUresult cuLinkAddData(
    CUlinkState, CUjitInputType, void* data, size_t, const char* name, unsigned count, CUjit_option*, void** values);
CUresult cuLinkAddFile(CUlinkState, CUjitInputType, const char* path, unsigned count, CUjit_option*, void** values);
CUresult cuLinkComplete(CUlinkState, void** image, size_t*);
CUresult cuLinkDestroy(CUlinkState);
CUresult cuLibraryLoadData(
    CUlibrary*, const void* image, CUjit_option*, void** jit_values, unsigned jit_count, CUlibraryOption*,
    void** values, unsigned count);
CUresult cuLibraryLoadFromFile(
    CUlibrary*, const char* file, CUjit_option*, void** jit_values, unsigned jit_count, CUlibraryOption*, void** values,
    unsigned count);
CUresult cuLibraryUnload(CUlibrary);
CUresult cuLibraryGetKernel(CUkernel*, CUlibrary, const char* name);
CUresult cuLibraryGetKernelCount(unsigned*, CUlibrary);
CUresult cuLibraryEnumerateKernels(CUkernel*, unsigned count, CUlibrary);
CUresult cuLibraryGetModule(CUmodule*, CUlibrary);
CUresult cuLibraryGetGlobal(CUdeviceptr*, size_t*, CUlibrary, const char* name);
CUresult cuLibraryGetManaged(CUdeviceptr*, size_t*, CUlibrary, const char* name);
CUresult cuLibraryGetUnifiedFunction(void**, CUlibrary, const char* symbol);
CUresult cuKernelGetFunction(CUfunction*, CUkernel);
CUresult cuKernelGetName(const char**, CUkernel);
CUresult cuKernelGetParamInfo(CUkernel, size_t index, size_t* offset, size_t* size);
CUresult cuKernelGetAttribute(int*, CUfunction_attribute, CUkernel, CUdevice);
CUresult cuKernelSetAttribute(CUfunction_attribute, int, CUkernel, CUdevice);
CUresult cuKernelSetCacheConfig(CUkernel, CUfunc_cache, CUdevice);

CUresult cuGetProcAddress(const char*, void**, int version, cuuint64_t flags, CUdriverProcAddressQueryResult*);
CUresult cuGetExportTable(const void**, const CUuuid*);
}
#endif

// ---- in cuda.h from a later version on
#if !defined(CUDA_VERSION) || CUDA_VERSION < 12050
extern "C" {
typedef struct CUgreenCtx_st* CUgreenCtx;
typedef struct CUctxCreateParams_st {
  CUexecAffinityParam* execAffinityParams;
  int numExecAffinityParams;
  void* cigParams;
} CUctxCreateParams;
CUresult cuCtxCreate_v4(CUcontext*, CUctxCreateParams*, unsigned flags, CUdevice);
CUresult cuCtxRecordEvent(CUcontext, CUevent);
CUresult cuCtxWaitEvent(CUcontext, CUevent);
CUresult cuKernelGetLibrary(CUlibrary*, CUkernel);
CUresult cuStreamGetCtx_v2(CUstream, CUcontext*, CUgreenCtx*);
CUresult cuStreamGetDevice(CUstream, CUdevice*);            // 12.8
CUresult cuEventElapsedTime_v2(float*, CUevent, CUevent);   // 12.8
}
#endif
