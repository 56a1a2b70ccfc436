using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>Mixes each row from the k vectors of a bank with the largest logits.</summary>
internal sealed class BankMixture : Expression
{
    private readonly Expression _logits;
    private readonly Expression _bank;
    private readonly int _k;

    public BankMixture(Expression logits, Expression bank, int k)
        : base(Mixed(logits.Shape, bank.Shape, k), logits, bank) => (_logits, _bank, _k) = (logits, bank, k);

    protected override void Evaluate(Tensor value) =>
        Choose((index, weight) => TopKMixture.Forward(_bank.Value, index, weight, value));

    protected override void Backward(Tensor gradient) =>
        Choose(
            (index, weight) =>
            {
                if (_logits.GradientBuffer(out bool adds) is { } dLogits)
                    TopKMixture.BackwardLogits(_bank.Value, index, weight, gradient, dLogits, adds);
                if (_bank.GradientBuffer(out adds) is { } dBank)
                    TopKMixture.BackwardBank(index, weight, gradient, dBank, adds);
            }
        );

    // The choice is repeated in backward, which costs one pass over the logits.
    private void Choose(Action<Tensor, Tensor> use)
    {
        (Device device, Shape shape) = (_logits.Value.Device, (Shape)(_logits.Shape[0], _k));
        using var index = Tensor.Empty(device, shape, DType.I32);
        using var weight = Tensor.Empty(device, shape);
        TopKMixture.Select(_logits.Value, index, weight);
        use(index, weight);
    }

    private static Shape Mixed(Shape logits, Shape bank, int k) =>
        logits.Rank == 2
        && bank.Rank == 2
        && logits[1] == bank[0]
        && k >= 1
        && k <= bank[0]
        && k <= TopKMixture.MostChosen
            ? (logits[0], bank[1])
            : throw new ArgumentException(
                $"mixtures of {k} vectors of a bank {bank} by logits {logits}: expected [p, n] and [n, "
                    + $"length], and 1 to {TopKMixture.MostChosen} vectors",
                nameof(logits)
            );
}
