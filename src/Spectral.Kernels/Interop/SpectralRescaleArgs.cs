namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>spectral_middle_f32</c>: the middle diagonal of an adapter with frozen singular triplets.
/// </summary>
public struct SpectralMiddleArgs
{
    /// <summary>Describes <c>spectral_middle_f32</c>.</summary>
    public static readonly KernelEntry<SpectralMiddleArgs> Kernel = new("spectral_rescale", 128, "spectral_middle_f32");

    /// <summary>Device address of the singular values σ, [Directions] F32.</summary>
    public ulong Sigma;

    /// <summary>Device address of their relative changes δ, [Directions] F32.</summary>
    public ulong Delta;

    /// <summary>Device address of the middle diagonal, [Directions + Extra] F32; written.</summary>
    public ulong Middle;

    /// <summary>Frozen triplets.</summary>
    public int Directions;

    /// <summary>Entries after them.</summary>
    public int Extra;

    /// <summary>Value of the entries after the triplets.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>spectral_delta_gradient_f32</c>: the gradient of δ.</summary>
public struct SpectralDeltaGradientArgs
{
    /// <summary>Describes <c>spectral_delta_gradient_f32</c>.</summary>
    public static readonly KernelEntry<SpectralDeltaGradientArgs> Kernel = new(
        "spectral_rescale",
        128,
        "spectral_delta_gradient_f32"
    );

    /// <summary>Device address of the singular values σ, [Directions] F32.</summary>
    public ulong Sigma;

    /// <summary>Device address of the gradient of the middle diagonal, [at least Directions] F32.</summary>
    public ulong MiddleGradient;

    /// <summary>Device address of the gradient of δ, [Directions] F32.</summary>
    public ulong DeltaGradient;

    /// <summary>Frozen triplets.</summary>
    public int Directions;

    /// <summary>1: add to what the gradient holds; 0: overwrite.</summary>
    public int Accumulate;
}
