using System.Runtime.Loader;
using Spectral.Kernels;
using Spectral.Kernels.Driver;

namespace ManagedCudaSample;

/// <summary>Finds the libraries that ManagedCuda imports: CUDA's where there is a GPU, else the CPU device.</summary>
internal static class CudaLibraries
{
    private const string CpuDevice = "libspectral_cpu.so";

    private static readonly Lazy<bool> HasGpu = new(() => Device.CudaCount(out _) > 0);

    /// <summary>
    /// Answers for the names of ManagedCuda that the system's loader does not find. ManagedCuda resolves its imports
    /// itself, by <c>NativeLibrary.TryLoad</c>, so no other resolver can be set for its assemblies; this event is
    /// raised after its search has failed.
    /// </summary>
    public static void Resolve() =>
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) =>
            name switch
            {
                "libcuda" => Load("the CUDA driver", "libcuda.so.1"),
                "cublas" => Load("cuBLAS", "libcublas.so.12"),
                "cusolver" => Load("cuSOLVER", "libcusolver.so.11"),
                _ => 0,
            };

    // All three are of one kind: the CPU device's cuBLAS knows no GPU.
    private static nint Load(string what, string name) => NativeLibraries.Load(what, HasGpu.Value ? name : CpuDevice);
}
