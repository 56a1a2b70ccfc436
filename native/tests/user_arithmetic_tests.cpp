// Users' kernels: integers, floating point of 8 to 64 bits, mathematical functions, matrices.
#include "user_kernels.h"
#include <bit>
#include <cfenv>
#include <cfloat>

namespace {
constexpr int kRows = 256;
UserLaunch rows() { return {kRows / 128, 128}; }

std::vector<uint64_t> words(size_t n) {
  std::mt19937_64 g{5};
  const uint64_t special[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, ~uint64_t(0), uint64_t(1) << 63, 0x80};
  std::vector<uint64_t> v(n);
  for (size_t i = 0; i < n; ++i)
    v[i] = i % 3 ? g() >> g() % 40 : special[g() % std::size(special)];
  return v;
}
std::vector<float> numbers(size_t n, float low, float high) {
  std::mt19937 g{6};
  std::uniform_real_distribution<float> d(low, high);
  std::vector<float> v(n);
  for (float& x : v)
    x = d(g);
  return v;
}

uint8_t byte_of(uint64_t v, unsigned i) { return uint8_t(v >> 8 * i); }
uint32_t distance(int64_t a, int64_t b) { return uint32_t(a < b ? b - a : a - b); }
uint32_t reversed(uint32_t v) {
  uint32_t r = 0;
  for (int i = 0; i < 32; ++i)
    r |= (v >> i & 1) << (31 - i);
  return r;
}

void integers() {
  UserModule module("integers");
  const std::vector<uint64_t> v = words(2 * kRows);
  const std::vector<uint32_t> in(v.begin(), v.end());
  std::vector<uint32_t> wanted;
  for (size_t i = 0; i < in.size(); i += 2) {
    const uint32_t a = in[i];
    const uint32_t b = in[i + 1];
    const auto sa = int32_t(a);
    const auto sb = int32_t(b);
    const uint64_t joined = uint64_t(b) << 32 | a;
    uint32_t signed_dot = 5;
    uint32_t dot = 5;
    uint32_t bytes = 0;
    for (unsigned k = 0; k < 4; ++k) {
      signed_dot += uint32_t(int8_t(byte_of(a, k)) * int8_t(byte_of(b, k)));
      dot += uint32_t(byte_of(a, k)) * byte_of(b, k);
      bytes |= uint32_t(uint8_t(byte_of(a, k) + byte_of(b, k))) << 8 * k;
    }
    const auto low24 = [](uint32_t x) { return int64_t(int32_t(x << 8)) >> 8; };
    for (uint32_t value :
         {uint32_t(std::countl_zero(a)),
          reversed(a),
          uint32_t(a ? std::countr_zero(a) + 1 : 0),
          uint32_t(std::popcount(a)),
          uint32_t(
              byte_of(joined, 0) | byte_of(joined, 4) << 8 | byte_of(joined, 1) << 16 |
              uint32_t(byte_of(joined, 5)) << 24),
          distance(sa, sb) + 7,
          distance(a, b) + 7,
          uint32_t(int64_t(sa) * sb >> 32),
          uint32_t(uint64_t(a) * b >> 32),
          signed_dot,
          dot,
          uint32_t(joined << (a & 31) >> 32),
          uint32_t(joined >> (b & 31)),
          uint32_t((a & 63) >= 32 ? a : joined << (a & 63) >> 32),
          uint32_t((b & 63) >= 32 ? b : joined >> (b & 63)),
          uint32_t((int64_t(sa) + sb) >> 1),
          uint32_t((uint64_t(a) + b + 1) >> 1),
          uint32_t(low24(a) * low24(b)),
          bytes,
          b ? (a / b) ^ (a % b) : ~a})
      wanted.push_back(value);
  }
  module.expect<uint32_t>("integer_intrinsics", in, std::vector<uint32_t>(wanted.size()), rows(), wanted);

  std::vector<uint64_t> wide;
  for (size_t i = 0; i < v.size(); i += 2) {
    const uint64_t a = v[i];
    const uint64_t b = v[i + 1] | 1;
    const auto sa = int64_t(a);
    const auto sb = int64_t(b);
    const bool overflows = sa == INT64_MIN && sb == -1;
    uint64_t backwards = 0;
    for (int k = 0; k < 64; ++k)
      backwards |= (a >> k & 1) << (63 - k);
    for (uint64_t value :
         {a / b,
          a % b,
          overflows ? a : uint64_t(sa / sb),
          overflows ? 0 : uint64_t(sa % sb),
          uint64_t(static_cast<unsigned __int128>(a) * b >> 64),
          uint64_t(static_cast<__int128>(sa) * sb >> 64),
          backwards,
          uint64_t(std::countl_zero(a)) << 32 | uint64_t(std::popcount(b)) << 8 |
              uint64_t(a ? std::countr_zero(a) + 1 : 0),
          std::rotl(a, int(b & 63)),
          uint64_t(sa >> (b & 63)),
          a * b + a,
          uint64_t(std::min(sa, sb)) ^ std::max(a, b)})
      wide.push_back(value);
  }
  module.expect<uint64_t>("wide_integers", v, std::vector<uint64_t>(wide.size()), rows(), wide);
}

// In a rounding mode of the processor; volatile holds the compiler from computing before it is set.
template <class T, class F>
T rounded(int mode, F f) {
  std::fesetround(mode);
  volatile T result = f();
  std::fesetround(FE_TONEAREST);
  return result;
}
void floats() {
  UserModule module("floats");
  std::vector<float> in = numbers(2 * kRows, -1000, 1000);
  for (size_t i = 0; i < in.size(); i += 7)
    in[i] = std::ldexp(in[i], -30);
  std::vector<float> wanted;
  for (size_t i = 0; i < in.size(); i += 2) {
    volatile float a = in[i];
    volatile float b = in[i + 1];
    const int near = FE_TONEAREST;
    const int zero = FE_TOWARDZERO;
    const int up = FE_UPWARD;
    const int down = FE_DOWNWARD;
    wanted.push_back(rounded<float>(near, [&] { return a + b; }));
    wanted.push_back(rounded<float>(zero, [&] { return a + b; }));
    wanted.push_back(rounded<float>(up, [&] { return a + b; }));
    wanted.push_back(rounded<float>(down, [&] { return a + b; }));
    wanted.push_back(rounded<float>(zero, [&] { return a * b; }));
    wanted.push_back(rounded<float>(up, [&] { return a * b; }));
    wanted.push_back(rounded<float>(near, [&] { return a / b; }));
    wanted.push_back(rounded<float>(down, [&] { return a / b; }));
    wanted.push_back(rounded<float>(up, [&] { return std::sqrt(std::fabs(a)); }));
    wanted.push_back(rounded<float>(zero, [&] { return std::fma(a, b, a); }));
    wanted.push_back(rounded<float>(down, [&] { return float(double(a) * double(b)); }));
    wanted.push_back(float(int(std::ceil(a))) + float(unsigned(std::fabs(b))));
  }
  module.expect<float>("rounding_modes", in, std::vector<float>(wanted.size()), rows(), wanted);

  const std::vector<double> wide_in(in.begin(), in.end());
  std::vector<double> wide;
  for (size_t i = 0; i < wide_in.size(); i += 2) {
    volatile double a = wide_in[i];
    volatile double b = wide_in[i + 1];
    for (double value :
         {a + b,
          a * b,
          a / b,
          std::sqrt(std::fabs(a)),
          std::fma(a, b, -a),
          std::fmod(a, b),
          1 / b,
          std::trunc(a) + std::rint(b)})
      wide.push_back(value);
  }
  module.expect<double>("double_arithmetic", wide_in, std::vector<double>(wide.size()), rows(), wide);
}

// CUDA C++ Programming Guide, "Mathematical Functions Appendix": the largest error in units of the last place, beside a
// result that is rounded to nearest.
struct Function {
  const char* name;
  int ulps;
  long double (*exact)(long double);
};
constexpr Function kSingle[] = {
    {"sinf", 2, [](long double x) { return std::sin(x); }},
    {"cosf", 2, [](long double x) { return std::cos(x); }},
    {"tanf", 4, [](long double x) { return std::tan(x); }},
    {"expf", 2, [](long double x) { return std::exp(x); }},
    {"logf", 1, [](long double x) { return std::log(std::fabs(x)); }},
    {"powf", 4, [](long double x) { return std::pow(std::fabs(x), (long double)(1.7f)); }},
    {"erff", 2, [](long double x) { return std::erf(x); }},
    {"erfcf", 4, [](long double x) { return std::erfc(x); }},
    {"lgammaf", 6, [](long double x) { return std::lgamma(x); }},
    {"tgammaf", 5, [](long double x) { return std::tgamma(x); }},
    {"tanhf", 2, [](long double x) { return std::tanh(x); }},
    {"cbrtf", 1, [](long double x) { return std::cbrt(x); }},
    {"atan2f", 3, [](long double x) { return std::atan2(x, (long double)(0.7f)); }},
    {"expm1f", 1, [](long double x) { return std::expm1(x); }},
    {"rsqrtf", 2, [](long double x) { return 1 / std::sqrt(std::fabs(x)); }},
    {"log1pf", 1, [](long double x) { return std::log1p(std::fabs(x)); }}};
constexpr Function kDouble[] = {
    {"sin", 2, [](long double x) { return std::sin(x); }},
    {"cos", 2, [](long double x) { return std::cos(x); }},
    {"exp", 1, [](long double x) { return std::exp(x); }},
    {"log", 1, [](long double x) { return std::log(std::fabs(x)); }},
    {"pow", 2, [](long double x) { return std::pow(std::fabs(x), (long double)(1.7)); }},
    {"erf", 2, [](long double x) { return std::erf(x); }},
    {"lgamma", 4, [](long double x) { return std::lgamma(x); }},
    {"tanh", 1, [](long double x) { return std::tanh(x); }},
    {"cbrt", 1, [](long double x) { return std::cbrt(x); }},
    {"atan", 2, [](long double x) { return std::atan(x); }}};

template <class T, size_t kCount>
void functions(UserModule& module, const char* kernel, const Function (&list)[kCount], const std::vector<T>& in) {
  module.run<T>(
      kernel,
      in,
      std::vector<T>(in.size() * kCount),
      {unsigned(in.size() / 128), 128},
      [&](const std::vector<T>& got, const std::string& what) {
        for (size_t f = 0; f < kCount; ++f) {
          long double worst = 0;
          for (size_t i = 0; i < in.size(); ++i) {
            const long double exact = list[f].exact(in[i]);
            const T near = T(std::fabs(exact));
            const long double unit = std::nextafter(near, std::numeric_limits<T>::infinity()) - near;
            const long double error = std::fabs(got[i * kCount + f] - exact) / unit;
            worst = error <= worst ? worst : error;
          }
          check(
              worst <= list[f].ulps + 0.5L,
              std::string(list[f].name) + " in " + what + ": " + std::to_string(worst) + " units");
        }
      });
}
void functions() {
  UserModule module("floats");
  std::vector<float> in = numbers(1024, -2.2f, 30);   // lgamma is less exact between -10 and -2.3
  for (size_t i = 0; i < 200; ++i)
    in[i] /= 30;
  functions<float>(module, "single_functions", kSingle, in);
  functions<double>(module, "double_functions", kDouble, std::vector<double>(in.begin(), in.end()));
}

// ---- small formats: rounded to nearest, ties to even, with so many bits behind the point and a least exponent
float to_format(double v, int bits, int least_exponent, double most) {
  if (v == 0)
    return float(v);
  int exponent = 0;
  std::frexp(v, &exponent);
  const int unit = std::max(exponent - 1, least_exponent) - bits;
  const double r = std::ldexp(std::nearbyint(std::ldexp(v, -unit)), unit);
  return std::fabs(r) > most ? float(std::copysign(most, v)) : float(r);
}
float half(double v) { return to_format(v, 10, -14, 65504); }
float bfloat(double v) { return to_format(v, 7, -126, FLT_MAX); }

void small_floats() {
  UserModule module("small_floats");
  const std::vector<float> in = numbers(2 * kRows, -20, 20);
  std::vector<float> halves;
  std::vector<float> bfloats;
  std::vector<float> bytes;
  for (size_t i = 0; i < in.size(); i += 2) {
    const double a = half(in[i]);
    const double b = half(in[i + 1]);
    for (float value :
         {half(a + b),
          half(a * b),
          half(a * b + a),
          half(a / b),
          half(a + b),
          half(b * b + b),
          float(a < b) + 2 + 4 * float(a > b),
          float(std::max(a, b) - std::fabs(a))})
      halves.push_back(value);
    const double x = bfloat(in[i]);
    const double y = bfloat(in[i + 1]);
    const float cut = std::bit_cast<float>(std::bit_cast<uint32_t>(in[i]) & 0xffff0000u);
    for (float value :
         {bfloat(x + y),
          bfloat(x * y),
          bfloat(x * y + y),
          bfloat(y * y),
          cut,
          float(x >= y) + 2 * float(std::nearbyint(x))})
      bfloats.push_back(value);
  }
  for (float v : in) {
    bytes.push_back(to_format(v, 3, -6, 448));
    bytes.push_back(to_format(v, 2, -14, 57344));
  }
  module.expect<float>("half_arithmetic", in, std::vector<float>(halves.size()), rows(), halves);
  module.expect<float>("bfloat_arithmetic", in, std::vector<float>(bfloats.size()), rows(), bfloats);
  module.expect<float>("fp8_conversions", in, std::vector<float>(bytes.size()), {2 * kRows / 128, 128}, bytes);
}

void matrices() {
  UserModule module("matrices");
  std::vector<float> in(512);
  for (size_t i = 0; i < in.size(); ++i)
    in[i] = float(int(i * 7 % 11) - 5);
  std::vector<float> square(256);
  std::vector<float> narrow(128);
  for (int r = 0; r < 16; ++r)
    for (int c = 0; c < 16; ++c) {
      float sum = 0;
      for (int k = 0; k < 16; ++k)
        sum += in[size_t(r * 16 + k)] * in[size_t(256 + c * 16 + k)];
      square[size_t(r * 16 + c)] = sum + 0.5f;
      if (c < 8)
        narrow[size_t(r * 8 + c)] = sum + 1;
    }
  module.expect<float>("wmma_product", in, std::vector<float>(256), {1, 32}, square);
  module.expect<float>("mma_product", in, std::vector<float>(128), {1, 32}, narrow);
}
}   // namespace

TEST_GROUP(user_arithmetic) {
  integers();
  floats();
  functions();
  small_floats();
  matrices();
}
