// Single and double precision: exact arithmetic in every rounding mode, and the functions of CUDA's math library.

extern "C" __global__ void rounding_modes(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2)
    return;
  const float a = in[2 * i];
  const float b = in[2 * i + 1];
  float* row = out + 12 * i;
  row[0] = __fadd_rn(a, b);
  row[1] = __fadd_rz(a, b);
  row[2] = __fadd_ru(a, b);
  row[3] = __fadd_rd(a, b);
  row[4] = __fmul_rz(a, b);
  row[5] = __fmul_ru(a, b);
  row[6] = __fdiv_rn(a, b);
  row[7] = __fdiv_rd(a, b);
  row[8] = __fsqrt_ru(fabsf(a));
  row[9] = __fmaf_rz(a, b, a);
  row[10] = __double2float_rd(double(a) * double(b));
  row[11] = float(__float2int_ru(a)) + float(__float2uint_rz(fabsf(b)));
}

extern "C" __global__ void double_arithmetic(const double* in, double* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2)
    return;
  const double a = in[2 * i];
  const double b = in[2 * i + 1];
  double* row = out + 8 * i;
  row[0] = a + b;
  row[1] = __dmul_rn(a, b);
  row[2] = a / b;
  row[3] = sqrt(fabs(a));
  row[4] = fma(a, b, -a);
  row[5] = fmod(a, b);
  row[6] = __drcp_rn(b);
  row[7] = trunc(a) + rint(b);
}

extern "C" __global__ void single_functions(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const float x = in[i];
  float* row = out + 16 * i;
  row[0] = sinf(x);
  row[1] = cosf(x);
  row[2] = tanf(x);
  row[3] = expf(x);
  row[4] = logf(fabsf(x));
  row[5] = powf(fabsf(x), 1.7f);
  row[6] = erff(x);
  row[7] = erfcf(x);
  row[8] = lgammaf(x);
  row[9] = tgammaf(x);
  row[10] = tanhf(x);
  row[11] = cbrtf(x);
  row[12] = atan2f(x, 0.7f);
  row[13] = expm1f(x);
  row[14] = rsqrtf(fabsf(x));
  row[15] = log1pf(fabsf(x));
}

extern "C" __global__ void double_functions(const double* in, double* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const double x = in[i];
  double* row = out + 10 * i;
  row[0] = sin(x);
  row[1] = cos(x);
  row[2] = exp(x);
  row[3] = log(fabs(x));
  row[4] = pow(fabs(x), 1.7);
  row[5] = erf(x);
  row[6] = lgamma(x);
  row[7] = tanh(x);
  row[8] = cbrt(x);
  row[9] = atan(x);
}
