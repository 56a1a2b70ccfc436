// Scales of a quantised weight as codes of 8 bits: double quantisation (Dettmers et al.: "QLoRA", 2023), in the
// dynamic map and the blocks of bitsandbytes.
//
// Formula        most[k] = max |scale[b] - mean| over block k of 256 scales;  code[b] = dynamic code nearest to
//                (scale[b] - mean) (1 / most[k]), that of 0 where most is 0
// Shapes         scale, code [blocks]; most [ceil(blocks / 256)]; map [256]
// Layout         contiguous
// Types          F32; codes of 8 bits, signed (device/dynamic_code.cuh)
// Accumulation   none
// Grid/Block     one thread per block of 256 scales, 64 a block; block 0 writes the map too
// Bytes          5 blocks + 4 ceil(blocks / 256) + 1024
// Flops          3 blocks
// Deterministic  yes
#include "dynamic_code.cuh"
#include "pieces.cuh"
#include "quantized.cuh"

struct CompressScalesArgs {
  const float* scales;   // scales [count]
  const float* mean;     // their mean [1]
  uint8_t* codes;        // their codes [count]; written
  float* most;           // largest magnitude of each block [ceil(count / 256)]; written
  float* map;            // value of each code [256]; written
  int64_t count;         // scales
};
SPECTRAL_LAYOUT(CompressScalesArgs, scales, mean, codes, most, map, count)

SPECTRAL_KERNEL_PLAIN(compress_scales_f32, CompressScalesArgs, 64) {
  if (blockIdx.x == 0)
    for (unsigned code = threadIdx.x; code < 256; code += blockDim.x)
      args.map[code] = dynamic_value<true>(code);
  const int64_t block = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t begin = block * kScaleBlock;
  const int64_t end = min(begin + kScaleBlock, args.count);
  if (begin >= end)
    return;
  const float mean = *args.mean;
  float most = 0;
  for (int64_t i = begin; i < end; ++i)
    most = max(most, fabsf(args.scales[i] - mean));
  args.most[block] = most;
  const float inverse = most > 0 ? 1 / most : 0.0f;
  for (int64_t i = begin; i < end; ++i)
    args.codes[i] = uint8_t(dynamic_code<true>((args.scales[i] - mean) * inverse));
}
