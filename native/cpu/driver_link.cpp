// Linking: PTX texts are parsed as they are added, and linked when the link is completed. Its result is an image that
// this device alone loads.
#include "driver.h"
#include "image.h"
#include "jit_log.h"
#include <algorithm>
#include <cstdio>
#include <cstring>

struct CUlinkState_st {
  CUcontext context;
  std::vector<CUjit_option> options;
  void** values;   // the caller's, which outlive the link, since logs are written through them
  std::vector<spectral::cpu::ProgramText> texts;
  std::vector<unsigned char> image;   // once it is complete
};

using namespace spectral::cpu;

namespace {
Handles<CUlinkState_st> links;

CUresult refuse(CUresult status, const std::string& reason) {
  set_error("link: " + reason);
  return status;
}
CUresult logged(CUlinkState state, CUresult status) {
  const std::string reason = status ? last_error() : "";
  write_logs(reason, unsigned(state->options.size()), state->options.data(), state->values);
  return status;
}
CUresult check_link(CUlinkState state) {
  SPECTRAL_TRY(check_context());
  return links.has(state) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
CUresult add(CUlinkState state, CUjitInputType type, const void* data, size_t size, const std::string& name) {
  Image image;
  switch (type) {
    case CU_JIT_INPUT_PTX: {
      const auto* text = static_cast<const char*>(data);
      image.texts.push_back({"", std::string(text, strnlen(text, size))});   // the size may count a zero at the end
      break;
    }
    case CU_JIT_INPUT_FATBINARY:
    case CU_JIT_INPUT_CUBIN:   // that a link has returned
      SPECTRAL_TRY(read_image(data, size, &image));
      if (image.library)
        return refuse(CUDA_ERROR_INVALID_IMAGE, "a shared library of kernels is no input of a link");
      break;
    case CU_JIT_INPUT_OBJECT:
    case CU_JIT_INPUT_LIBRARY:
    case CU_JIT_INPUT_NVVM:
      return refuse(
          CUDA_ERROR_NOT_SUPPORTED, "the CPU device links PTX and fatbins of PTX, no objects, libraries or NVVM");
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  for (ProgramText& text : image.texts) {
    if (text.name.empty())
      text.name = name;
    std::unique_ptr<ptx::Module> parsed;
    SPECTRAL_TRY(parse_text(text, &parsed));
  }
  std::move(image.texts.begin(), image.texts.end(), std::back_inserter(state->texts));
  return CUDA_SUCCESS;
}
}   // namespace

namespace spectral::cpu {
void forget_links(CUcontext c) {
  for (CUlinkState state : links.of(c))
    if (links.remove(state))
      delete state;
}
}   // namespace spectral::cpu

extern "C" {
CUresult cuLinkCreate(unsigned count, CUjit_option* options, void** values, CUlinkState* out) {
  SPECTRAL_TRY(check_context());
  if (!out || (count && (!options || !values)))
    return CUDA_ERROR_INVALID_VALUE;
  *out = links.add(new CUlinkState_st{current_context(), {options, options + count}, values, {}, {}});
  return CUDA_SUCCESS;
}
CUresult cuLinkAddData(
    CUlinkState state, CUjitInputType type, void* data, size_t size, const char* name, unsigned, CUjit_option*,
    void**) {
  SPECTRAL_TRY(check_link(state));
  if (!data || !size)
    return CUDA_ERROR_INVALID_VALUE;
  return logged(state, add(state, type, data, size, name ? name : ""));
}
CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char* path, unsigned, CUjit_option*, void**) {
  SPECTRAL_TRY(check_link(state));
  if (!path)
    return CUDA_ERROR_INVALID_VALUE;
  std::vector<char> bytes;
  SPECTRAL_TRY(read_file(path, &bytes));
  return logged(state, add(state, type, bytes.data(), bytes.size(), path));
}
CUresult cuLinkComplete(CUlinkState state, void** image, size_t* size) {
  SPECTRAL_TRY(check_link(state));
  if (!image)
    return CUDA_ERROR_INVALID_VALUE;
  if (state->texts.empty())
    return refuse(CUDA_ERROR_INVALID_VALUE, "nothing was added");
  std::unique_ptr<ptx::Module> linked;
  SPECTRAL_TRY(logged(state, link_texts(state->texts, &linked)));
  state->image = linked_image(state->texts);
  *image = state->image.data();
  if (size)
    *size = state->image.size();
  return CUDA_SUCCESS;
}
CUresult cuLinkDestroy(CUlinkState state) {
  SPECTRAL_TRY(check_context());
  if (!links.remove(state))
    return CUDA_ERROR_INVALID_HANDLE;
  delete state;
  return CUDA_SUCCESS;
}
}
