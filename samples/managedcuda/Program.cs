// ManagedCuda launches this library's kernels in its own context, on its own memory, and the library's ops work in the
// same context, on the same stream and memory. README.md says how to run it.

using System.Text;
using ManagedCuda;
using ManagedCuda.CudaBlas;
using ManagedCuda.CudaSolve;
using ManagedCudaSample;
using Spectral.Kernels;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

const int Rows = 37;
const int Columns = 96;
const int Width = 40;
const int Rank = 8;
const float Epsilon = 1e-5f;
const double F32Bound = 1e-6; // sums of up to a hundred terms
const double Bf16Bound = 1.0 / 256; // one rounding of the result

CudaLibraries.Resolve();
using var context = new CudaContext(0);
CudaDeviceProperties properties = context.GetDeviceInfo();
Version capability = properties.ComputeCapability;
string arch = KernelLibrary.ArchitectureFor((capability.Major, capability.Minor));
Console.WriteLine($"{properties.DeviceName}, PTX for {arch}");

using var stream = new CudaStream();
var random = new Random(1);
float[] x = Numbers(Rows * Columns);
float[] weight = Numbers(Columns);

// RMSNorm in F32: a warp's 8 lanes share a row of up to 1024 columns.
using CudaDeviceVariable<float> xs = x;
using CudaDeviceVariable<float> weights = weight;
using var ys = new CudaDeviceVariable<float>(Rows * Columns);
using var inverse = new CudaDeviceVariable<float>(Rows);
const int RowsPerBlock = 256 / 8;
Launch(
    RmsNormForwardArgs.Kernel,
    new RmsNormForwardArgs
    {
        X = xs.DevicePointer.Pointer,
        Weight = weights.DevicePointer.Pointer,
        Y = ys.DevicePointer.Pointer,
        InverseRms = inverse.DevicePointer.Pointer,
        Rows = Rows,
        Columns = Columns,
        YStride = Columns,
        Lanes = 8,
        Epsilon = Epsilon,
    },
    (Rows + RowsPerBlock - 1) / RowsPerBlock
);
double[] normal = Reference.RmsNorm(x, weight, Columns, Epsilon);
Reference.Compare("RMSNorm", (float[])ys, normal, F32Bound);

// The rescaled singular values of an adapter: σ ∘ δ, then the scale of the directions that were added.
float[] sigma = Numbers(Rank);
float[] delta = Numbers(Rank);
using CudaDeviceVariable<float> sigmas = sigma;
using CudaDeviceVariable<float> deltas = delta;
using var middle = new CudaDeviceVariable<float>(Rank + 2);
Launch(
    SpectralMiddleArgs.Kernel,
    new SpectralMiddleArgs
    {
        Sigma = sigmas.DevicePointer.Pointer,
        Delta = deltas.DevicePointer.Pointer,
        Middle = middle.DevicePointer.Pointer,
        Directions = Rank,
        Extra = 2,
        Scale = 0.5f,
    },
    1
);
double[] rescaled = [.. sigma.Zip(delta, (s, d) => (double)s * d), 0.5, 0.5];
Reference.Compare("rescaled singular values", (float[])middle, rescaled, F32Bound);

// The low-rank product beside the frozen one, y = x Wᵀ + z Lᵀ, in BF16: a block per 128 × 128 tile of y.
float[] frozen = Rounded(Numbers(Width * Columns));
float[] input = Rounded(x);
float[] z = Rounded(Numbers(Rows * Rank));
float[] left = Rounded(Numbers(Width * Rank));
using CudaDeviceVariable<ushort> inputs = Bits(input);
using CudaDeviceVariable<ushort> frozens = Bits(frozen);
using CudaDeviceVariable<ushort> zs = Bits(z);
using CudaDeviceVariable<ushort> lefts = Bits(left);
using var products = new CudaDeviceVariable<ushort>(Rows * Width);
Launch(
    LowRankLinearArgs.Forward,
    new LowRankLinearArgs
    {
        X = inputs.DevicePointer.Pointer,
        Weight = frozens.DevicePointer.Pointer,
        Z = zs.DevicePointer.Pointer,
        Factor = lefts.DevicePointer.Pointer,
        Y = products.DevicePointer.Pointer,
        Rows = Rows,
        Columns = Width,
        Depth = Columns,
        Rank = Rank,
    },
    1
);
double[] product = new double[Rows * Width];
Reference.AddProduct(product, input, frozen, Columns);
Reference.AddProduct(product, z, left, Rank);
Reference.Compare("low-rank product", ((ushort[])products).Select(BFloat16.ToSingle), product, Bf16Bound);

// An op of the library in ManagedCuda's context, on its stream and memory.
using (var device = Device.FromContext(context.Context.Pointer))
using (device.Enter())
using (var shared = DeviceStream.FromHandle(device, stream.Stream.Pointer))
using (device.Use(shared))
using (var tensor = Tensor.FromPointer(device, xs.DevicePointer.Pointer, (Rows, Columns), DType.F32))
using (var scale = Tensor.FromPointer(device, weights.DevicePointer.Pointer, Columns, DType.F32))
using (var rms = Tensor.FromPointer(device, inverse.DevicePointer.Pointer, Rows, DType.F32))
{
    RmsNorm.Forward(tensor, scale, Epsilon, tensor, rms);
    stream.Synchronize();
    Reference.Compare("RMSNorm in place, by the op", (float[])xs, normal, F32Bound);
}

// ManagedCuda's wrappers of cuBLAS and cuSOLVER on the same memory.
var blas = new CudaBlas(stream.Stream);
float norm = blas.Norm2(ys, 1);
blas.Dispose();
Reference.Compare("norm, by cuBLAS", [norm], [double.Sqrt(normal.Sum(v => v * v))], F32Bound);
using (var solver = new CudaSolveDense(stream))
using (CudaDeviceVariable<double> matrix = new double[] { 4, 2, 2, 5 })
using (var info = new CudaDeviceVariable<int>(1))
using (var work = new CudaDeviceVariable<double>(solver.PotrfBufferSize(FillMode.Lower, 2, matrix, 2)))
{
    solver.Potrf(FillMode.Lower, 2, matrix, 2, work, work.Size, info);
    stream.Synchronize();
    double[] factor = matrix; // [[2, 0], [1, 2]], by columns; the upper triangle keeps what it held
    Reference.Compare("Cholesky factor, by cuSOLVER", factor.Select(v => (float)v), [2, 1, 2, 2], F32Bound);
}

void Launch<TArgs>(KernelEntry<TArgs> entry, TArgs args, int blocks)
    where TArgs : unmanaged
{
    string name = entry.Names[0];
    CudaKernel kernel = context.LoadKernelPTX(Encoding.UTF8.GetBytes(KernelLibrary.Ptx(arch, entry.Module)), name);
    kernel.BlockDimensions = entry.Threads;
    kernel.GridDimensions = blocks;
    kernel.DynamicSharedMemory = (uint)entry.SharedBytes;
    kernel.RunAsync(stream.Stream, args);
    stream.Synchronize();
    context.UnloadKernel(kernel);
}

float[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() * 2 - 1)];
static float[] Rounded(float[] values) => [.. values.Select(BFloat16.Round)];
static ushort[] Bits(float[] values) => [.. values.Select(BFloat16.FromSingle)];
