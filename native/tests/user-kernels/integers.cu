// Integer intrinsics and 64-bit arithmetic, as a user's kernel uses them. Each thread takes two values and writes a row
// of results.
#include <cstdint>

extern "C" __global__ void integer_intrinsics(const uint32_t* in, uint32_t* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2)
    return;
  const uint32_t a = in[2 * i];
  const uint32_t b = in[2 * i + 1];
  uint32_t* row = out + 20 * i;
  row[0] = __clz(int(a));
  row[1] = __brev(a);
  row[2] = __ffs(int(a));
  row[3] = __popc(a);
  row[4] = __byte_perm(a, b, 0x5140);
  row[5] = __sad(int(a), int(b), 7u);
  row[6] = __usad(a, b, 7u);
  row[7] = uint32_t(__mulhi(int(a), int(b)));
  row[8] = __umulhi(a, b);
  row[9] = uint32_t(__dp4a(int(a), int(b), 5));
  row[10] = __dp4a(a, b, 5u);
  row[11] = __funnelshift_l(a, b, a);
  row[12] = __funnelshift_r(a, b, b);
  row[13] = __funnelshift_lc(a, b, a & 63);
  row[14] = __funnelshift_rc(a, b, b & 63);
  row[15] = uint32_t(__hadd(int(a), int(b)));
  row[16] = __urhadd(a, b);
  row[17] = uint32_t(__mul24(int(a), int(b)));
  row[18] = __vadd4(a, b);
  row[19] = b ? a / b ^ a % b : ~a;
}

extern "C" __global__ void wide_integers(const uint64_t* in, uint64_t* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2)
    return;
  const uint64_t a = in[2 * i];
  const uint64_t b = in[2 * i + 1] | 1;
  uint64_t* row = out + 12 * i;
  row[0] = a / b;
  row[1] = a % b;
  row[2] = uint64_t(int64_t(a) / int64_t(b));
  row[3] = uint64_t(int64_t(a) % int64_t(b));
  row[4] = __umul64hi(a, b);
  row[5] = uint64_t(__mul64hi((long long)a, (long long)b));
  row[6] = __brevll(a);
  row[7] = uint64_t(__clzll((long long)a)) << 32 | uint32_t(__popcll(b)) << 8 | uint32_t(__ffsll((long long)a));
  row[8] = a << (b & 63) | a >> (64 - (b & 63) & 63);
  row[9] = uint64_t(int64_t(a) >> (b & 63));
  row[10] = a * b + a;
  row[11] = uint64_t(min((long long)a, (long long)b)) ^ max(a, b);
}
