// Damaged PTX: whatever is done to a text, it loads or is refused with a line and a column. Seeded, so that a failure
// repeats.
#include "ptx.h"
#include <cctype>

namespace {
constexpr int kMutations = 10000;

// Three texts that between them have each kind of declaration, operand and instruction table.
const std::string kTexts[] = {
    R"(//
.version 8.4
.target sm_90a, debug
.address_size 64
.file 1 "some.cu"
.visible .global .align 8 .b8 table[16] = {1, 2, 0x3, 04, 0b101};
.global .u64 where[2] = {generic(table)+8, table};
.const .f32 factors[3] = {0f3F800000, 2.5, -1.0};
.extern .shared .align 16 .b8 dynamic[];
.func (.param .b32 result) twice(.param .b32 value)
{
  .reg .b32 %r<3>;
  ld.param.b32 %r1, [value];
  add.s32 %r2, %r1, %r1;
  st.param.b32 [result+0], %r2;
  ret;
}
.visible .entry scale(.param .u64 .ptr .global .align 8 scale_0, .param .align 4 .b8 scale_1[12])
.maxntid 256, 1, 1
.minnctapersm 2
{
  .reg .pred %p<4>;
  .reg .b16 %rs<4>;
  .reg .b32 %r<12>;
  .reg .f32 %f<6>;
  .reg .b64 %rd<8>;
  .local .align 8 .b8 depot[24];
  .shared .align 4 .f32 sums[32];
  .loc 1 12 3
  ld.param.u64 %rd1, [scale_0];
  ld.param.v2.u32 {%r1, %r2}, [scale_1];
  cvta.to.global.u64 %rd2, %rd1;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r3, %r2, -7;
  setp.ge.and.s32 %p1|%p2, %r4, %r1, !%p3;
  @!%p1 bra $L__end;
  mul.wide.u32 %rd3, %r3, 4;
  add.s64 %rd4, %rd2, %rd3;
  ld.global.nc.L2::128B.v4.f32 {%f1, %f2, %f3, _}, [%rd4+16];
  fma.rn.ftz.f32 %f4, %f1, %f2, 0fBF800000;
  cvt.rn.bf16x2.f32 %r5, %f4, %f3;
  { .param .b32 in; .param .b32 out;
    st.param.b32 [in], %r5;
    call.uni (out), twice, (in);
    ld.param.b32 %r6, [out]; }
  mov.b32 {%rs1, %rs2}, %r6;
  lop3.b32 %r7, %r6, %r5, %r4, 0x96;
  st.shared.f32 [sums+4], %f4;
  bar.sync 0;
  @%p2 st.local.u64 [depot+8], %rd4;
$L__end:
  ret;
}
)",
    R"(.version 7.8
.target sm_90a
.address_size 64
.visible .entry collect(.param .u64 where)
{
.reg .pred p, q;
.reg .b32 a, b, c, d;
.reg .u64 out, bar;
.shared .align 8 .b64 m;
ld.param.u64 out, [where];
loop:
shfl.sync.bfly.b32 a|p, b, 16, 0x1f, 0xffffffff;
vote.sync.ballot.b32 c, q, -1;
redux.sync.add.s32 d, a, 0xffffffff;
match.any.sync.b32 c, a, -1;
atom.global.cas.b32 d, [out], a, b;
red.shared.add.u32 [m], 1;
mbarrier.init.shared.b64 [m], 4;
mbarrier.arrive.expect_tx.shared.b64 bar, [m], 64;
mbarrier.try_wait.parity.shared.b64 p, [m], 0;
bar.red.or.pred q, 1, 64, !p;
cp.async.cg.shared.global [m], [out], 16;
cp.async.commit_group;
cp.async.wait_group 0;
prmt.b32.f4e a, b, c, d;
bfi.b32 a, b, c, 3, 4;
selp.b32 a, b, 0x7, !p;
isspacep.shared q, out;
membar.gl;
@p bra loop;
exit;
}
)",
    R"(.version 8.3
.target sm_90a
.address_size 64
.entry products() .reqntid 128 .explicitcluster .reqnctapercluster 2, 1, 1
{
.reg .b32 r<20>; .reg .f32 f<16>; .reg .b64 d<4>; .reg .pred p0;
.shared .align 128 .b8 tile[4096];
ldmatrix.sync.aligned.m8n8.x4.shared.b16 {r0, r1, r2, r3}, [r4];
mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {f0, f1, f2, f3}, {r0, r1, r2, r3}, {r5, r6}, {f0, f1, f2, f3};
wgmma.fence.sync.aligned;
wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {f0, f1, f2, f3}, d0, d1, p0, 1, 1, 0, 0;
wgmma.commit_group.sync.aligned;
wgmma.wait_group.sync.aligned 0;
barrier.cluster.arrive.release.aligned;
barrier.cluster.wait.acquire.aligned;
mapa.shared::cluster.u32 r7, r8, 1;
elect.sync r9|p0, 0xffffffff;
fence.proxy.async.shared::cta;
setmaxnreg.inc.sync.aligned.u32 240;
cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [r4], [d2, {r5, r6}], [r7];
cp.async.bulk.wait_group.read 0;
}
)"};

