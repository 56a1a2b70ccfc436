namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>spectral_middle_f32</c>: the middle diagonal of an adapter that rescales singular values,
/// <c>σ ∘ δ</c> and then <see cref="Scale"/>.
/// </summary>
public struct SpectralMiddleArgs
{
    /// <summary>The kernel <c>spectral_middle_f32</c>; one thread per entry.</summary>
    public static readonly KernelEntry<SpectralMiddleArgs> Kernel = new("spectral_rescale", 128, "spectral_middle_f32");

    /// <summary>Device address of the singular values σ, [Directions] F32.</summary>
    public ulong Sigma;

    /// <summary>Device address of the relative changes δ of the singular values, [Directions] F32.</summary>
    public ulong Delta;

    /// <summary>Device address of the middle diagonal, [Directions + Extra] F32; written.</summary>
    public ulong Middle;

    /// <summary>Number of singular triplets whose values are rescaled.</summary>
    public int Directions;

    /// <summary>Number of entries of the diagonal after those of the triplets.</summary>
    public int Extra;

    /// <summary>Value of the entries after those of the triplets.</summary>
    public float Scale;
}

/// <summary>
/// Arguments of <c>spectral_delta_gradient_f32</c>: the gradient of δ from that of the middle diagonal.
/// </summary>
public struct SpectralDeltaGradientArgs
{
    /// <summary>The kernel <c>spectral_delta_gradient_f32</c>; one thread per triplet.</summary>
    public static readonly KernelEntry<SpectralDeltaGradientArgs> Kernel = new(
        "spectral_rescale",
        128,
        "spectral_delta_gradient_f32"
    );

    /// <summary>Device address of the singular values σ, [Directions] F32.</summary>
    public ulong Sigma;

    /// <summary>Device address of the gradient of the middle diagonal, [at least Directions] F32.</summary>
    public ulong MiddleGradient;

    /// <summary>Device address of the gradient of δ, [Directions] F32; written or added to.</summary>
    public ulong DeltaGradient;

    /// <summary>Number of singular triplets whose values are rescaled.</summary>
    public int Directions;

    /// <summary>1 to add to the gradient, 0 to overwrite.</summary>
    public int Accumulate;
}
