namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>Describes a call of an op to the choice of its variant: device, type and shapes, but no data.</summary>
internal interface IVariantCase<TCase> : IEquatable<TCase>
    where TCase : struct, IVariantCase<TCase>
{
    /// <summary>The device that the call runs on.</summary>
    Device Device { get; }

    /// <summary>The op, direction and type as a run records them; one of a few constants.</summary>
    string What { get; }

    /// <summary>
    /// The case that stands for all calls with one choice: lengths that vary from batch to batch are rounded up.
    /// </summary>
    TCase Bucket { get; }

    /// <summary>The name of the case in the tune file: all of it but the device.</summary>
    string Key { get; }
}
