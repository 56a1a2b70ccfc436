using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Chooses the experts of each token: the k most probable under a softmax over all of them (Shazeer et al.,
/// "Outrageously Large Neural Networks", 2017). Of equal logits the first is taken; a NaN among a token's logits makes
/// its probabilities and weights NaN.
/// </summary>
public static class ExpertRouter
{
    /// <summary>Computes <c>p = softmax(logits)</c> and for each token its k most probable experts.</summary>
    /// <param name="logits">[N, E], F32 or BF16.</param>
    /// <param name="normalised">
    /// Whether the weights of a token are divided by their sum; otherwise they are its probabilities.
    /// </param>
    /// <param name="probabilities">p [N, E] F32; written.</param>
    /// <param name="index">[N, k] I32, k from 1 to E; written, the most probable first.</param>
    /// <param name="weight">[N, k] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor logits, bool normalised, Tensor probabilities, Tensor index, Tensor weight)
    {
        Check.Floating(logits, [-1, -1]);
        VerifyChoices(probabilities, index, weight, logits);
        if (logits.Dim(0) == 0)
            return;
        var args = new ExpertRouterForwardArgs
        {
            Logits = logits.Pointer,
            Probabilities = probabilities.Pointer,
            Index = index.Pointer,
            Weight = weight.Pointer,
            Tokens = logits.Dim(0),
            Experts = logits.Dim(1),
            K = index.Dim(1),
            Normalised = normalised ? 1 : 0,
        };
        ExpertRouterForwardArgs.Kernel.Launch(logits.Device, logits.DType, args, Launch.RowBlocks(args.Tokens));
    }

    /// <summary>
    /// Computes the gradient of the logits from that of the weights, and from a gradient that every probability of an
    /// expert has. The choice itself has none.
    /// </summary>
    /// <param name="probabilities">p [N, E] F32 from <see cref="Forward"/>.</param>
    /// <param name="index">[N, k] I32 likewise.</param>
    /// <param name="weight">[N, k] F32 likewise.</param>
    /// <param name="normalised">As in <see cref="Forward"/>.</param>
    /// <param name="dWeight">The gradient of the weights, [N, k] F32; null: zero.</param>
    /// <param name="slope">The gradient of the probabilities of each expert, [E] F32; null: zero.</param>
    /// <param name="mask">The factor of <paramref name="slope"/> for each token, [N] F32; null: 1.</param>
    /// <param name="dLogits">[N, E], F32 or BF16; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor probabilities,
        Tensor index,
        Tensor weight,
        bool normalised,
        Tensor? dWeight,
        Tensor? slope,
        Tensor? mask,
        Tensor dLogits
    )
    {
        Check.Floating(dLogits, [-1, -1]);
        VerifyChoices(probabilities, index, weight, dLogits);
        (int tokens, int experts) = (dLogits.Dim(0), dLogits.Dim(1));
        if (dWeight is not null)
            Check.Operand(dWeight, dLogits, DType.F32, [tokens, index.Dim(1)]);
        if (slope is not null)
            Check.Operand(slope, dLogits, DType.F32, [experts]);
        if (mask is not null)
            Check.Operand(mask, dLogits, DType.F32, [tokens]);
        if (tokens == 0)
            return;
        var args = new ExpertRouterBackwardArgs
        {
            Probabilities = probabilities.Pointer,
            Index = index.Pointer,
            Weight = weight.Pointer,
            DWeight = dWeight?.Pointer ?? 0,
            Slope = slope?.Pointer ?? 0,
            Mask = mask?.Pointer ?? 0,
            DLogits = dLogits.Pointer,
            Tokens = tokens,
            Experts = experts,
            K = index.Dim(1),
            Normalised = normalised ? 1 : 0,
        };
        ExpertRouterBackwardArgs.Kernel.Launch(dLogits.Device, dLogits.DType, args, Launch.RowBlocks(tokens));
    }

    private static void VerifyChoices(Tensor probabilities, Tensor index, Tensor weight, Tensor logits)
    {
        (int tokens, int experts) = (logits.Dim(0), logits.Dim(1));
        Check.Operand(probabilities, logits, DType.F32, [tokens, experts]);
        Check.Operand(index, logits, DType.I32, [tokens, -1]);
        int k = index.Dim(1);
        if (k < 1 || k > experts)
        {
            throw new ArgumentException(
                $"{k} of {experts} experts are to be chosen, expected 1 to {experts}",
                nameof(index)
            );
        }

        Check.Operand(weight, logits, DType.F32, [tokens, k]);
    }
}