// Where the words and the punctuation of a text begin; its end is the last.
std::vector<size_t> places_of(const std::string& text) {
  auto part_of_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '%' || c == '$';
  };
  std::vector<size_t> places;
  for (size_t i = 0; i < text.size(); ++i)
    if (!std::isspace(static_cast<unsigned char>(text[i])) &&
        (i == 0 || !part_of_word(text[i]) || !part_of_word(text[i - 1])))
      places.push_back(i);
  places.push_back(text.size());
  return places;
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}
  std::string mutate(std::string text) {
    for (size_t n = 1 + below(3); n && !text.empty(); --n)
      change(text);
    return text;
  }

 private:
  size_t below(size_t n) { return random_() % n; }
  // A token with what follows it up to the next.
  std::pair<size_t, size_t> some_token(const std::string& text) {
    const auto places = places_of(text);
    if (places.size() < 2)
      return {0, text.size()};
    const size_t i = below(places.size() - 1);
    return {places[i], places[i + 1] - places[i]};
  }
  void change(std::string& text) {
    static const char* const kNumbers[] = {
        "0",
        "-1",
        "18446744073709551615",
        "18446744073709551616",
        "4294967296",
        "2147483648",
        "2000000000",
        "1000000",
        "65537",
        "999999999999999999999999999",
        "0x",
        "0f7fffffff",
        "1e999",
        "08"};
    static const char* const kPieces[] = {
        "{",       "}",    "(",     ")",   "[",       "]",    ";",      ",",     ":",    "|",    "@",
        "!",       "\"",   "/*",    "//",  "*/",      ".",    "::",     "<",     ">",    "=",    "%",
        "_",       "-",    "~",     "+",   ".b128",   ".v4",  ".f64",   ".pred", ".cc",  ".sat", ".param",
        ".shared", "ret;", "call ", "mma", "WARP_SZ", "%tid", "%tid.w", "\n",    "\xff", "\x7f"};
    const auto [at, size] = some_token(text);
    switch (below(9)) {
      case 0: text[below(text.size())] = char(1 + below(255)); break;
      case 1: text[below(text.size())] ^= char(1 << below(7)); break;
      case 2: text.erase(at, size); break;
      case 3: text.erase(below(text.size()), 1 + below(40)); break;
      case 4: text.insert(at, text.substr(at, size)); break;
      case 5: {
        const auto [other, other_size] = some_token(text);
        const std::string a = text.substr(at, size);
        const std::string b = text.substr(other, other_size);
        if (at + size <= other) {
          text.replace(other, other_size, a);
          text.replace(at, size, b);
        }
        break;
      }
      case 6:
        if (below(8) == 0)
          text.resize(below(text.size()));
        else
          text.replace(at, size, text.substr(text.size() / 2, below(60)));
        break;
      case 7: text.replace(at, size, kNumbers[below(std::size(kNumbers))]); break;
      default: text.insert(at, kPieces[below(std::size(kPieces))]);
    }
    for (char& c : text)   // a text ends at its first zero
      c = c ? c : ' ';
  }
  std::mt19937 random_;
};

bool has_place(const std::string& said) {
  unsigned line = 0;
  unsigned column = 0;
  return std::sscanf(said.c_str(), "PTX line %u, column %u: ", &line, &column) == 2 && line && column;
}
}   // namespace

TEST_GROUP(ptx_hostile) {
  for (const std::string& text : kTexts) {
    CUmodule m = nullptr;
    const CUresult status = cuModuleLoadData(&m, text.c_str());
    check(status == CUDA_SUCCESS, std::string("a sound text loads: ") + spectralCpuLastError());
    if (!status)
      CU(cuModuleUnload(m));
  }
  int loaded = 0;
  for (int i = 0; i < kMutations; ++i) {
    const std::string text = Mutator(unsigned(i)).mutate(kTexts[size_t(i) % std::size(kTexts)]);
    CUmodule m = nullptr;
    const CUresult status = cuModuleLoadData(&m, text.c_str());
    const std::string said = spectralCpuLastError();
    const bool as_text = status == CUDA_ERROR_INVALID_PTX && has_place(said);
    const bool no_text = status == CUDA_ERROR_INVALID_IMAGE;         // it does not begin as one
    const bool for_other = status == CUDA_ERROR_NO_BINARY_FOR_GPU;   // its .target names another GPU
    check(
        !status || as_text || no_text || for_other,
        "mutation " + std::to_string(i) + ": " + std::to_string(status) + " " + said);
    if (!status) {
      ++loaded;
      CU(cuModuleUnload(m));
    }
  }
  check(loaded > kMutations / 50 && loaded < kMutations / 2, "some mutations load: " + std::to_string(loaded));
}
