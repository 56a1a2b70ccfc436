#include "image.h"
#include "driver.h"
#include "fatbin.h"
#include "ptx/loaded_module.h"
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

namespace spectral::cpu {
namespace {
constexpr unsigned kCudaMachine = 190;   // EM_CUDA

CUresult refuse(CUresult status, const char* reason) {
  set_error(std::string("module: ") + reason);
  return status;
}
// Where the memory ends is not known, and the header may say anything: a copy is read, which cannot fault.
CUresult read_fatbin_in_memory(const void* bytes, Image* image) {
  const uint64_t size = fatbin_bytes(bytes);
  if (size > kMaxFatbin)
    return refuse(CUDA_ERROR_INVALID_IMAGE, "the fatbin is damaged: its header says more than 2 GB");
  int file = -1;
  SPECTRAL_TRY(copy_to_file(bytes, size_t(size), &file));
  void* copy = mmap(nullptr, size_t(size), PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (copy == MAP_FAILED)
    return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult status = ptx_of_fatbin(copy, size_t(size), profile(), &image->ptx);
  munmap(copy, size_t(size));
  return status;
}
CUresult read_fatbin(const void* bytes, size_t size, Image* image) {
  return size == kUnknownSize ? read_fatbin_in_memory(bytes, image)
                              : ptx_of_fatbin(bytes, size, profile(), &image->ptx);
}
CUresult read_wrapper(const void* bytes, size_t size, Image* image) {
  if (size != kUnknownSize)
    return refuse(CUDA_ERROR_INVALID_IMAGE, "the wrapper of a fatbin holds an address, which means nothing in a file");
  FatbinWrapper wrapper;
  std::memcpy(&wrapper, bytes, sizeof wrapper);
  uint32_t magic = 0;
  if (wrapper.data)
    std::memcpy(&magic, wrapper.data, sizeof magic);
  if (magic != kFatbinMagic)
    return refuse(CUDA_ERROR_INVALID_IMAGE, "the wrapper of a fatbin does not lead to one");
  return read_fatbin(wrapper.data, kUnknownSize, image);
}
CUresult read_elf(const void* bytes, size_t size, Image* image) {
  Elf64_Ehdr h;
  if (size < sizeof h)
    return refuse(CUDA_ERROR_INVALID_IMAGE, "the image is cut short");
  std::memcpy(&h, bytes, sizeof h);
  if (h.e_machine == kCudaMachine)
    return refuse(
        CUDA_ERROR_NO_BINARY_FOR_GPU,
        "a cubin holds machine code of a GPU, which the CPU device does not run: load PTX, or a fatbin that contains "
        "PTX");
  if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64 || h.e_type != ET_DYN)
    return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, "the image is for another processor");
  image->library = bytes;
  // The section table ends the file, as the linker writes it.
  image->library_bytes = size == kUnknownSize ? h.e_shoff + size_t(h.e_shnum) * h.e_shentsize : size;
  return CUDA_SUCCESS;
}
}   // namespace

CUresult copy_to_file(const void* bytes, size_t size, int* file) {
  const int fd = memfd_create("spectral-module", MFD_CLOEXEC);
  if (fd < 0)
    return CUDA_ERROR_OPERATING_SYSTEM;
  for (size_t done = 0; done < size;) {
    const ssize_t n = write(fd, static_cast<const char*>(bytes) + done, size - done);
    if (n > 0) {
      done += size_t(n);
      continue;
    }
    const bool ended = errno == EFAULT;
    close(fd);
    return ended ? refuse(CUDA_ERROR_INVALID_IMAGE, "the image ends before its header says") : CUDA_ERROR_OUT_OF_MEMORY;
  }
  *file = fd;
  return CUDA_SUCCESS;
}

CUresult read_image(const void* bytes, size_t size, Image* image) {
  if (ptx::looks_like_text(bytes)) {
    const auto* text = static_cast<const char*>(bytes);
    image->ptx = size == kUnknownSize ? std::string(text) : std::string(text, size);
    return CUDA_SUCCESS;
  }
  uint32_t magic = 0;
  if (strnlen(static_cast<const char*>(bytes), sizeof magic) == sizeof magic)   // a shorter text may end its memory
    std::memcpy(&magic, bytes, sizeof magic);
  if (magic == kFatbinMagic)
    return read_fatbin(bytes, size, image);
  if (magic == kFatbinWrapperMagic)
    return read_wrapper(bytes, size, image);
  if (!std::memcmp(&magic, ELFMAG, SELFMAG))
    return read_elf(bytes, size, image);
  return refuse(
      CUDA_ERROR_INVALID_IMAGE, "the image is neither PTX text, nor a fatbin, nor a shared library of kernels");
}
}   // namespace spectral::cpu
