using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Applies rotary position embedding (Su et al. 2021) to the first elements of each head: pairs <c>(xᵢ, xᵢ₊ₙ)</c>, or
/// neighbours <c>(x₂ᵢ, x₂ᵢ₊₁)</c>, turn by an angle of the position, n = number of pairs. Heads move outside the
/// sequence in the same pass.
/// </summary>
public static class Rope
{
    /// <summary>Rotates the pairs and splits the heads.</summary>
    /// <param name="x">[B·S, H·hd] F32 or BF16, columns of a wider matrix or all.</param>
    /// <param name="cosine">[P, n] F32: cosines of position times frequency; 2n ≤ hd.</param>
    /// <param name="sine">[P, n] F32.</param>
    /// <param name="offsets">[B] I32: position of each sequence's first row; null is 0.</param>
    /// <param name="y">[B, H, S, hd], type of x; written. A position beyond the tables gives NaN.</param>
    /// <param name="interleaved">Whether pairs are neighbours; otherwise their elements are n apart.</param>
    /// <param name="rest">Factor on the hd − 2n last elements of a head, which do not turn.</param>
    /// <param name="spans">
    /// [B·S, 2] I32: of each row the first of its record, where positions start again, and the one after its last;
    /// null: a sequence is one record.
    /// </param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(
        ColumnRange x,
        Tensor cosine,
        Tensor sine,
        Tensor? offsets,
        Tensor y,
        bool interleaved = false,
        float rest = 1,
        Tensor? spans = null
    )
    {
        RopeArgs args = Verify(x, y, cosine, sine);
        CausalSoftmax.VerifySpans(spans, y);
        if (offsets is not null)
            Check.Operand(offsets, y, DType.I32, [args.Batch]);
        Run(
            args with
            {
                Source = x.Pointer,
                Offsets = offsets?.Pointer ?? 0,
                Destination = y.Pointer,
                Interleaved = interleaved ? 1 : 0,
                Rest = rest,
                Spans = spans?.Pointer ?? 0,
            },
            y,
            RopeArgs.Forward
        );
    }

    /// <summary>Rotates back and merges the heads: the adjoint of <see cref="Forward"/> from position 0.</summary>
    /// <param name="dy">[B, H, S, hd] F32 or BF16.</param>
    /// <param name="cosine">[P, n] F32, 2n ≤ hd.</param>
    /// <param name="sine">[P, n] F32.</param>
    /// <param name="dx">[B·S, H·hd], type of dy, columns of a wider matrix or all; written.</param>
    /// <param name="interleaved">Whether pairs are neighbours; otherwise their elements are n apart.</param>
    /// <param name="rest">Factor on the hd − 2n last elements of a head, which do not turn.</param>
    /// <param name="spans">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor dy,
        Tensor cosine,
        Tensor sine,
        ColumnRange dx,
        bool interleaved = false,
        float rest = 1,
        Tensor? spans = null
    )
    {
        RopeArgs args = Verify(dx, dy, cosine, sine);
        CausalSoftmax.VerifySpans(spans, dy);
        Run(
            args with
            {
                Source = dy.Pointer,
                Destination = dx.Pointer,
                Interleaved = interleaved ? 1 : 0,
                Rest = rest,
                Spans = spans?.Pointer ?? 0,
            },
            dy,
            RopeArgs.Backward
        );
    }

    private static RopeArgs Verify(
        in ColumnRange merged,
        Tensor split,
        Tensor cosine,
        Tensor sine,
        [CallerArgumentExpression(nameof(merged))] string mergedName = "",
        [CallerArgumentExpression(nameof(split))] string splitName = ""
    )
    {
        Heads.Verify(merged, split, mergedName, splitName);
        int headDim = split.Dim(3);
        Check.Operand(cosine, split, DType.F32, [-1, -1]);
        if (cosine.Dim(1) > headDim / 2)
        {
            throw new ArgumentException(
                $"cosine is {cosine.Shape}, expected [any, {headDim / 2} at most], as the head dimension is {headDim}",
                nameof(cosine)
            );
        }
        Check.SameAs(sine, cosine);
        return new RopeArgs
        {
            Cosine = cosine.Pointer,
            Sine = sine.Pointer,
            Batch = split.Dim(0),
            Length = split.Dim(2),
            Heads = split.Dim(1),
            HeadDim = headDim,
            Pairs = cosine.Dim(1),
            Positions = cosine.Dim(0),
            MergedStride = merged.Stride,
        };
    }

    private static void Run(in RopeArgs args, Tensor split, KernelEntry<RopeArgs> rotation)
    {
        if (split.Count == 0)
            return;
        rotation.Launch(split.Device, split.DType, args, Launch.RowBlocks((long)args.Batch * args.Length));
    }
}
