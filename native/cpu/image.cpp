#include "image.h"
#include "driver.h"
#include "fatbin.h"
#include "ptx/loaded_module.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <elf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace spectral::cpu {
namespace {
constexpr unsigned kCudaMachine = 190;   // EM_CUDA

CUresult refuse(CUresult status, const char* reason) {
  set_error(std::string("module: ") + reason);
  return status;
}
// Of an image whose header says how long it is. Where the memory ends is not known, and the header may say anything: a
// copy is read, which cannot fault.
template <class Read>
CUresult read_copy(const void* bytes, uint64_t size, Read read) {
  if (size > kMaxFatbin)
    return refuse(CUDA_ERROR_INVALID_IMAGE, "the image is damaged: its header says more than 2 GB");
  int file = -1;
  SPECTRAL_TRY(copy_to_file(bytes, size_t(size), &file));
  void* copy = mmap(nullptr, size_t(size), PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (copy == MAP_FAILED)
    return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult status = read(copy, size_t(size));
  munmap(copy, size_t(size));
  return status;
}
CUresult read_fatbin(const void* bytes, size_t size, Image* image) {
  const auto read = [image](const void* from, size_t n) {
    return ptx_of_fatbin(from, n, profile(), &image->texts.emplace_back().ptx);
  };
  return size == kUnknownSize ? read_copy(bytes, fatbin_bytes(bytes), read) : read(bytes, size);
}
CUresult read_linked(const void* bytes, size_t size, Image* image) {
  const auto read = [image](const void* from, size_t n) {
    return read_linked_image(from, n, &image->texts) ? CUDA_SUCCESS
                                                     : refuse(CUDA_ERROR_INVALID_IMAGE, "the linked image is damaged");
  };
  return size == kUnknownSize ? read_copy(bytes, linked_image_bytes(bytes), read) : read(bytes, size);
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

CUresult read_file(const char* path, std::vector<char>* bytes) {
  FILE* f = std::fopen(path, "rb");
  if (!f)
    return CUDA_ERROR_FILE_NOT_FOUND;
  bytes->resize(4096);
  size_t n = 0;
  for (size_t got; (got = std::fread(bytes->data() + n, 1, bytes->size() - n, f)) > 0;)
    if ((n += got) == bytes->size())
      bytes->resize(2 * n);
  std::fclose(f);
  bytes->resize(n);
  return CUDA_SUCCESS;
}
CUresult copy_to_file(const void* bytes, size_t size, int* file) {
  const int fd = memfd_create("spectral-module", MFD_CLOEXEC);
  if (fd < 0)
    return CUDA_ERROR_OPERATING_SYSTEM;
  for (size_t done = 0; done < size;) {
    // The kernel says where memory ends. Not write(): AddressSanitizer checks its buffer beforehand.
    const ssize_t n = syscall(SYS_write, fd, static_cast<const char*>(bytes) + done, size - done);
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
    image->texts.push_back({"", size == kUnknownSize ? std::string(text) : std::string(text, size)});
    return CUDA_SUCCESS;
  }
  uint32_t magic = 0;
  if (strnlen(static_cast<const char*>(bytes), sizeof magic) == sizeof magic)   // a shorter text may end its memory
    std::memcpy(&magic, bytes, sizeof magic);
  if (magic == kFatbinMagic)
    return read_fatbin(bytes, size, image);
  if (magic == kLinkedMagic)
    return read_linked(bytes, size, image);
  if (magic == kFatbinWrapperMagic)
    return read_wrapper(bytes, size, image);
  if (!std::memcmp(&magic, ELFMAG, SELFMAG))
    return read_elf(bytes, size, image);
  return refuse(
      CUDA_ERROR_INVALID_IMAGE, "the image is neither PTX text, nor a fatbin, nor a shared library of kernels");
}
}   // namespace spectral::cpu
