// Kernels that are right: in order, and in shuffled schedules.
#include "host.h"
#include <algorithm>

namespace {
void with_schedules(void (*test)(const std::string& tag)) {
#ifdef SPECTRAL_TSAN
  for (long seed : {0}) {
#else
  for (long seed : {0, 1, 2}) {
#endif
    spectralCpuSetOption("seed", seed);
    test(" (seed " + std::to_string(seed) + ")");
  }
  spectralCpuSetOption("seed", 0);
}

struct AxpyArgs {
  const float* x;
  float* y;
  int n;
  float a;
};
void axpy(const std::string& tag) {
  Rng rng;
  for (int n : {1, 3, 4, 127, 100003}) {
    const auto x = rng.normal(n);
    const auto y = rng.normal(n);
    for (auto* name : {"axpy_f32", "axpy_plain_f32", "axpy_barrier_f32"}) {
      Buffer<float> dx(x), dy(y);
      CU(launch(name, AxpyArgs{dx.device(), dy.device(), n, 1.5f}, (n + 1023) / 1024, 1, 256));
      const auto r = dy.get();
      double worst = 0;
      for (int i = 0; i < n; ++i)
        worst = std::max(worst, std::abs(1.5 * x[i] + y[i] - r[i]));
      check(worst < 1e-6, std::string(name) + tag);
    }
  }
}

void rendezvous(const std::string& tag) {
  {
    std::vector<int> in(1024);
    for (int i = 0; i < 1024; ++i)
      in[i] = i + 1;
    Buffer<int> di(in), out(1024);
    struct {
      const int* in;
      int* out;
    } args{di.device(), out.device()};
    CU(launch("reverse_block", args, 4, 1, 256));
    const auto o = out.get();
    bool ok = true;
    for (int i = 0; i < 1024; ++i)
      ok &= o[i] == in[i / 256 * 256 + 255 - i % 256];
    check(ok, "reverse through shared memory" + tag);
  }
  {
    const int rounds = 9;
    Buffer<int> out(32);
    struct {
      int* out;
      int rounds;
    } args{out.device(), rounds};
    CU(launch("named_barriers", args, 1, 1, 64));
    const auto r = out.get();
    bool ok = true;
    for (int l = 0; l < 32; ++l) {
      int s = 0;
      for (int i = 0; i < rounds; ++i)
        s += (i * 32 + 31 - l) * (i + 1);
      ok &= s == r[l];
    }
    check(ok, "named barriers" + tag);
  }
  {
    const int n = 5 * 96;
    Buffer<unsigned> out(n), total(std::vector<unsigned>{0});
    struct {
      unsigned *out, *total;
    } args{out.device(), total.device()};
    CU(launch("warps", args, 5, 1, 96));
    const auto r = out.get();
    unsigned sum = 0;
    bool ok = true;
    for (int i = 0; i < n; ++i) {
      unsigned votes = 0;
      unsigned w = i / 32 * 32;
      for (int l = 0; l < 32; ++l)
        votes |= unsigned((w + l) % 3 == 0) << l;
      const unsigned d = i % 32 + 4 < 32 ? i + 4 : i;
      ok &= r[i] == (votes ^ (w + 5) * 7 ^ d * 13);
      if (i % 96 % 2 == 0)
        sum += i + 1;
    }
    check(ok, "ballot and shuffles" + tag);
    check(total.get()[0] == sum, "atomics and a barrier after half has left" + tag);
  }
}

void reductions(const std::string& tag) {
  Rng rng;
  auto x = rng.normal(256);
  for (int i = 0; i < 32; ++i)
    x[64 + i] = -INFINITY;   // one warp with nothing in it
  for (bool holes : {false, true}) {
    auto v = x;
    if (!holes)
      v = rng.normal(256);
    Buffer<float> dx(v), out(2560);
    Buffer<double> exact(256);
    struct {
      const float* x;
      float* out;
      double* exact;
    } args{dx.device(), out.device(), exact.device()};
    CU(launch("reduce", args, 1, 1, 256));
    const auto o = out.get();
    const auto e = exact.get();
    auto sums = [&](int from, int to, double& sum, double& max, double& online) {
      sum = 0;
      max = -INFINITY;
      online = 0;
      for (int i = from; i < to; ++i) {
        sum += v[i];
        max = std::max(max, double(v[i]));
      }
      for (int i = from; i < to && max > -INFINITY; ++i)
        online += std::exp(v[i] - max);
    };
    double sum, max, online, bsum, bmax, bonline;
    sums(0, 256, bsum, bmax, bonline);
    bool ok = true;
    bool same = true;
    auto close = [](double a, double b) {
      return (std::isinf(a) && a == b) || std::abs(a - b) <= 1e-5 * (1 + std::abs(b));
    };
    for (int t = 0; t < 256; ++t) {
      sums(t / 32 * 32, t / 32 * 32 + 32, sum, max, online);
      const float* p = &o[t * 10];
      ok &= close(p[0], sum) && close(p[1], max) && close(p[2], max) && close(p[4], bsum) && close(p[5], bmax) &&
            close(p[6], bmax) && close(p[7], bonline) && close(p[8], sum) && close(p[9], 2 * sum) && close(e[t], bsum);
      if (max > -INFINITY)
        ok &= close(p[3], online);   // an empty warp's ones are dropped by the first merge
      for (int k = 0; k < 4; ++k)
        same &= !std::memcmp(&p[k], &o[t / 32 * 320 + k], 4);
      for (int k = 4; k < 8; ++k)
        same &= !std::memcmp(&p[k], &o[k], 4);
    }
    check(ok, std::string("warp and block reductions") + (holes ? " with an empty warp" : "") + tag);
    check(same, "every lane gets the same bits" + tag);
  }
}
}   // namespace

TEST_GROUP(kernels) {
  with_schedules(axpy);
  with_schedules(rendezvous);
  with_schedules(reductions);
}

TEST_GROUP(random_numbers) {
  // The known answers of Random123 for philox4x32-10: key and counter all zero; then counter words 0.
  const int n = 1 << 16;
  Buffer<unsigned> bits(n * 4);
  Buffer<float> values(n * 3);
  struct {
    unsigned* bits;
    float* values;
    int n;
    unsigned key0, key1;
  } args{bits.device(), values.device(), n, 0, 0};
  CU(launch("philox_probe", args, n / 128, 1, 128));
  const auto b = bits.get();
  CHECK(b[0] == 0x6627e8d5 && b[1] == 0xe169c58d && b[2] == 0xbc57ac4c && b[3] == 0x9b00dbd8);
  const auto v = values.get();
  double worst = 0;
  double sum = 0;
  double squares = 0;
  double uniform = 0;
  bool in_range = true;
  for (int i = 0; i < n; ++i) {
    const double radius = std::sqrt(-2 * std::log((b[i * 4] + 0.5) / 4294967296.0));
    const double angle = 2 * M_PI * (b[i * 4 + 1] / 4294967296.0);
    for (int k = 0; k < 2; ++k) {
      const double expected = radius * (k ? std::sin(angle) : std::cos(angle));
      const double got = v[i * 3 + 1 + k];
      worst = std::max(
          worst, std::abs(got - expected) / (std::abs(expected) + 1e-12));   // sin of a rounded angle near its zero
      sum += got;
      squares += got * got;
    }
    in_range &= v[i * 3] >= 0 && v[i * 3] < 1;
    uniform += v[i * 3];
  }
  CHECK(worst < 1.2e-7);   // correctly rounded but for rare ties
  CHECK(in_range);
  CHECK(std::abs(uniform / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(sum / (2 * n)) < 5 / std::sqrt(2.0 * n));
  CHECK(std::abs(squares / (2 * n) - 1) < 5 * std::sqrt(2.0 / (2 * n)));
}

TEST_GROUP(conversions) {
  Rng rng;
  auto x = rng.normal(1024);
  constexpr float kSpecial[] = {NAN, INFINITY, -INFINITY, 0x1.01p0f, 0x1.03p0f, -0.0f, 3.4e38f, 1e-40f};
  std::copy(std::begin(kSpecial), std::end(kSpecial), x.begin());
  Buffer<float> dx(x), back(1024);
  Buffer<uint16_t> half(1024);
  struct {
    const float* x;
    uint16_t* half;
    float* back;
    int n;
  } args{dx.device(), half.device(), back.device(), 1024};
  CU(launch("convert", args, 1, 1, 128));
  const auto h = half.get();
  const auto y = back.get();
  bool ok = std::isnan(y[0]);
  for (int i = 1; i < 1024; ++i)
    ok &= h[i] == to_bf16(x[i]) && !std::memcmp(&y[i], &(const float&)(from_bf16(h[i])), 4);
  check(ok, "bf16 round to nearest even, and back");
  CHECK(h[3] == 0x3f80 && h[4] == 0x3f82);   // ties to even
  CHECK(std::isinf(y[6]));

  std::vector<uint16_t> tile(256);
  for (int i = 0; i < 256; ++i)
    tile[i] = uint16_t(i);
  Buffer<uint16_t> in(tile);
  Buffer<unsigned> out(128);
  struct {
    const uint16_t* in;
    unsigned* out;
  } t{in.device(), out.device()};
  CU(launch("ldmatrix_transposed", t, 1, 1, 32));
  const auto r = out.get();
  ok = true;
  for (int lane = 0; lane < 32; ++lane)
    for (int m = 0; m < 4; ++m) {
      const unsigned lo = unsigned(m * 64 + lane % 4 * 2 * 8 + lane / 4);
      ok &= r[lane * 4 + m] == (lo | (lo + 8) << 16);
    }
  check(ok, "ldmatrix transposed: lane (g, q) holds rows 2q, 2q+1 of column g");
}

TEST_GROUP(layouts) {
  char text[256];
  CHECK(spectralArgsLayout("axpy_f32", text, sizeof text) > 0);
  CHECK(std::string(text) == "24;x:0:8;y:8:8;n:16:4;a:20:4;");
  CHECK(spectralArgsLayout("odd", text, sizeof text) > 0);
  CHECK(std::string(text) == "192;map:0:128;out:128:8;a:136:2;b:140:4;c:144:1;");
  CHECK(spectralArgsLayout("odd", text, 4) == 48 && std::string(text) == "192");
  CHECK(spectralArgsLayout("no such kernel", text, sizeof text) == -1);
  size_t offset = 1;
  size_t size = 0;
  CU(cuFuncGetParamInfo(kernel("odd"), 0, &offset, &size));
  CHECK(offset == 0 && size == 192);
  CHECK_STATUS(cuFuncGetParamInfo(kernel("odd"), 1, &offset, &size), CUDA_ERROR_INVALID_VALUE);
}
