using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The sum αx + γI for a matrix or for each of a batch, square or not.</summary>
internal sealed class PlusIdentity(Expression x, double alpha, double gamma) : Expression(x.Shape, x)
{
    protected override void Evaluate(Tensor value) => Combine.AddIdentity(x.Value, (float)alpha, (float)gamma, value);

    protected override void Backward(Tensor gradient) => WeightedSum.Pass(gradient, (float)alpha, x);
}
