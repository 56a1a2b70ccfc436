// y [columns, rows] = the transpose of x [rows, columns]. A block of 32 x 32 threads moves a tile of 32 x 32 elements.
extern "C" __global__ void transpose(float* y, const float* x, int rows, int columns) {
  __shared__ float tile[32][32];
  const int top = blockIdx.y * 32;
  const int left = blockIdx.x * 32;
  const int i = threadIdx.y;
  const int j = threadIdx.x;
  if (top + i < rows && left + j < columns)
    tile[i][j] = x[(top + i) * columns + left + j];
  __syncthreads();
  if (left + i < columns && top + j < rows)
    y[(left + i) * rows + top + j] = tile[j][i];
}
