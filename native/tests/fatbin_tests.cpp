// Modules from fatbins: which PTX is taken, how it is unpacked, and what is refused.
#include "ptx.h"
#include <algorithm>
#include <sys/mman.h>

namespace {
// What nvcc 12.4 makes of `extern "C" __global__ void arch(int* to) { *to = __CUDA_ARCH__; }` with --fatbin, -gencode
// arch=compute_80,code=compute_80 and -gencode arch=compute_90a,code=compute_90a: two PTX, each as a block of LZ4.
constexpr char kFatbin[] =
    "50ed55ba0100100080020000000000000100010158000000e800000000000000e20000004800000004000800500000000000000000000000"
    "1120000000000000000000000000000016010000000000000000000000000000500000000000000000000000000000003c0a2f2f0300f31e"
    "0a2e76657273696f6e20382e340a2e74617267657420736d5f38300a2e616464726573735f73697a652036340a3100f110697369626c6520"
    "2e656e7472792061726368280a2e706172616d202e7536341200115f1000f4085f300a290a7b0a2e726567202e6233322025723c323e3b11"
    "00f2003634202572643c333e3b0a0a0a6c644400222e75170048312c205b4a00f4025d3b0a637674612e746f2e676c6f62616c290021322c"
    "2f00713b0a6d6f762e756500a5312c203830303b0a73742c00403332205b2d00105d2e00d0313b0a7265743b0a0a7d0a0a00000000000000"
    "0100010158000000e800000000000000e300000048000000040008005a000000000000000000000011201000000000000000000000000000"
    "17010000000000000000000000000000500000000000000000000000000000003c0a2f2f0300f31f0a2e76657273696f6e20382e340a2e74"
    "617267657420736d5f3930610a2e616464726573735f73697a652036340a3200f110697369626c65202e656e7472792061726368280a2e70"
    "6172616d202e7536341200115f1000f4085f300a290a7b0a2e726567202e6233322025723c323e3b1100f2003634202572643c333e3b0a0a"
    "0a6c644400222e75170048312c205b4a00f4025d3b0a637674612e746f2e676c6f62616c290021322c2f00713b0a6d6f762e756500a5312c"
    "203930303b0a73742c00403332205b2d00105d2e00d0313b0a7265743b0a0a7d0a0a000000000000";

using Bytes = std::vector<unsigned char>;
Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<unsigned char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}
template <class T>
void put(Bytes& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// PTX as it stands in a fatbin: padded with zeros.
Bytes storing(int value) {
  const std::string text = storing_ptx("arch", value);
  Bytes bytes(text.begin(), text.end());
  bytes.resize((bytes.size() + 8) / 8 * 8);
  return bytes;
}

// A fatbin built entry by entry, laid out as kFatbin is.
class Fatbin {
 public:
  static constexpr uint16_t kPtx = 1;
  static constexpr uint16_t kElf = 2;
  static constexpr size_t kEntry = 16;   // where the first entry is
  static constexpr uint64_t kOnly = 0x100000;
  static constexpr uint64_t kLz4 = 0x2000;
  static constexpr uint64_t kZstd = 0x8000;

  Fatbin() : bytes_(16) {
    put(bytes_, 0, 0xBA55ED50u);
    put(bytes_, 4, uint16_t(1));
    put(bytes_, 6, uint16_t(16));
  }
  Fatbin& add(uint16_t kind, uint32_t architecture, Bytes payload, uint64_t flags = 0, uint64_t plain = 0) {
    const size_t at = bytes_.size();
    const auto used = uint32_t(payload.size());
    payload.resize((payload.size() + 7) / 8 * 8);
    bytes_.resize(at + 64);
    put(bytes_, at, kind);
    put(bytes_, at + 2, uint16_t(0x101));
    put(bytes_, at + 4, 64u);
    put(bytes_, at + 8, uint64_t(payload.size()));
    put(bytes_, at + 16, plain ? used : 0);
    put(bytes_, at + 28, architecture);
    put(bytes_, at + 40, 0x11 | flags);
    put(bytes_, at + 56, plain);
    bytes_.insert(bytes_.end(), payload.begin(), payload.end());
    put(bytes_, 8, uint64_t(bytes_.size() - 16));
    return *this;
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

// What the kernel `arch` of a module stores; negative, and counted, if it does not run.
int stored(CUmodule module) {
  Buffer<int> to(std::vector<int>{-1});
  CUfunction f = nullptr;
  void* params[] = {&to.p};
  CHECK_STATUS(cuModuleGetFunction(&f, module, "arch"), CUDA_SUCCESS);
  CHECK_STATUS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  return to.get()[0];
}
int loaded(const void* image) {
  CUmodule module = nullptr;
  if (cuModuleLoadData(&module, image)) {
    check(false, std::string("does not load: ") + spectralCpuLastError());
    return -1;
  }
  const int value = stored(module);
  CU(cuModuleUnload(module));
  return value;
}
void check_refused(const Bytes& image, CUresult status, const std::string& reason) {
  CUmodule module = nullptr;
  CHECK_STATUS(cuModuleLoadData(&module, image.data()), status);
  const std::string said = spectralCpuLastError();
  check(said.find(reason) != std::string::npos, said + ", wanted " + reason);
}

// A frame of one block that is not compressed (RFC 8878, 3.1.1).
Bytes zstd_frame(const Bytes& content) {
  Bytes frame(12 + content.size());
  put(frame, 0, 0xFD2FB528u);
  put(frame, 4, uint8_t(0xA0));   // a single segment, whose size has 4 bytes
  put(frame, 5, uint32_t(content.size()));
  const auto block = uint32_t(content.size() << 3 | 1);   // raw, the last
  std::memcpy(&frame[9], &block, 3);
  std::copy(content.begin(), content.end(), frame.begin() + 12);
  return frame;
}
// One sequence of literals (lz4_Block_format.md).
Bytes lz4_literals(const Bytes& content) {
  Bytes block = {0xF0};
  size_t more = content.size() - 15;
  for (; more >= 255; more -= 255)
    block.push_back(255);
  block.push_back(static_cast<unsigned char>(more));
  block.insert(block.end(), content.begin(), content.end());
  return block;
}
}   // namespace

TEST_GROUP(fatbin) {
  const Bytes real = from_hex(kFatbin);
  check(loaded(real.data()) == 900, "the newest of nvcc's two PTX is taken");
  CUmodule module = nullptr;
  CHECK_STATUS(cuModuleLoadFatBinary(&module, real.data()), CUDA_SUCCESS);
  check(stored(module) == 900, "by cuModuleLoadFatBinary too");
  CU(cuModuleUnload(module));
  struct {
    uint32_t magic = 0x466243B1;
    uint32_t version = 1;
    const void* data;
    void* name = nullptr;
  } wrapper;
  wrapper.data = real.data();
  check(loaded(&wrapper) == 900, "through the wrapper that nvcc puts into programs");
  const Bytes nowhere(4096);
  wrapper.data = nowhere.data();
  CHECK_STATUS(cuModuleLoadData(&module, &wrapper), CUDA_ERROR_INVALID_IMAGE);

  check(loaded(Fatbin().add(Fatbin::kPtx, 80, storing(1)).bytes().data()) == 1, "PTX that is not compressed");
  const Bytes code(64);
  Fatbin mixed;
  mixed.add(Fatbin::kElf, 90, code).add(Fatbin::kPtx, 86, storing(2)).add(Fatbin::kPtx, 80, storing(3));
  check(loaded(mixed.bytes().data()) == 2, "the newest architecture, wherever it stands");
  Fatbin newer;
  newer.add(Fatbin::kPtx, 120, storing(4)).add(Fatbin::kPtx, 89, storing(5), Fatbin::kOnly);
  newer.add(Fatbin::kPtx, 75, storing(6));
  check(loaded(newer.bytes().data()) == 6, "neither a later architecture nor what is for another one alone");
  Fatbin only;
  only.add(Fatbin::kPtx, 90, storing(7), Fatbin::kOnly).add(Fatbin::kPtx, 90, storing(8));
  check(loaded(only.bytes().data()) == 7, "sm_90a before sm_90");

  const long before = spectralCpuGetOption("profile");
  spectralCpuSetOption("profile", 1);
  check(loaded(real.data()) == 800, "an A100 does not run sm_90a");
  spectralCpuSetOption("profile", before);

  const Bytes text = storing(9);
  const Bytes lz4 = lz4_literals(text);
  const Bytes zstd = zstd_frame(text);
  check(loaded(Fatbin().add(Fatbin::kPtx, 80, lz4, Fatbin::kLz4, text.size()).bytes().data()) == 9, "LZ4");
  check(loaded(Fatbin().add(Fatbin::kPtx, 80, zstd, Fatbin::kZstd, text.size()).bytes().data()) == 9, "Zstandard");
}

TEST_GROUP(fatbin_hostile) {
  const Bytes real = from_hex(kFatbin);
  const Bytes text = storing(1);
  const Bytes lz4 = lz4_literals(text);
  const Bytes zstd = zstd_frame(text);
  const auto damaged = [&](const char* reason, size_t at, auto value) {
    Bytes image = real;
    put(image, at, value);
    check_refused(image, CUDA_ERROR_INVALID_IMAGE, reason);
  };
  damaged("version 2, a header of 16 bytes", 4, uint16_t(2));
  damaged("version 1, a header of 8 bytes", 6, uint16_t(8));
  damaged("its header says more than 2 GB", 8, ~uint64_t(0));
  damaged("its header says more than 2 GB", 8, uint64_t(3) << 30);
  damaged("its last entry is cut short", 8, uint64_t(real.size() - 16 - 300));
  constexpr size_t kEntry = Fatbin::kEntry;
  damaged("an entry does not fit into what is left of it", kEntry + 4, 1u << 30);
  damaged("an entry does not fit into what is left of it", kEntry + 4, 0u);
  damaged("an entry does not fit into what is left of it", kEntry + 8, ~uint64_t(0));
  damaged("an entry does not fit into what is left of it", kEntry + 8, uint64_t(1) << 62);
  Bytes endless = real;
  put(endless, kEntry + 4, 0u);
  put(endless, kEntry + 8, uint64_t(0));
  check_refused(endless, CUDA_ERROR_INVALID_IMAGE, "an entry does not fit into what is left of it");
  constexpr size_t kNewest = 16 + 88 + 232;   // the entry that is taken
  damaged("once decompressed", kNewest + 16, 1u << 20);
  damaged("once decompressed", kNewest + 56, uint64_t(1) << 40);
  damaged("its LZ4 block is damaged", kNewest + 56, uint64_t(100));
  damaged("its LZ4 block is damaged", kNewest + 56, uint64_t(280));
  damaged("its LZ4 block is damaged", kNewest + 16, 100u);
  damaged("a compression of before CUDA 5", kNewest + 40, uint64_t(0x101011));

  check_refused(
      Fatbin().add(Fatbin::kElf, 80, text).bytes(), CUDA_ERROR_NO_BINARY_FOR_GPU, "only machine code for sm_80");
  check_refused(Fatbin().bytes(), CUDA_ERROR_NO_BINARY_FOR_GPU, "only nothing");
  check_refused(Fatbin().add(Fatbin::kPtx, 100, text).bytes(), CUDA_ERROR_NO_BINARY_FOR_GPU, "only PTX for sm_100");
  Fatbin cut;
  cut.add(Fatbin::kPtx, 80, Bytes(zstd.begin(), zstd.end() - 40), Fatbin::kZstd, text.size());
  check_refused(cut.bytes(), CUDA_ERROR_INVALID_IMAGE, "its Zstandard frame is damaged");
  Fatbin longer;
  longer.add(Fatbin::kPtx, 80, zstd, Fatbin::kZstd, text.size() + 1);
  check_refused(longer.bytes(), CUDA_ERROR_INVALID_IMAGE, "shorter than its header says");
  Fatbin nonsense;
  nonsense.add(Fatbin::kPtx, 80, Bytes{'.', 'x', 0, 0, 0, 0, 0, 0});
  check_refused(nonsense.bytes(), CUDA_ERROR_INVALID_PTX, "PTX line 1, column");
  Bytes cubin(64);
  std::memcpy(cubin.data(), "\177ELF\2\1\1", 7);
  put(cubin, 18, uint16_t(190));
  check_refused(cubin, CUDA_ERROR_NO_BINARY_FOR_GPU, "a cubin holds machine code of a GPU");

  // An image at the end of what is mapped: its header says more than there is.
  auto* pages =
      static_cast<unsigned char*>(mmap(nullptr, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(pages + 4096, 4096);
  std::memcpy(pages + 4096 - 600, real.data(), 600);
  CUmodule module = nullptr;
  CHECK_STATUS(cuModuleLoadData(&module, pages + 4096 - 600), CUDA_ERROR_INVALID_IMAGE);
  check(std::string(spectralCpuLastError()).find("ends before") != std::string::npos, spectralCpuLastError());
  munmap(pages, 4096);

  // Every byte changed, in each of several ways: refused with a reason, or loaded.
  int refused = 0;
  for (size_t at = 0; at < real.size(); ++at)
    for (const int change : {0x01, 0x80, 0xff}) {
      Bytes image = real;
      image[at] = static_cast<unsigned char>(image[at] ^ change);
      const CUresult status = cuModuleLoadData(&module, image.data());
      if (!status)
        CU(cuModuleUnload(module));
      else if (*spectralCpuLastError())
        ++refused;
      else
        check(false, "byte " + std::to_string(at) + " is refused without a reason");
    }
  check(refused > 500, "damage is seen: " + std::to_string(refused));
}
