using System.Runtime.InteropServices;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes low-rank layers with one library product each way. The activations are laid out with room for that: a row
/// of <see cref="AugmentedWeight.InputStride"/> elements holds x in its first K columns and <c>s c ∘ z</c> behind it; a
/// row of <see cref="AugmentedWeight.OutputStride"/> elements holds dy of all layers side by side and <c>s c ∘ g</c>
/// behind it. What <see cref="LowRankStack"/> adds in a second product, with a second pass over the result, is a longer
/// sum here: <c>y = [x | s c ∘ z] [W | L]ᵀ</c>, <c>dx = [dy | s c ∘ g] [W; R]</c>. The operations before must write
/// into such rows; padding is neither read nor written. Dropout is not supported: it would mask a part of the sum for
/// dx.
/// </summary>
public static class AugmentedLinear
{
    /// <summary>Computes y = x Wᵀ + bias + Scale · (z ∘ c) Lᵀ of all layers side by side, with z = x Rᵀ.</summary>
    /// <param name="weight">The layers; L and R as of the last <see cref="AugmentedWeight.Refresh"/>.</param>
    /// <param name="x">[M, InputStride], F32 or BF16: x in its first K columns; Scale · c ∘ z is written behind it, for
    /// <see cref="Backward"/>.</param>
    /// <param name="y">[M, ΣN], same type; overwritten.</param>
    /// <param name="z">[M, Σp], same type; overwritten with x Rᵀ, which the gradient of c needs. Null: not
    /// wanted.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Forward(AugmentedWeight weight, Tensor x, Tensor y, Tensor? z = null)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Check.Operand(x, weight.Buffer, [-1, weight.InputStride], likeName: nameof(weight));
        int rows = x.Dim(0);
        Check.Operand(y, x, [rows, weight.Outputs]);
        if (z is not null)
            Check.Operand(z, x, [rows, weight.Rank]);
        Record(weight, LowRankDirection.Forward);
        if (rows == 0)
            return;
        LowRank.Project(
            new ColumnRange(x, 0, weight.Inputs),
            weight.Right,
            z is null ? null : new ColumnRange?(z),
            weight.Stack.Middle,
            weight.Stack.Scale,
            new ColumnRange(x, weight.Inputs, weight.Rank)
        );
        var call = new LowRankCase(
            y.Device,
            y.DType,
            LowRankDirection.Forward,
            rows,
            weight.Outputs,
            weight.Inputs,
            weight.Rank,
            LowRankLayout.LaidOut
        );
        Variant.Run(
            new LowRankProduct(
                call,
                new(x, 0, weight.Inputs),
                new ColumnRange(weight.Buffer, 0, weight.Inputs),
                new(x, weight.Inputs, weight.Rank),
                1,
                new(weight.Buffer, weight.Inputs, weight.Rank),
                weight.Bias,
                y,
                Accumulate: false
            )
        );
    }

    /// <summary>
    /// The adjoint of <see cref="Forward"/>: with g = dy L of each layer, <c>dx = Σ dy W + Scale · (g ∘ c) R</c> over
    /// the layers, <c>dL = Scale · dyᵀ (z ∘ c)</c>, <c>dcᵢ = Scale · Σₜ gₜᵢ zₜᵢ</c>, <c>dR = Scale · (g ∘ c)ᵀ x</c>;
    /// only what is asked for.
    /// </summary>
    /// <param name="weight">The layers of the forward pass; biases are not used.</param>
    /// <param name="x">[M, InputStride] as the forward pass left it; may be null when no gradient of L or R is
    /// wanted.</param>
    /// <param name="z">[M, Σp], what the forward pass kept; may be null when no gradient of c is wanted.</param>
    /// <param name="dy">[M, OutputStride]: dy of all layers in its first ΣN columns; Scale · c ∘ g is written behind
    /// it.</param>
    /// <param name="dx">[M, K], or null when it is not wanted.</param>
    /// <param name="gradients">Where the parameters' gradients go, for each layer.</param>
    /// <param name="accumulate">Which results are added to what their tensors hold.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Backward(
        AugmentedWeight weight,
        Tensor? x,
        Tensor? z,
        Tensor dy,
        Tensor? dx,
        ReadOnlySpan<LowRankGradients> gradients,
        Accumulate accumulate = Accumulate.Nothing
    )
    {
        ArgumentNullException.ThrowIfNull(weight);
        Check.Operand(dy, weight.Buffer, [-1, weight.OutputStride], likeName: nameof(weight));
        int rows = dy.Dim(0);
        IReadOnlyList<LowRankFactors> members = weight.Stack.Members;
        if (x is not null)
            Check.Operand(x, dy, [rows, weight.InputStride]);
        if (z is not null)
            Check.Operand(z, dy, [rows, weight.Rank]);
        if (dx is not null)
            Check.Operand(dx, dy, [rows, weight.Inputs]);
        if (gradients.Length != members.Count)
        {
            throw new ArgumentException(
                $"{gradients.Length} gradients, expected one for each of the {members.Count} layers",
                nameof(gradients)
            );
        }

        var targets = new List<(Tensor, int)>(members.Count);
        for (int j = 0; j < members.Count; j++)
        {
            gradients[j].Verify(weight.OutputsOf(j).Count, weight.Inputs, members[j].Rank, dy);
            if (x is null && (gradients[j].Left ?? gradients[j].Right) is not null)
                throw new ArgumentNullException(nameof(x), "the gradients of L and R need the layers' input");
            if (z is null && gradients[j].Middle is not null)
                throw new ArgumentNullException(nameof(z), "the gradient of c needs what the forward pass kept");
            if (gradients[j].Right is { } right)
                targets.Add((right, weight.RanksOf(j).From + gradients[j].RightFrom));
        }
        Record(weight, LowRankDirection.InputGradient);

        for (int j = 0; j < members.Count; j++)
        {
            ((int from, int count), (int rankFrom, int rank)) = (weight.OutputsOf(j), weight.RanksOf(j));
            using Tensor? g = gradients[j].Middle is null ? null : Tensor.Empty(dy.Device, (rows, rank), dy.DType);
            LowRank.OutputGradients(
                new ColumnRange(dy, from, count),
                members[j],
                z is null ? null : new ColumnRange?(new(z, rankFrom, rank)),
                g is null ? null : new ColumnRange?(g),
                new ColumnRange(dy, weight.Outputs + rankFrom, rank),
                gradients[j],
                accumulate.HasFlag(Accumulate.Gradients),
                x is null ? null : new ColumnRange?(new(x, weight.Inputs + rankFrom, rank))
            );
        }
        if (targets.Count > 0)
        {
            LowRank.InputGradient(
                new ColumnRange(dy, weight.Outputs, weight.Rank),
                new ColumnRange(x!, 0, weight.Inputs),
                CollectionsMarshal.AsSpan(targets),
                1,
                accumulate.HasFlag(Accumulate.Gradients)
            );
        }

        if (dx is null)
            return;
        var call = new LowRankCase(
            dy.Device,
            dy.DType,
            LowRankDirection.InputGradient,
            rows,
            weight.Inputs,
            weight.Outputs,
            weight.Rank,
            LowRankLayout.LaidOut
        );
        Variant.Run(
            new LowRankProduct(
                call,
                new(dy, 0, weight.Outputs),
                new ColumnRange(weight.Buffer, 0, weight.Inputs),
                new(dy, weight.Outputs, weight.Rank),
                1,
                weight.Right,
                null,
                dx,
                accumulate.HasFlag(Accumulate.Dx)
            )
        );
    }

    private static LowRankLinearVariant Variant => LowRankLinear.Variants[LowRankVariant.Augmented];

    private static void Record(AugmentedWeight weight, LowRankDirection direction) =>
        weight.Buffer.Device.Variants.Add(
            new VariantUse(
                new LowRankCase(weight.Buffer.Device, weight.Buffer.DType, direction, 0, 0, 0, 0).What,
                "augmented",
                null,
                null
            )
        );
}
