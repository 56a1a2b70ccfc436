using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes the softmax over the keys that a query sees: with query i and window w, the keys <c>max(0, i − w + 1) ≤ j ≤
/// i</c> (all j ≤ i for w = 0), or in an encoder all keys. Unseen keys get 0. A NaN among the seen scores makes its row
/// NaN. Scores may have a soft cap c, which brings each scaled score x to <c>c · tanh(x / c)</c> (Gemma team,
/// "Gemma 2", 2024).
/// </summary>
public static class CausalSoftmax
{
    /// <summary>Turns scores into probabilities along the last dimension: <c>p = softmax(scale · s)</c>.</summary>
    /// <param name="scores">[B, H, S, S] F32 or BF16, in place; what is not seen is not read.</param>
    /// <param name="scale">Factor of the scores, above 0.</param>
    /// <param name="window">Keys seen, the query's own included; 0 is no limit.</param>
    /// <param name="softCap">Soft cap of the scaled scores; 0 is none.</param>
    /// <param name="spans">
    /// [B·S, 2] I32: of each position the first of its record and the one after its last, for rows of several records,
    /// of which a query sees its own; null: a row is one.
    /// </param>
    /// <param name="seesAhead">Whether a query sees the keys after it too, as in an encoder; without a window.</param>
    /// <exception cref="ArgumentException">Shape, type or a value does not fit.</exception>
    public static void Forward(
        Tensor scores,
        float scale,
        int window = 0,
        float softCap = 0,
        Tensor? spans = null,
        bool seesAhead = false
    )
    {
        Verify(scores, scale, window);
        VerifyAhead(seesAhead, window);
        VerifySoftCap(softCap);
        VerifySpans(spans, scores);
        if (scores.Count == 0)
            return;
        int length = scores.Dim(3);
        var args = new CausalSoftmaxForwardArgs
        {
            Scores = scores.Pointer,
            Spans = spans?.Pointer ?? 0,
            Rows = scores.Count / length,
            Heads = scores.Dim(1),
            Length = length,
            Window = window,
            Lanes = Launch.RowLanes(length),
            Ahead = seesAhead ? 1 : 0,
            Scale = scale,
            Cap = softCap,
        };
        KernelEntry<CausalSoftmaxForwardArgs> kernel =
            softCap > 0 ? CausalSoftmaxForwardArgs.Capped : CausalSoftmaxForwardArgs.Kernel;
        kernel.Launch(scores.Device, scores.DType, args, Launch.RowBlocks(args.Rows, args.Lanes));
    }

    /// <summary>
    /// Turns the gradient of the probabilities into that of the scores: <c>ds = scale · p (dp − Σ p dp)</c>, with a
    /// soft cap times <c>1 − tanh²(scale · s / c)</c>.
    /// </summary>
    /// <param name="probabilities">[B, H, S, S], from forward.</param>
    /// <param name="gradient">[B, H, S, S], type of the probabilities, in place.</param>
    /// <param name="scale">As in forward.</param>
    /// <param name="window">As in forward.</param>
    /// <param name="softCap">As in forward.</param>
    /// <param name="scores">
    /// [B, H, S, S], type of the probabilities: the scores given to forward; null where there is no soft cap.
    /// </param>
    /// <param name="spans">As in forward.</param>
    /// <param name="seesAhead">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type, device or a value does not fit.</exception>
    public static void Backward(
        Tensor probabilities,
        Tensor gradient,
        float scale,
        int window = 0,
        float softCap = 0,
        Tensor? scores = null,
        Tensor? spans = null,
        bool seesAhead = false
    )
    {
        Verify(probabilities, scale, window);
        VerifyAhead(seesAhead, window);
        Check.SameAs(gradient, probabilities);
        VerifySoftCap(softCap);
        if (scores is null && softCap > 0)
            throw new ArgumentException("scores is null, expected the scores, as there is a soft cap", nameof(scores));
        if (scores is not null)
            Check.SameAs(scores, probabilities);
        VerifySpans(spans, probabilities);
        if (probabilities.Count == 0)
            return;
        int length = probabilities.Dim(3);
        var args = new CausalSoftmaxBackwardArgs
        {
            Probabilities = probabilities.Pointer,
            Gradient = gradient.Pointer,
            Scores = scores?.Pointer ?? 0,
            Spans = spans?.Pointer ?? 0,
            Rows = probabilities.Count / length,
            Heads = probabilities.Dim(1),
            Length = length,
            Window = window,
            Lanes = Launch.RowLanes(length),
            Ahead = seesAhead ? 1 : 0,
            Scale = scale,
            Cap = softCap,
        };
        KernelEntry<CausalSoftmaxBackwardArgs> kernel =
            softCap > 0 ? CausalSoftmaxBackwardArgs.Capped : CausalSoftmaxBackwardArgs.Kernel;
        kernel.Launch(probabilities.Device, probabilities.DType, args, Launch.RowBlocks(args.Rows, args.Lanes));
    }

    internal static void VerifyWindow(int window)
    {
        if (window < 0)
            throw new ArgumentException($"window is {window}, expected 0 (none) or more", nameof(window));
    }

    internal static void VerifyAhead(bool seesAhead, int window)
    {
        if (seesAhead && window > 0)
            throw new ArgumentException($"window is {window}, expected 0 where queries see ahead", nameof(window));
    }

    internal static void VerifySoftCap(float softCap)
    {
        if (!(softCap >= 0 && float.IsFinite(softCap)))
        {
            throw new ArgumentException(
                $"softCap is {softCap}, expected 0 (none) or a finite number above",
                nameof(softCap)
            );
        }
    }

    internal static void VerifySpans(Tensor? spans, Tensor heads)
    {
        if (spans is not null)
            Check.Operand(spans, heads, DType.I32, [checked(heads.Dim(0) * heads.Dim(2)), 2]);
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
