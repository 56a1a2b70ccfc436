namespace Spectral.Kernels;

/// <summary>Argument of <c>svd_widen</c>.</summary>
[KernelArgs("svd_steps", "svd_widen")]
public struct SvdWidenArgs
{
    /// <summary>Device address: X F32, Y F64.</summary>
    public ulong X, Y;

    /// <summary>Number of elements.</summary>
    public int Count;
}

/// <summary>Argument of <c>svd_narrow</c>.</summary>
[KernelArgs("svd_steps", "svd_narrow")]
public struct SvdNarrowArgs
{
    /// <summary>Device address: X F64, Y F32.</summary>
    public ulong X, Y;

    /// <summary>Number of elements.</summary>
    public int Count;
}

/// <summary>Argument of <c>svd_truncate</c>.</summary>
[KernelArgs("svd_steps", "svd_truncate")]
public struct SvdTruncateArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Values, S, Probes;

    /// <summary>Values kept, and columns of Probes.</summary>
    public int Rank, Columns;

    /// <summary>Values at or below this part of the first become 0.</summary>
    public float Tolerance;
}

/// <summary>Argument of <c>svd_signs</c>.</summary>
[KernelArgs("svd_steps", "svd_signs")]
public struct SvdSignsArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Left, Right;

    /// <summary>Length of the vectors.</summary>
    public int LeftLength, RightLength;
}

/// <summary>The small kernels at the end of a truncated SVD.</summary>
internal static class SvdSteps
{
    private const string Module = "svd_steps";
    private const int ElementThreads = 256, TruncateThreads = 64, SignThreads = 32;

    /// <summary>y = x, F32 to F64.</summary>
    public static void Widen(Tensor x, Tensor y) =>
        x.Device.Kernel(Module, "svd_widen").Launch(new SvdWidenArgs { X = x.Pointer, Y = y.Pointer, Count = checked((int)x.Count) }, Blocks(x), ElementThreads);

    /// <summary>y = x, F64 to F32.</summary>
    public static void Narrow(Tensor x, Tensor y) =>
        x.Device.Kernel(Module, "svd_narrow").Launch(new SvdNarrowArgs { X = x.Pointer, Y = y.Pointer, Count = checked((int)x.Count) }, Blocks(x), ElementThreads);

    /// <summary>s[c] = values[c], or 0 at or below tolerance · values[0]; row c of probes times s[c].</summary>
    /// <param name="values">[≥ k].</param>
    /// <param name="s">[k].</param>
    /// <param name="probes">[k, p].</param>
    /// <param name="tolerance">Part of the first value.</param>
    public static void Truncate(Tensor values, Tensor s, Tensor? probes, float tolerance)
    {
        int rank = s.Dim(0);
        var args = new SvdTruncateArgs { Values = values.Pointer, S = s.Pointer, Probes = probes?.Pointer ?? 0, Rank = rank, Columns = probes?.Dim(1) ?? 0, Tolerance = tolerance };
        s.Device.Kernel(Module, "svd_truncate").Launch(args, (rank + TruncateThreads - 1) / TruncateThreads, TruncateThreads);
    }

    /// <summary>Makes the entry of largest magnitude of each right vector positive, and turns the left vector with it.</summary>
    /// <param name="left">[k, m].</param>
    /// <param name="right">[k, n].</param>
    public static void Signs(Tensor left, Tensor right) => left.Device.Kernel(Module, "svd_signs")
        .Launch(new SvdSignsArgs { Left = left.Pointer, Right = right.Pointer, LeftLength = left.Dim(1), RightLength = right.Dim(1) }, left.Dim(0), SignThreads);

    private static int Blocks(Tensor x) => (int)((x.Count + ElementThreads - 1) / ElementThreads);
}
