// What a stream is asked about and told to prefer, and streams made with a priority, which has no effect.
#include "driver.h"

using namespace spectral::cpu;

namespace {
bool built_in(CUstream s) { return reinterpret_cast<uintptr_t>(s) <= 2; }

template <class T>
CUresult check_question(CUstream s, T* answer) {
  SPECTRAL_TRY(check_stream(s));
  return answer ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
bool known(CUstreamAttrID id) {
  switch (id) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN: return true;
    default: return false;
  }
}
}   // namespace

extern "C" {
CUresult cuStreamCreateWithPriority(CUstream* s, unsigned flags, int) { return cuStreamCreate(s, flags); }
CUresult cuStreamGetPriority(CUstream s, int* priority) {
  SPECTRAL_TRY(check_question(s, priority));
  *priority = 0;   // the only one there is: what was asked for is clamped to it
  return CUDA_SUCCESS;
}
CUresult cuStreamGetFlags(CUstream s, unsigned* flags) {
  SPECTRAL_TRY(check_question(s, flags));
  *flags = !built_in(s) && s->non_blocking ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT;
  return CUDA_SUCCESS;
}
CUresult cuStreamGetId(CUstream s, unsigned long long* id) {
  SPECTRAL_TRY(check_question(s, id));
  *id = built_in(s) ? reinterpret_cast<uintptr_t>(s) : s->id;
  return CUDA_SUCCESS;
}
CUresult cuStreamGetCtx(CUstream s, CUcontext* context) {
  SPECTRAL_TRY(check_question(s, context));
  *context = built_in(s) ? current_context() : s->context;
  return CUDA_SUCCESS;
}
CUresult cuStreamGetCtx_v2(CUstream s, CUcontext* context, CUgreenCtx* green) {
  SPECTRAL_TRY(cuStreamGetCtx(s, context));
  if (green)
    *green = nullptr;   // contexts are whole here
  return CUDA_SUCCESS;
}
CUresult cuStreamGetDevice(CUstream s, CUdevice* device) {
  SPECTRAL_TRY(check_question(s, device));
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetAttribute(CUstream s, CUstreamAttrID id, CUstreamAttrValue* value) {
  SPECTRAL_TRY(check_question(s, value));
  if (!known(id))
    return CUDA_ERROR_INVALID_VALUE;
  *value = {};
  if (!built_in(s) && s->attributes.count(id))
    *value = s->attributes.at(id);
  return CUDA_SUCCESS;
}
CUresult cuStreamSetAttribute(CUstream s, CUstreamAttrID id, const CUstreamAttrValue* value) {
  SPECTRAL_TRY(check_question(s, value));
  if (!known(id) || built_in(s))
    return CUDA_ERROR_INVALID_VALUE;
  s->attributes[id] = *value;
  return CUDA_SUCCESS;
}
CUresult cuStreamCopyAttributes(CUstream to, CUstream from) {
  SPECTRAL_TRY(check_stream(to));
  SPECTRAL_TRY(check_stream(from));
  if (built_in(to) || built_in(from))
    return CUDA_ERROR_INVALID_VALUE;
  to->attributes = from->attributes;
  return CUDA_SUCCESS;
}
}
