namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>Describes one of the ways to compute an op.</summary>
internal interface IVariant<TKind, TCase>
    where TKind : struct, Enum
{
    /// <summary>The value that forces this variant.</summary>
    TKind Kind { get; }

    /// <summary>The name in reports and in the environment variable.</summary>
    string Name { get; }

    /// <summary>Returns why this variant cannot compute such a call, a constant text, or null if it can.</summary>
    string? Refuses(in TCase call);
}
