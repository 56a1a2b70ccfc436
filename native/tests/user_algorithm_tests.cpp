// Users' kernels: whole algorithms.
#include "user_kernels.h"
#include <algorithm>
#include <numeric>

namespace {
std::vector<float> small_numbers(size_t n) {   // sums of products of them are exact
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i)
    v[i] = float(int(i * 2654435761u >> 20 & 31) - 16);
  return v;
}
std::vector<int> integers(size_t n, int most) {
  std::mt19937 g{9};
  std::vector<int> v(n);
  for (int& x : v)
    x = int(g() % unsigned(most));
  return v;
}

void sums(UserModule& module) {
  const std::vector<float> in = small_numbers(5000);
  std::vector<float> wanted(3);
  for (size_t i = 0; i < in.size(); ++i)
    wanted[i / 256 % 3] += in[i];
  module.expect<float>("sums", in, std::vector<float>(3), {3, 256}, wanted);
}
void scan(UserModule& module) {
  for (size_t n : {1, 300, 511, 512}) {
    const std::vector<int> in = integers(n, 1000);
    std::vector<int> wanted(n);
    std::exclusive_scan(in.begin(), in.end(), wanted.begin(), 0);
    module.expect<int>("scan", in, std::vector<int>(n), {1, 256}, wanted);
  }
}
void compaction(UserModule& module) {
  const std::vector<int> in = integers(201, 1000);
  std::vector<int> wanted;
  std::copy_if(in.begin(), in.end(), std::back_inserter(wanted), [](int v) { return v % 2; });
  const auto kept = int(wanted.size());
  wanted.resize(in.size());
  wanted.push_back(kept);
  module.expect<int>("compaction", in, std::vector<int>(in.size() + 1), {1, 224}, wanted);
}
void common_subsequence(UserModule& module) {
  const std::vector<int> in = integers(128, 4);
  std::vector<std::vector<int>> lengths(65, std::vector<int>(65));
  for (size_t i = 0; i < 64; ++i)
    for (size_t k = 0; k < 64; ++k)
      lengths[i + 1][k + 1] = in[i] == in[64 + k] ? lengths[i][k] + 1 : std::max(lengths[i][k + 1], lengths[i + 1][k]);
  module.expect<int>("common_subsequence", in, {0}, {1, 64}, {lengths[64][64]});
}
void sorting(UserModule& module) {
  std::mt19937 g{10};
  std::vector<uint32_t> in(256);
  for (uint32_t& v : in)
    v = g();
  std::vector<uint32_t> wanted = in;
  std::sort(wanted.begin(), wanted.end());
  module.expect<uint32_t>("bitonic_sort", in, std::vector<uint32_t>(256), {1, 256, 1024}, wanted);
}
// The kernels take n as the edge of a matrix, so that many values stand for n.
void matrices(UserModule& module) {
  constexpr size_t kEdge = 45;
  const std::vector<float> in = small_numbers(2 * kEdge * kEdge);
  std::vector<float> turned(kEdge * kEdge);
  std::vector<float> product(kEdge * kEdge);
  for (size_t r = 0; r < kEdge; ++r)
    for (size_t c = 0; c < kEdge; ++c) {
      turned[c * kEdge + r] = in[r * kEdge + c];
      for (size_t k = 0; k < kEdge; ++k)
        product[r * kEdge + c] += in[r * kEdge + k] * in[(kEdge + k) * kEdge + c];
    }
  UserLaunch tiles{2, 32, 0, 8, 2};
  tiles.n = kEdge;
  module.expect<float>("transposition", in, std::vector<float>(turned.size()), tiles, turned);
  UserLaunch small{3, 16, 0, 16, 3};
  small.n = kEdge;
  module.expect<float>("tiled_product", in, std::vector<float>(product.size()), small, product);
}
void vectors(UserModule& module) {
  const std::vector<float> in = small_numbers(400);
  std::vector<float> wanted;
  for (size_t i = 0; i < in.size(); i += 4) {
    float x = in[i];
    float y = in[i + 1];
    float z = in[i + 2];
    for (int step = 0; step < 3; ++step) {
      x += in[i + 3] * 0.5f;
      y -= x;
      z *= 2;
    }
    for (float value : {x, y, z, in[i] + in[i + 1]})
      wanted.push_back(value);
  }
  UserLaunch shape;
  shape.n = 100;
  module.expect<float>("vectors", in, std::vector<float>(400), shape, wanted);
}
}   // namespace

TEST_GROUP(user_algorithms) {
  UserModule module("algorithms");
  sums(module);
  scan(module);
  compaction(module);
  common_subsequence(module);
  sorting(module);
  matrices(module);
  vectors(module);
}
