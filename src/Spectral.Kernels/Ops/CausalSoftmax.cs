using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes the softmax over the keys that a query sees: with query i and window w, the keys <c>max(0, i − w + 1) ≤ j ≤
/// i</c> (all j ≤ i for w = 0). Unseen keys get 0. A NaN among the seen scores makes its row NaN.
/// </summary>
public static class CausalSoftmax
{
    /// <summary>Turns scores into probabilities along the last dimension: <c>p = softmax(scale · s)</c>.</summary>
    /// <param name="scores">[B, H, S, S] F32 or BF16, in place; what lies above the diagonal is not read.</param>
    /// <param name="scale">Factor of the scores, above 0.</param>
    /// <param name="window">Keys seen, the query's own included; 0 is no limit.</param>
    /// <exception cref="ArgumentException">Shape, type or a value does not fit.</exception>
    public static void Forward(Tensor scores, float scale, int window = 0)
    {
        Verify(scores, scale, window);
        if (scores.Count == 0)
            return;
        int length = scores.Dim(3);
        var args = new CausalSoftmaxForwardArgs
        {
            Scores = scores.Pointer,
            Rows = scores.Count / length,
            Length = length,
            Window = window,
            Lanes = Launch.RowLanes(length),
            Scale = scale,
        };
        CausalSoftmaxForwardArgs.Kernel.Launch(
            scores.Device,
            scores.DType,
            args,
            Launch.RowBlocks(args.Rows, args.Lanes)
        );
    }

    /// <summary>
    /// Turns the gradient of the probabilities into that of the scores: <c>ds = scale · p (dp − Σ p dp)</c>.
    /// </summary>
    /// <param name="probabilities">[B, H, S, S], from forward.</param>
    /// <param name="gradient">[B, H, S, S], type of the probabilities, in place.</param>
    /// <param name="scale">As in forward.</param>
    /// <param name="window">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type, device or a value does not fit.</exception>
    public static void Backward(Tensor probabilities, Tensor gradient, float scale, int window = 0)
    {
        Verify(probabilities, scale, window);
        Check.SameAs(gradient, probabilities);
        if (probabilities.Count == 0)
            return;
        int length = probabilities.Dim(3);
        var args = new CausalSoftmaxBackwardArgs
        {
            Probabilities = probabilities.Pointer,
            Gradient = gradient.Pointer,
            Rows = probabilities.Count / length,
            Length = length,
            Window = window,
            Lanes = Launch.RowLanes(length),
            Scale = scale,
        };
        CausalSoftmaxBackwardArgs.Kernel.Launch(
            probabilities.Device,
            probabilities.DType,
            args,
            Launch.RowBlocks(args.Rows, args.Lanes)
        );
    }

    internal static void VerifyWindow(int window)
    {
        if (window < 0)
            throw new ArgumentException($"window is {window}, expected 0 (none) or more", nameof(window));
    }

    private static void Verify(
        Tensor scores,
        float scale,
        int window,
        [CallerArgumentExpression(nameof(scores))] string name = ""
    )
    {
        Check.Floating(scores, [-1, -1, -1, -1], name);
        if (scores.Dim(2) != scores.Dim(3))
            throw new ArgumentException($"{name} is {scores.Shape}, expected as many queries as keys", name);
        if (!(scale > 0 && float.IsFinite(scale)))
            throw new ArgumentException($"scale is {scale}, expected a finite one above 0", nameof(scale));
        VerifyWindow(window);
    }
}
