// cp.reduce.async.bulk and copies within a cluster against the PTX ISA ("Data Movement and Conversion Instructions:
// cp.reduce.async.bulk", "cp.async.bulk"): every operation on every type of its table.
#include "ptx_floats.h"
#include "ptx_fragments.h"
#include <algorithm>

namespace {
using Combine = uint64_t (*)(uint64_t old, uint64_t operand);
struct Reduction {
  const char* name;   // operation and type
  size_t bytes;       // of an element
  std::vector<uint64_t> values;
  Combine combine;
};

// ---- what the operations mean, by hand
template <class T>
uint64_t wrapping_sum(uint64_t a, uint64_t b) {
  return std::make_unsigned_t<T>(a + b);
}
template <class T>
uint64_t least(uint64_t a, uint64_t b) {
  return std::make_unsigned_t<T>(T(a) < T(b) ? a : b);
}
template <class T>
uint64_t greatest(uint64_t a, uint64_t b) {
  return std::make_unsigned_t<T>(T(a) < T(b) ? b : a);
}
// "atom": inc is ((old >= b) ? 0 : old + 1), dec is (((old == 0) | (old > b)) ? b : old - 1).
uint64_t increment(uint64_t old, uint64_t b) { return old >= b ? 0 : old + 1; }
uint64_t decrement(uint64_t old, uint64_t b) { return old == 0 || old > b ? b : old - 1; }
double half_value(uint64_t bits) { return double(std::bit_cast<_Float16>(uint16_t(bits))); }
// The sum of two f16 is exact in f64.
uint64_t half_sum(uint64_t a, uint64_t b) { return std::bit_cast<uint16_t>(_Float16(half_value(a) + half_value(b))); }
// "The current implementation of add.f32 on global memory flushes subnormal inputs and results to zero of their sign."
uint64_t single_sum(uint64_t a, uint64_t b) {
  const auto flush = [](float v) { return std::fabs(v) < 0x1p-126f ? std::copysign(0.f, v) : v; };
  return f(flush(flush(float_of<float>(a)) + flush(float_of<float>(b))));
}
uint64_t double_sum(uint64_t a, uint64_t b) { return d(float_of<double>(a) + float_of<double>(b)); }

const std::vector<uint64_t> kWords = {0, 1, 2, 7, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
const std::vector<uint64_t> kLongs = {
    0, 1, 5, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffffe, 0xffffffffffffffff};
const std::vector<uint64_t> kHalves = {0, 0x8000, 1, 0x8001, 0x3c00, 0xbc01, 0x03ff, 0x7bff, 0x0400, 0x5640};
const std::vector<uint64_t> kBrains = {0, 0x8000, 0x3f80, 0xbf81, 0x4040, 0x4170, 0x3e80, 0xc2c8};
const std::vector<uint64_t> kSingles = {f(0), f(1), f(-1.5f), f(0x1p-140f), f(0x1p-126f), f(-0x1.8p-126f), f(3e38f)};
const std::vector<uint64_t> kDoubles = {d(0), d(1), d(-1.5), d(0x1p-1060), d(1e300)};

const std::vector<Reduction>& reductions_everywhere() {
  static const std::vector<Reduction> all = {
      {"and.b32", 4, kWords, [](uint64_t a, uint64_t b) { return a & b; }},
      {"or.b32", 4, kWords, [](uint64_t a, uint64_t b) { return a | b; }},
      {"xor.b32", 4, kWords, [](uint64_t a, uint64_t b) { return a ^ b; }},
      {"add.u32", 4, kWords, wrapping_sum<uint32_t>},
      {"add.s32", 4, kWords, wrapping_sum<int32_t>},
      {"add.u64", 8, kLongs, wrapping_sum<uint64_t>},
      {"inc.u32", 4, kWords, increment},
      {"dec.u32", 4, kWords, decrement},
      {"min.u32", 4, kWords, least<uint32_t>},
      {"min.s32", 4, kWords, least<int32_t>},
      {"max.u32", 4, kWords, greatest<uint32_t>},
      {"max.s32", 4, kWords, greatest<int32_t>}};
  return all;
}
const std::vector<Reduction>& reductions_in_global() {
  static const std::vector<Reduction> all = {
      {"and.b64", 8, kLongs, [](uint64_t a, uint64_t b) { return a & b; }},
      {"or.b64", 8, kLongs, [](uint64_t a, uint64_t b) { return a | b; }},
      {"xor.b64", 8, kLongs, [](uint64_t a, uint64_t b) { return a ^ b; }},
      {"min.u64", 8, kLongs, least<uint64_t>},
      {"min.s64", 8, kLongs, least<int64_t>},
      {"max.u64", 8, kLongs, greatest<uint64_t>},
      {"max.s64", 8, kLongs, greatest<int64_t>},
      {"add.f32", 4, kSingles, single_sum},
      {"add.f64", 8, kDoubles, double_sum},
      {"add.noftz.f16", 2, kHalves, half_sum},
      {"add.noftz.bf16",
       2,
       kBrains,
       [](uint64_t a, uint64_t b) -> uint64_t { return to_bf16(from_bf16(uint16_t(a)) + from_bf16(uint16_t(b))); }},
      {"min.f16",
       2,
       kHalves,
       [](uint64_t a, uint64_t b) {
         const bool negative_zero = half_value(a) == half_value(b) && b & 0x8000;
         return half_value(b) < half_value(a) || negative_zero ? b : a;
       }},
      {"max.bf16", 2, kBrains, [](uint64_t a, uint64_t b) {
         const float x = from_bf16(uint16_t(a));
         const float y = from_bf16(uint16_t(b));
         return y > x || (x == y && a & 0x8000) ? b : a;
       }}};
  return all;
}

// All pairs of an old value and an operand, as bytes: old ones, operands and results.
struct Rows {
  std::vector<uint8_t> old, operands, wanted;
  explicit Rows(const Reduction& r) {
    const auto add = [&](std::vector<uint8_t>& to, uint64_t v) {
      for (size_t i = 0; i < r.bytes; ++i)
        to.push_back(uint8_t(v >> 8 * i));
    };
    for (uint64_t a : r.values)
      for (uint64_t b : r.values) {
        add(old, a);
        add(operands, b);
        add(wanted, r.combine(a, b));
      }
    while (old.size() % 16) {
      add(old, 0);
      add(operands, 0);
      add(wanted, r.combine(0, 0));
    }
  }
};
std::vector<uint32_t> words_of(const std::vector<uint8_t>& bytes) {
  std::vector<uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}
constexpr int kRoom = 1024;   // bytes of each part of the buffer and of shared memory
const std::string kShared = ".shared .align 128 .b8 s[1024];\n.shared .align 128 .b8 t[1024];\n.shared .b64 bar;\n";
std::vector<uint32_t> image_of(const Rows& rows) {
  std::vector<uint32_t> words(2 * kRoom / 4);
  const auto old = words_of(rows.old);
  const auto operands = words_of(rows.operands);
  std::copy(operands.begin(), operands.end(), words.begin());
  std::copy(old.begin(), old.end(), words.begin() + kRoom / 4);
  return words;
}
void check_image(const std::string& name, const Rows& rows, const std::vector<uint32_t>& out) {
  const auto wanted = words_of(rows.wanted);
  int wrong = out.empty();
  for (size_t i = 0; i < wanted.size() && !out.empty(); ++i)
    wrong += out[kRoom / 4 + i] != wanted[i];
  check(!wrong, name + ": " + std::to_string(wrong) + " words wrong");
}

// Operands are in shared memory, old values in global memory.
void into_global() {
  auto all = reductions_everywhere();
  all.insert(all.end(), reductions_in_global().begin(), reductions_in_global().end());
  for (const Reduction& r : all) {
    const Rows rows(r);
    const auto out = run_words(
        "setp.ne.u32 %p, %x, 0;\n@%p bra $E;\nmov.u32 %a, s;\nmov.u32 %b, 0;\nmov.u64 %la, %out;\n$L:\n"
        "ld.global.v4.u32 {%c, %d, %e, %f}, [%la];\nst.shared.v4.u32 [%a], {%c, %d, %e, %f};\nadd.u64 %la, %la, 16;\n"
        "add.u32 %a, %a, 16;\nadd.u32 %b, %b, 16;\nsetp.lt.u32 %q, %b, 1024;\n@%q bra $L;\nfence.proxy.async;\n"
        "cp.reduce.async.bulk.global.shared::cta.bulk_group." +
            std::string(r.name) + " [%out+1024], [s], " + std::to_string(rows.old.size()) +
            ";\ncp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n$E:",
        image_of(rows),
        32,
        1,
        kShared);
    check_image(std::string("reduction into global memory, ") + r.name, rows, out);
  }
}

// Block 1 has the operands in `s`; block 0 has the old values, waits for the bytes and returns the results. `send` is
// what block 1 does; %c and %d are the shared memory and the mbarrier of block 0, %p holds in one thread.
std::vector<uint32_t> run_within_cluster(const std::string& send, const std::vector<uint32_t>& image, size_t bytes) {
  const std::string size = std::to_string(bytes);
  return run_words(
      "mov.u32 %u, %cluster_ctarank;\nmul.lo.u32 %a, %x, 16;\ncvt.u64.u32 %la, %a;\nadd.u64 %la, %la, %out;\n"
      "mov.u32 %b, s;\nadd.u32 %b, %b, %a;\nmov.u32 %z, t;\nadd.u32 %z, %z, %a;\n"
      "ld.global.v4.u32 {%c, %d, %e, %f}, [%la];\nst.shared.v4.u32 [%b], {%c, %d, %e, %f};\n"
      "ld.global.v4.u32 {%c, %d, %e, %f}, [%la+512];\nst.shared.v4.u32 [%b+512], {%c, %d, %e, %f};\n"
      "ld.global.v4.u32 {%c, %d, %e, %f}, [%la+1024];\nst.shared.v4.u32 [%z], {%c, %d, %e, %f};\n"
      "ld.global.v4.u32 {%c, %d, %e, %f}, [%la+1536];\nst.shared.v4.u32 [%z+512], {%c, %d, %e, %f};\n"
      "setp.eq.u32 %p, %x, 0;\n@%p mbarrier.init.shared.b64 [bar], 1;\nfence.mbarrier_init.release.cluster;\n"
      "fence.proxy.async;\nbar.sync 0;\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\nsetp.eq.u32 %q, %u, 0;\n"
      "@%q bra $W;\nmapa.shared::cluster.u32 %c, t, 0;\nmapa.shared::cluster.u32 %d, bar, 0;\n" +
          send + "\nbra $E;\n$W:\n@%p mbarrier.arrive.expect_tx.shared.b64 _, [bar], " + size +
          ";\n$T:\nmbarrier.try_wait.parity.shared.b64 %r, [bar], 0;\n@!%r bra $T;\n"
          "ld.shared.v4.u32 {%c, %d, %e, %f}, [%z];\nst.global.v4.u32 [%la+1024], {%c, %d, %e, %f};\n"
          "ld.shared.v4.u32 {%c, %d, %e, %f}, [%z+512];\nst.global.v4.u32 [%la+1536], {%c, %d, %e, %f};\n$E:\n"
          "barrier.cluster.arrive;\nbarrier.cluster.wait;",
      image,
      32,
      2,
      kShared,
      ".reqnctapercluster 2");
}
std::string copy_of(const std::string& instruction, size_t bytes) {
  return "@%p " + instruction + " [%c], [s], " + std::to_string(bytes) + ", [%d];";
}
void within_a_cluster() {
  for (const Reduction& r : reductions_everywhere()) {
    const Rows rows(r);
    const std::string instruction =
        "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes." + std::string(r.name);
    const auto out = run_within_cluster(copy_of(instruction, rows.old.size()), image_of(rows), rows.old.size());
    check_image(std::string("reduction within a cluster, ") + r.name, rows, out);
  }
  std::vector<uint32_t> image(2 * kRoom / 4);
  for (size_t i = 0; i < image.size(); ++i)
    image[i] = uint32_t(i * 2654435761u);
  auto wanted = image;
  std::copy_n(image.begin(), 60, wanted.begin() + kRoom / 4);
  const std::string copy = "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes";
  const auto out = run_within_cluster(copy_of(copy, 240), image, 240);
  check(out == wanted, "a copy from block to block");
}

// "st.async" and "red.async": values of one thread, each of which counts its bytes.
void values_of_a_thread() {
  const std::string store = "@%p st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.";
  const std::string reduce = "@%p red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.";
  std::vector<uint32_t> image(2 * kRoom / 4);
  for (size_t i = 0; i < image.size(); ++i)
    image[i] = uint32_t(100 + i);
  auto wanted = image;
  uint32_t* to = &wanted[kRoom / 4];
  to[1] = 0x1234;
  to[4] = 0x55667788;
  to[5] = 0x11223344;
  to[6] = 7;
  to[7] = 0;
  for (uint32_t i = 0; i < 4; ++i)
    to[8 + i] = i + 1;
  to[12] += 0x55667788;   // of 64 bits, without a carry
  to[13] += 0x11223344;
  to[14] = 0;   // beyond the bound
  to[15] = uint32_t(-3);
  const auto out = run_within_cluster(
      "mov.u64 %lb, 0x1122334455667788;\nmov.u64 %lc, 7;\nmov.f32 %e, 0f00001234;\n" + store +
          "f32 [%c+4], %e, [%d];\n" + store + "v2.b64 [%c+16], {%lb, %lc}, [%d];\n" + store +
          "v4.u32 [%c+32], {1, 2, 3, 4}, [%d];\n" + reduce + "add.u64 [%c+48], %lb, [%d];\n" + reduce +
          "inc.u32 [%c+56], 5, [%d];\n" + reduce + "min.s32 [%c+60], -3, [%d];",
      image,
      52);
  check(out == wanted, "st.async and red.async");
}

// Combinations that the tables lack, and the flush that sums of 16 bits need to say they do without.
void refused() {
  const auto refuses = [](const std::string& instruction) {
    CUmodule module = nullptr;
    const CUresult status = cuModuleLoadData(&module, ptx_kernel(instruction + ";", kShared).c_str());
    check(status == CUDA_ERROR_INVALID_PTX, "refused: " + instruction);
  };
  const std::string global = "cp.reduce.async.bulk.global.shared::cta.bulk_group.";
  for (const char* type : {"add.s64", "add.f16", "add.noftz.f32", "inc.s32", "min.f32", "and.u32", "min.b32"})
    refuses(global + type + " [%out], [s], 16");
  const std::string cluster = "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.";
  for (const char* type : {"add.f32", "add.noftz.f16", "and.b64", "min.u64", "max.s64"})
    refuses(cluster + type + " [%a], [s], 16, [bar]");
  refuses("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.f32 [%a], %b, [bar]");
  refuses("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b64 [%a], {%la, %lb, %lc, %ld}, [bar]");
  refuses("cp.reduce.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.add.u32 [%a], [%out], 16, [bar]");
}

// What may go wrong: sizes, sources that the asynchronous proxy does not see yet, a source overwritten too early.
void faults() {
  check_ptx_fault(
      {"mov.u32 %a, memory;\ncp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%out], [%a], 8;",
       "cp.reduce",
       CUDA_ERROR_MISALIGNED_ADDRESS,
       {"8 bytes"},
       1});
  check_ptx_fault(
      {"mov.u32 %a, memory;\nst.shared.u32 [%a], 1;\n"
       "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%out], [%a], 16;",
       "cp.reduce",
       CUDA_ERROR_LAUNCH_FAILED,
       {"fence.proxy.async"},
       1});
  check_ptx_fault(
      {"mov.u32 %a, memory;\nmbarrier.init.shared.b64 [%a+512], 1;\nfence.proxy.async;\n"
       "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%a+128], [%a], 64, [%a+512];\n"
       "st.shared.u32 [%a+60], 1;",
       "st.shared",
       CUDA_ERROR_LAUNCH_FAILED,
       {"may still be reading"},
       1});
}
}   // namespace

TEST_GROUP(ptx_bulk_reductions) {
  into_global();
  within_a_cluster();
  values_of_a_thread();
  refused();
  faults();
}
