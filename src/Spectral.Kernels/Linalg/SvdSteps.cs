using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Linalg;

/// <summary>Runs the small kernels at the end of a truncated SVD.</summary>
internal static class SvdSteps
{
    /// <summary>Converts as many F32 at <paramref name="x"/> as y has elements to F64.</summary>
    public static void Widen(ulong x, Tensor y) =>
        SvdWidenArgs.Kernel.Launch(
            y.Device,
            new SvdWidenArgs
            {
                X = x,
                Y = y.Pointer,
                Count = checked((int)y.Count),
            },
            Launch.Blocks(y.Count, SvdWidenArgs.Kernel.Threads)
        );

    /// <summary>Converts x from F64 to F32 at <paramref name="y"/>.</summary>
    public static void Narrow(Tensor x, ulong y) =>
        SvdNarrowArgs.Kernel.Launch(
            x.Device,
            new SvdNarrowArgs
            {
                X = x.Pointer,
                Y = y,
                Count = checked((int)x.Count),
            },
            Launch.Blocks(x.Count, SvdNarrowArgs.Kernel.Threads)
        );

    /// <summary>
    /// Computes s[c] = values[c], or 0 at or below tolerance · values[0], and multiplies row c of the probes by s[c].
    /// </summary>
    /// <param name="values">Singular values [k or more] F32.</param>
    /// <param name="s">Truncated values [k] F32; written.</param>
    /// <param name="probes">Coefficients of the probes [k, p] F32, or null.</param>
    /// <param name="tolerance">Limit, as a part of the first value.</param>
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
        SvdTruncateArgs.Kernel.Launch(s.Device, args, Launch.Blocks(rank, SvdTruncateArgs.Kernel.Threads));
    }

    /// <summary>Truncates the values of a batch, which lie in a report, and multiplies the probes likewise.</summary>
    /// <param name="values">Device address of the first matrix's values.</param>
    /// <param name="s">Device address of its truncated values.</param>
    /// <param name="stride">Words from one matrix to the next, in both.</param>
    /// <param name="probes">[batch, k, p].</param>
    /// <param name="tolerance">Limit, as a part of the first value.</param>
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
        Launch.Batch(
            SvdTruncateArgs.Kernel,
            probes.Device,
            args,
            (Launch.Blocks(args.Rank, SvdTruncateArgs.Kernel.Threads), probes.Dim(0))
        );
    }

    /// <summary>
    /// Writes the Euclidean norms of the rows of x, [batch, p, n], as F32 words at <paramref name="norms"/>.
    /// </summary>
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
        Launch.Batch(SvdNormsArgs.Kernel, x.Device, args, (x.Dim(1), x.Dim(0)));
    }

    /// <summary>
    /// Makes the entry of largest magnitude of each right vector positive, and turns the left vector with it.
    /// </summary>
    /// <param name="left">[k, m].</param>
    /// <param name="right">[k, n].</param>
    public static void Signs(Tensor left, Tensor right) =>
        SvdSignsArgs.Kernel.Launch(
            left.Device,
            new SvdSignsArgs
            {
                Left = left.Pointer,
                Right = right.Pointer,
                LeftLength = left.Dim(1),
                RightLength = right.Dim(1),
            },
            left.Dim(0)
        );
}
