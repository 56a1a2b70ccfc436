// Users' kernels: what lanes of a warp tell each other, atomic operations, calls, memory of a thread, cooperative
// groups and CUDA's standard library.
#include "capture_output.h"
#include "user_kernels.h"
#include <algorithm>
#include <bit>
#include <sstream>

namespace {
constexpr int kThreads = 128;

std::vector<int> integers(size_t n, int most, unsigned seed = 3) {
  std::mt19937 g{seed};
  std::vector<int> v(n);
  for (int& x : v)
    x = int(g() % unsigned(most));
  return v;
}
// f(thread, what is asked of its warp: lane -> value) pushes a row of results.
template <class F>
std::vector<int> per_thread(const std::vector<int>& in, F f) {
  std::vector<int> out;
  for (int t = 0; t < int(in.size()); ++t)
    f(t, &in[size_t(t / 32 * 32)], out);
  return out;
}
template <class P>
int ballot(P p) {
  uint32_t votes = 0;
  for (int l = 0; l < 32; ++l)
    votes |= uint32_t(p(l)) << l;
  return int(votes);
}

void shuffles(UserModule& module) {
  const std::vector<int> in = integers(kThreads, 1 << 30);
  module.expect<int>(
      "shuffles",
      in,
      std::vector<int>(8 * kThreads),
      {},
      per_thread(in, [](int t, const int* v, std::vector<int>& out) {
        const int l = t % 32;
        for (int value :
             {v[(l + 5) % 32],
              v[l < 3 ? l : l - 3],
              v[l % 8 + 3 < 8 ? l + 3 : l],
              v[l ^ 9],
              v[l / 4 * 4 + 2],
              v[l ^ 1],
              v[l % 16 ? l - 1 : l],
              l < 20 ? v[19] : -1})
          out.push_back(value);
      }));
}
// Which lanes are together CUDA leaves open (CUDA C++ Programming Guide, "Independent Thread Scheduling"). Schedule 0
// parts none that came the same way, so that a column of the threads' rows which asks for it is known there; in a
// shuffled schedule it is one of several values, of which may_be(got, wanted, thread) knows.
template <class F>
void expect_together(
    UserModule& module, const char* kernel, const std::vector<int>& in, const std::vector<int>& wanted, size_t column,
    F may_be) {
  const std::vector<int> before(wanted.size());
  module.run<int>(kernel, in, before, {}, [&](std::vector<int> got, const std::string& what) {
    const size_t columns = wanted.size() / kThreads;
    for (size_t t = 0; spectralCpuGetOption("seed") && t < kThreads; ++t)
      if (const size_t at = t * columns + column; may_be(got[at], wanted[at], t))
        got[at] = wanted[at];
    UserModule::expect_equal(got, wanted, what);
  });
}
void votes(UserModule& module) {
  const std::vector<int> in = integers(kThreads, 1000);
  const auto odd = int(std::count_if(in.begin(), in.end(), [](int v) { return v & 1; }));
  const bool has = std::find(in.begin(), in.end(), 77) != in.end();
  const std::vector<int> wanted = per_thread(in, [=](int t, const int* v, std::vector<int>& out) {
    const int sevens = ballot([&](int l) { return v[l] % 7 == 0; });
    const int twos = ballot([&](int l) { return v[l] % 3 && v[l] & 2; });
    for (int value :
         {int(sevens != 0),
          1,
          ballot([&](int l) { return v[l] & 1; }),
          t % 2 ? int(0xaaaaaaaau) : 0,
          odd,
          int(!has),
          int(has),
          v[t % 32] % 3 ? std::popcount(unsigned(twos)) : -1})
      out.push_back(value);
  });
  // Of the odd lanes some, this one among them.
  expect_together(module, "votes", in, wanted, 3, [](int got, int all, size_t t) {
    return !(got & ~all) && (t % 2 == 0 || unsigned(got) >> t % 32 & 1);
  });
}
void matches(UserModule& module) {
  std::vector<int> in = integers(kThreads, 1000);
  in[40] = 5000;   // the second warp does not agree
  module.expect<int>(
      "matches", in, std::vector<int>(3 * kThreads), {}, per_thread(in, [](int t, const int* v, std::vector<int>& out) {
        out.push_back(ballot([&](int l) { return v[l] % 5 == v[t % 32] % 5; }));
        const bool all = t / 32 != 1;
        out.push_back(all ? -1 : 0);
        out.push_back(all);
      }));
}
void reductions(UserModule& module) {
  const std::vector<int> in = integers(kThreads, 100000);
  module.expect<int>(
      "warp_reductions",
      in,
      std::vector<int>(6 * kThreads),
      {},
      per_thread(in, [](int, const int* v, std::vector<int>& out) {
        int sum = 0;
        int all = -1;
        int some = 0;
        int odd = 0;
        for (int l = 0; l < 32; ++l) {
          sum += v[l];
          all &= v[l] | 0xff00;
          some |= v[l];
          odd ^= v[l];
        }
        for (int value : {sum, *std::min_element(v, v + 32), *std::max_element(v, v + 32), all, some, odd})
          out.push_back(value);
      }));
}

void integer_atomics(UserModule& module) {
  const std::vector<int> in = integers(1000, 100000);
  std::vector<int> before(13);
  before[6] = -1;
  std::vector<int> wanted = before;
  for (size_t i = 0; i < in.size(); ++i) {
    const int v = in[i];
    wanted[0] += v;
    wanted[1] -= v;
    wanted[2] = std::max(wanted[2], v);
    wanted[3] = std::min(wanted[3], -v);
    wanted[4] |= int(1u << (v & 31));
    wanted[5] ^= v;
    wanted[6] &= v;
    wanted[7] = wanted[7] >= 10 ? 0 : wanted[7] + 1;
    wanted[8] = wanted[8] == 0 || wanted[8] > 10 ? 10 : wanted[8] - 1;
    wanted[12] = int(std::max(unsigned(wanted[12]), unsigned(-v)));
  }
  wanted[9] = 1;
  wanted[10] = 1;
  wanted[11] = wanted[2];
  module.expect<int>("integer_atomics", in, before, {8, kThreads}, wanted);
}
void wide_atomics(UserModule& module) {
  const std::vector<int> small = integers(1000, 1 << 30);
  std::vector<int64_t> in;
  for (int v : small)
    in.push_back(int64_t(v) * v - (int64_t(1) << 59));
  std::vector<int64_t> wanted(6);
  for (int64_t v : in) {
    wanted[0] = int64_t(uint64_t(wanted[0]) + uint64_t(v));   // wraps, as the device's sum does
    wanted[1] = std::max(wanted[1], v);
    wanted[2] = std::min(wanted[2], v);
    wanted[3] ^= v;
    wanted[5] += 3;
  }
  wanted[4] = std::bit_cast<int64_t>(1000 * 999 / 2.0);
  module.expect<int64_t>("wide_atomics", in, std::vector<int64_t>(6), {8, kThreads}, wanted);
}
void float_atomics(UserModule& module) {
  std::vector<float> in;
  float sum = 0;
  for (int v : integers(1000, 1000)) {
    in.push_back(float(v) / 4);   // sums are exact
    sum += in.back();
  }
  module.run<float>(
      "float_atomics", in, std::vector<float>(4), {8, kThreads}, [&](const std::vector<float>& got, std::string what) {
        const auto halves = std::bit_cast<uint32_t>(got[2]);
        const auto bfloats = std::bit_cast<uint32_t>(got[3]);
        const bool no_bfloats = what.ends_with("sm_70");
        check(got[0] == sum && got[1] == sum, what + ": sums");
        check(halves == 0x67d063d0, what + ": 1000 and 2000 in f16");   // 0x63d0: 1000
        // 1 is half a unit of 256 and 2 of 512, and ties go to even: the sums stay there
        check(bfloats == (no_bfloats ? 0 : 0x44004380), what + ": 256 and 512 in bf16");
      });
}
void histogram(UserModule& module) {
  const std::vector<int> in = integers(5000, 1 << 20);
  std::vector<int> wanted(64);
  for (int v : in)
    ++wanted[size_t(v & 63)];
  module.expect<int>("histogram", in, std::vector<int>(64), {3, kThreads}, wanted);
}

// ---- calls and memory of a thread
int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
int switched(int v) {
  for (int round = 0; round < 5; ++round)
    switch (v % 8) {
      case 0: v = v / 8 + 3; break;
      case 1: v = v * 3 + 1; break;
      case 2: v ^= 0x55; break;
      case 3: v += (v & 15) * (v & 15); break;
      case 4: v = v / 2; break;
      case 5: v = v - 7; break;
      case 6: v = (v | 1) / 3; break;
      default: v = v / 3; break;
    }
  return v;
}
int called(int function, int v) {
  if (function == 0)
    return 2 * v;
  return function == 1 ? v + 10 : -v;
}
void calls(UserModule& module) {
  const std::vector<int> in = integers(300, 10000);
  const UserLaunch shape{3, kThreads};
  auto expect = [&](const char* kernel, auto value) {
    std::vector<int> wanted;
    for (int i = 0; i < int(in.size()); ++i)
      wanted.push_back(value(i, in[size_t(i)]));
    module.expect<int>(kernel, in, std::vector<int>(in.size()), shape, wanted);
  };
  expect("recursion", [](int, int v) { return fibonacci(v % 12); });
  expect("function_pointers", [](int i, int v) { return called(v % 3, v) + called(i % 3, 1); });
  expect("virtual_functions", [](int i, int v) { return v % 50 * (i % 2 ? v % 50 : 3); });
  expect("switches", [](int, int v) { return switched(v); });
}
// Whose line comes first is open too.
std::vector<std::string> in_order(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}
std::vector<std::string> lines_in_order(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return in_order(std::move(lines));
}
void memory(UserModule& module) {
  const std::vector<int> in = integers(16 * 100, 1000);
  std::vector<int> sorted = in;
  for (size_t i = 0; i < in.size(); i += 16)
    std::sort(sorted.begin() + ptrdiff_t(i), sorted.begin() + ptrdiff_t(i + 16));
  module.expect<int>("local_arrays", in, std::vector<int>(in.size()), {1, kThreads}, sorted);

  const int settings[] = {10, 20, 30, 40};
  const int thirds[] = {3, 5, 7, 0};   // twice what stands in the table
  for (const UserModule::Form& form : module.forms()) {
    CUdeviceptr at = 0;
    size_t bytes = 0;
    CHECK_STATUS(cuModuleGetGlobal(&at, &bytes, form.module, "settings"), CUDA_SUCCESS);
    CHECK(bytes == sizeof settings);
    CHECK_STATUS(cuMemcpyHtoD(at, settings, sizeof settings), CUDA_SUCCESS);
  }
  std::vector<int> looked_up;
  for (int v : in)
    looked_up.push_back((v & 15) * (v & 15) + settings[v & 3] + thirds[v & 3]);
  module.expect<int>("tables", in, std::vector<int>(in.size()), {13, kThreads}, looked_up);
  for (const UserModule::Form& form : module.forms()) {
    CUdeviceptr at = 0;
    int counted = 0;
    CHECK_STATUS(cuModuleGetGlobal(&at, nullptr, form.module, "counter"), CUDA_SUCCESS);
    CHECK_STATUS(cuMemcpyDtoH(&counted, at, sizeof counted), CUDA_SUCCESS);
    check(counted == int(in.size()), "a counter of the module in " + form.name);
  }

  const std::vector<int> few = integers(kThreads, 1 << 20);
  std::vector<int> mirrored;
  for (int t = 0; t < kThreads; ++t)
    mirrored.push_back(3 * few[size_t(kThreads - 1 - t)]);
  module.expect<int>("dynamic_shared", few, std::vector<int>(kThreads), {1, kThreads, 12 * kThreads}, mirrored);
  const std::string said = captured_output([&] {
    module.run<int>("prints", few, std::vector<int>(1), {1, 32}, [](const std::vector<int>&, const std::string&) {});
  });
  std::vector<std::string> lines;
  for (size_t form = 0; form < module.forms().size(); ++form)
    for (int t = 0; t < 2; ++t) {
      char line[80];
      std::snprintf(line, sizeof line, "thread %d of user: %5.2f abcdefabcdef", t, few[size_t(t)] / 4.0);
      lines.emplace_back(line);
    }
  check(lines_in_order(said) == in_order(lines), "printf: " + said);
}

// ---- cooperative groups and the standard library
void tiles(UserModule& module) {
  const std::vector<int> in = integers(kThreads, 1000);
  const std::vector<int> wanted = per_thread(in, [](int t, const int* v, std::vector<int>& out) {
    const int l = t % 32;
    const int* eight = v + l / 8 * 8;
    int sum = 0;
    int before = 0;
    for (int k = 0; k < 8; ++k) {
      sum += eight[k];
      before += k <= l % 8 ? eight[k] : 0;
    }
    const auto thirds = unsigned(ballot([&](int k) { return v[k] % 3 == 0; }));
    const int rank = std::popcount(thirds & ((1u << l) - 1));
    for (int value :
         {sum,
          *std::max_element(v, v + 32),
          eight[7] + t / 8,
          before,
          v[l] % 3 ? -1 : std::popcount(thirds) * 100 + rank,
          int(std::count_if(v, v + 32, [&](int x) { return x % 4 == v[l] % 4; }))})
      out.push_back(value);
  });
  // 100 times the lanes that are together, and how many of them come before this one.
  expect_together(module, "tiles", in, wanted, 4, [](int got, int all, size_t) {
    return all < 0 ? got == all : got / 100 <= all / 100 && got % 100 <= all % 100 && got % 100 < got / 100;
  });
}
void library(UserModule& module) {
  const std::vector<int> in = integers(1000, 1000);
  std::vector<int> sums = {0, 0, 1};
  for (int v : in) {
    sums[0] += v;
    sums[1] = std::max(sums[1], v);
    sums[2] = int(unsigned(sums[2]) * 3 + 1);
  }
  module.expect<int>("scoped_atomics", in, {0, 0, 1}, {8, kThreads}, sums);

  std::vector<int> passed(kThreads);
  for (int t = 64; t < kThreads; ++t)
    for (int round = 0; round < 4; ++round)
      passed[size_t(t)] += in[size_t(round * 64 + kThreads - 1 - t)] * (round + 1);
  module.expect<int>("barriers", in, std::vector<int>(kThreads), {1, kThreads}, passed);

  const std::vector<int> stages = integers(7 * 128, 1000);
  std::vector<int> piped(128);
  for (int t = 0; t < 128; ++t)
    for (int round = 0; round < 7; ++round)
      piped[size_t(t)] += stages[size_t(round * 128 + 127 - t)];
  module.expect<int>("pipelines", stages, std::vector<int>(128), {1, 128}, piped);

  std::vector<float> parts;
  std::vector<float> wanted;
  for (int v : integers(200, 20))
    parts.push_back(float(v - 10));   // exact in f32
  for (size_t i = 0; i < parts.size(); i += 2) {
    const float x = parts[i];
    const float y = parts[i + 1];
    wanted.push_back(x * x - y * y + x * x * x - 3 * x * y * y);
    wanted.push_back(x * x + y * y);
  }
  module.expect<float>("complex_numbers", parts, std::vector<float>(parts.size()), {1, kThreads}, wanted);
}
}   // namespace

TEST_GROUP(user_threads) {
  UserModule warps("warps");
  shuffles(warps);
  votes(warps);
  matches(warps);
  reductions(warps);
  UserModule atomics("atomics");
  integer_atomics(atomics);
  wide_atomics(atomics);
  float_atomics(atomics);
  histogram(atomics);
  UserModule control("control");
  calls(control);
  memory(control);
  UserModule groups("groups");
  tiles(groups);
  library(groups);
}
