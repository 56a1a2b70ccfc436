// Counters of launches of PTX against numbers worked out by hand.
#include "host.h"
#include <map>
#include <sstream>

namespace {
// Thread t of a block reads in[t * stride] and writes out[t]; with stride 1 both are coalesced.
constexpr const char* kCopy = R"(
.version 8.4
.target sm_80
.address_size 64
.visible .entry copy(.param .u64 copy_in, .param .u64 copy_out, .param .u32 copy_stride)
.maxntid 256, 1, 1
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<7>;
  ld.param.u64 %rd1, [copy_in];
  ld.param.u64 %rd2, [copy_out];
  ld.param.u32 %r1, [copy_stride];
  mov.u32 %r2, %tid.x;
  mul.lo.u32 %r3, %r2, %r1;
  mul.wide.u32 %rd3, %r3, 4;
  add.s64 %rd4, %rd1, %rd3;
  ld.global.u32 %r3, [%rd4];
  mul.wide.u32 %rd5, %r2, 4;
  add.s64 %rd6, %rd2, %rd5;
  st.global.u32 [%rd6], %r3;
  ret;
}
)";
// Thread t stores its number at word t * stride of shared memory and waits at a barrier.
constexpr const char* kShared = R"(
.version 8.4
.target sm_80
.address_size 64
.visible .entry scatter(.param .u32 scatter_stride)
.maxntid 64, 1, 1
{
  .reg .pred %p<2>;
  .reg .b32 %r<6>;
  .shared .align 4 .b8 words[16384];
  ld.param.u32 %r1, [scatter_stride];
  mov.u32 %r2, %tid.x;
  mul.lo.u32 %r3, %r2, %r1;
  shl.b32 %r3, %r3, 2;
  mov.u32 %r4, words;
  add.s32 %r5, %r4, %r3;
  st.shared.u32 [%r5], %r2;
  bar.sync 0;
  setp.lt.u32 %p1, %r2, 16;
  @%p1 bra $low;
  ret;
$low:
  bar.warp.sync 65535;
  ret;
}
)";

struct Loaded {
  CUmodule module = nullptr;
  explicit Loaded(const char* text) { CU(cuModuleLoadData(&module, text)); }
  Loaded(const Loaded&) = delete;
  ~Loaded() { cuModuleUnload(module); }
  CUfunction get(const char* name) const {
    CUfunction f;
    CU(cuModuleGetFunction(&f, module, name));
    return f;
  }
};
std::map<std::string, std::string> counted(CUfunction f, unsigned grid, unsigned block, void** params) {
  spectralCpuSetOption("count", 1);
  CU(cuLaunchKernel(f, grid, 1, 1, block, 1, 1, 0, nullptr, params, nullptr));
  spectralCpuSetOption("count", 0);
  char text[2048];
  spectralCpuCounters(text, sizeof text);
  std::map<std::string, std::string> counters;
  std::istringstream lines(text);
  for (std::string name, value; lines >> name >> value;)
    counters[name] = value;
  return counters;
}
}   // namespace

TEST_GROUP(ptx_counters) {
  const Loaded copy(kCopy);
  const Loaded shared(kShared);
  Buffer<uint32_t> in(std::vector<uint32_t>(256 * 8, 7));
  Buffer<uint32_t> out(256);
  auto copied = [&](unsigned stride) {
    uint32_t* from = in.device();
    uint32_t* to = out.device();
    void* params[] = {&from, &to, &stride};
    return counted(copy.get("copy"), 1, 256, params);
  };
  // 8 warps of 32 x 4 bytes: 4 sectors each, read and written.
  auto c = copied(1);
  CHECK(c["kernel"] == "copy");
  CHECK(c["global_read_sectors"] == "32");
  CHECK(c["global_write_sectors"] == "32");
  CHECK(c["global_read_bytes"] == "1024");
  CHECK(c["global_write_bytes"] == "1024");
  CHECK(c["global_requests"] == "16");
  CHECK(c["instructions"] == "96");   // 12 of 8 warps
  CHECK(c["memory_instructions"] == "40");
  CHECK(c["divergent_branches"] == "0");
  // Every 32 bytes: a sector for each thread. The same word for all: one for each warp.
  c = copied(8);
  CHECK(c["global_read_sectors"] == "256");
  CHECK(c["global_read_bytes"] == "1024");
  c = copied(0);
  CHECK(c["global_read_sectors"] == "8");
  CHECK(c["global_read_bytes"] == "4");

  auto scattered = [&](unsigned stride) {
    void* params[] = {&stride};
    return counted(shared.get("scatter"), 3, 64, params);
  };
  // Two warps in three blocks. Word t: a bank each. Word 2 t: two words in every second bank. Word 32 t: all in one.
  c = scattered(1);
  CHECK(c["shared_wavefronts"] == "6");
  CHECK(c["shared_bank_conflicts"] == "0");
  CHECK(c["barriers"] == "3");
  CHECK(c["divergent_branches"] == "3");   // in the first warp of each block
  CHECK(scattered(2)["shared_bank_conflicts"] == "6");
  CHECK(scattered(32)["shared_bank_conflicts"] == "186");
  CHECK(scattered(0)["shared_bank_conflicts"] == "0");   // one word
}
