using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Argument of <c>svd_widen</c>.</summary>
[KernelArgs("svd_steps", "svd_widen")]
public struct SvdWidenArgs
{
    /// <summary>Device address: X F32, Y F64.</summary>
    public ulong X;

    /// <summary>Device address: X F32, Y F64.</summary>
    public ulong Y;

    /// <summary>Number of elements.</summary>
    public int Count;
}

/// <summary>Argument of <c>svd_narrow</c>.</summary>
[KernelArgs("svd_steps", "svd_narrow")]
public struct SvdNarrowArgs
{
    /// <summary>Device address: X F64, Y F32.</summary>
    public ulong X;

    /// <summary>Device address: X F64, Y F32.</summary>
    public ulong Y;

    /// <summary>Number of elements.</summary>
    public int Count;
}

/// <summary>Argument of <c>svd_truncate</c>.</summary>
[KernelArgs("svd_steps", "svd_truncate")]
public struct SvdTruncateArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Values;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong S;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Probes;

    /// <summary>Values kept, columns of Probes, and words from the values of one matrix to those of the next.</summary>
    public int Rank;

    /// <summary>Values kept, columns of Probes, and words from the values of one matrix to those of the next.</summary>
    public int Columns;

    /// <summary>Values kept, columns of Probes, and words from the values of one matrix to those of the next.</summary>
    public int Stride;

    /// <summary>Values at or below this part of the first become 0.</summary>
    public float Tolerance;
}

/// <summary>Argument of <c>svd_norms</c>.</summary>
[KernelArgs("svd_steps", "svd_norms")]
public struct SvdNormsArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong X;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Norm;

    /// <summary>Elements from the rows of one matrix to those of the next.</summary>
    public long XStride;

    /// <summary>Of a row, and words from the norms of one matrix to those of the next.</summary>
    public int Length;

    /// <summary>Of a row, and words from the norms of one matrix to those of the next.</summary>
    public int NormStride;
}

/// <summary>Argument of <c>svd_signs</c>.</summary>
[KernelArgs("svd_steps", "svd_signs")]
public struct SvdSignsArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Left;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Right;

    /// <summary>Length of the vectors.</summary>
    public int LeftLength;

    /// <summary>Length of the vectors.</summary>
    public int RightLength;
}

/// <summary>The small kernels at the end of a truncated SVD.</summary>
internal static class SvdSteps
{
    private const string Module = "svd_steps";
    private const int ElementThreads = 256;
    private const int TruncateThreads = 64;
    private const int NormThreads = 256;
    private const int SignThreads = 32;

    /// <summary>y = as many F32 at <paramref name="x"/>, to F64.</summary>
    public static void Widen(ulong x, Tensor y) =>
        y
            .Device.Kernel(Module, "svd_widen")
            .Launch(
                new SvdWidenArgs
                {
                    X = x,
                    Y = y.Pointer,
                    Count = checked((int)y.Count),
                },
                Launch.Blocks(y.Count, ElementThreads),
                ElementThreads
            );

    /// <summary>F32 at <paramref name="y"/> = x, F64.</summary>
    public static void Narrow(Tensor x, ulong y) =>
        x
            .Device.Kernel(Module, "svd_narrow")
            .Launch(
                new SvdNarrowArgs
                {
                    X = x.Pointer,
                    Y = y,
                    Count = checked((int)x.Count),
                },
                Launch.Blocks(x.Count, ElementThreads),
                ElementThreads
            );

    /// <summary>s[c] = values[c], or 0 at or below tolerance · values[0]; row c of probes times s[c].</summary>
    /// <param name="values">[≥ k].</param>
    /// <param name="s">[k].</param>
    /// <param name="probes">[k, p].</param>
    /// <param name="tolerance">Part of the first value.</param>
    public static void Truncate(Tensor values, Tensor s, Tensor? probes, float tolerance)
    {
        int rank = s.Dim(0);
        var args = new SvdTruncateArgs
        {
            Values = values.Pointer,
            S = s.Pointer,
            Probes = probes?.Pointer ?? 0,
            Rank = rank,
            Columns = probes?.Dim(1) ?? 0,
            Tolerance = tolerance,
        };
        s.Device.Kernel(Module, "svd_truncate").Launch(args, Launch.Blocks(rank, TruncateThreads), TruncateThreads);
    }

    /// <summary>The same for a batch whose values lie in a report.</summary>
    /// <param name="values">Device address of the first matrix's values.</param>
    /// <param name="s">Device address of its truncated values.</param>
    /// <param name="stride">Words from one matrix to the next, in both.</param>
    /// <param name="probes">[batch, k, p].</param>
    /// <param name="tolerance">Part of the first value.</param>
    public static void Truncate(ulong values, ulong s, int stride, Tensor probes, float tolerance)
    {
        var args = new SvdTruncateArgs
        {
            Values = values,
            S = s,
            Probes = probes.Pointer,
            Rank = probes.Dim(1),
            Columns = probes.Dim(2),
            Stride = stride,
            Tolerance = tolerance,
        };
        probes
            .Device.Kernel(Module, "svd_truncate")
            .Launch(args, Launch.Blocks(args.Rank, TruncateThreads), probes.Dim(0), 1, TruncateThreads);
    }

    /// <summary>Euclidean norms of the rows of x, [batch, p, n], to F32 words at <paramref name="norms"/>.</summary>
    public static void Norms(Tensor x, ulong norms, int stride)
    {
        var args = new SvdNormsArgs
        {
            X = x.Pointer,
            Norm = norms,
            XStride = (long)x.Dim(1) * x.Dim(2),
            Length = x.Dim(2),
            NormStride = stride,
        };
        x.Device.Kernel(Module, "svd_norms").Launch(args, x.Dim(1), x.Dim(0), 1, NormThreads);
    }

    /// <summary>Makes the entry of largest magnitude of each right vector positive, and turns the left vector with it.</summary>
    /// <param name="left">[k, m].</param>
    /// <param name="right">[k, n].</param>
    public static void Signs(Tensor left, Tensor right) =>
        left
            .Device.Kernel(Module, "svd_signs")
            .Launch(
                new SvdSignsArgs
                {
                    Left = left.Pointer,
                    Right = right.Pointer,
                    LeftLength = left.Dim(1),
                    RightLength = right.Dim(1),
                },
                left.Dim(0),
                SignThreads
            );
}
