// The one header a kernel includes: the CUDA language on both compilers, how a kernel is declared,
// and every intrinsic that kernels may use. Under nvcc an intrinsic is its PTX instruction; under
// g++ it is the CPU device's imitation of it.
#pragma once
#include "kernel.cuh"
#include "numeric.cuh"
#include "warp.cuh"
#include "philox.cuh"
#include "async_copy.cuh"
#include "mma.cuh"
#include "hopper.cuh"
#include "wgmma.cuh"
