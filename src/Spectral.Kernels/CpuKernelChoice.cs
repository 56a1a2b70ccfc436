namespace Spectral.Kernels;

/// <summary>Holds which form of the kernels a CPU device runs.</summary>
/// <param name="Kernels">The form.</param>
/// <param name="PtxTarget">Target whose PTX is run; null for the one of the device's compute capability.</param>
internal sealed record CpuKernelChoice(CpuKernels Kernels, string? PtxTarget)
{
    private const string KernelsVariable = CpuDeviceOptions.KernelsVariable;
    private const string TargetVariable = CpuDeviceOptions.PtxTargetVariable;

    /// <summary>Takes what the options leave open from the environment, and checks that this build has it.</summary>
    /// <exception cref="ArgumentException">The target in the options is unknown.</exception>
    /// <exception cref="InvalidOperationException">An environment variable has a value that is not allowed.</exception>
    /// <exception cref="PlatformNotSupportedException">PTX is wanted, and this build has none.</exception>
    public static CpuKernelChoice From(CpuDeviceOptions? options)
    {
        CpuKernels kernels = options?.Kernels ?? KernelsOf(Environment.GetEnvironmentVariable(KernelsVariable));
        if (kernels == CpuKernels.Source)
            return new CpuKernelChoice(kernels, null);
        if (KernelLibrary.Architectures.Count == 0)
        {
            throw new PlatformNotSupportedException(
                "this build holds no PTX (built without nvcc), so the CPU device runs kernels compiled from source only"
            );
        }
        if (options?.PtxTarget is { } wanted)
        {
            return KernelLibrary.Architectures.Contains(wanted)
                ? new CpuKernelChoice(kernels, wanted)
                : throw new ArgumentException(
                    $"{nameof(CpuDeviceOptions.PtxTarget)} is '{wanted}', expected {Allowed()}",
                    nameof(options)
                );
        }
        return new CpuKernelChoice(kernels, TargetOf(Environment.GetEnvironmentVariable(TargetVariable)));
    }

    private static CpuKernels KernelsOf(string? value) =>
        value switch
        {
            null or "" or "source" => CpuKernels.Source,
            "ptx" => CpuKernels.Ptx,
            _ => throw new InvalidOperationException($"{KernelsVariable} is '{value}', expected source or ptx"),
        };

    private static string? TargetOf(string? value)
    {
        if (string.IsNullOrEmpty(value))
            return null;
        return KernelLibrary.Architectures.Contains(value)
            ? value
            : throw new InvalidOperationException($"{TargetVariable} is '{value}', expected {Allowed()}");
    }

    private static string Allowed() => string.Join(" or ", KernelLibrary.Architectures);
}
