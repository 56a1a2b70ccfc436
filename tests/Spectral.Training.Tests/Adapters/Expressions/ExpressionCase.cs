using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>One operation: the shapes of its inputs, how it is stated, and what it means.</summary>
public sealed record ExpressionCase(
    string Name,
    Shape[] Inputs,
    Func<Expression[], Expression> Build,
    Func<double[][], double[]> Formula
)
{
    /// <summary>Returns the factor that an input is, or is made of.</summary>
    internal static Factor FactorOf(Expression input) => input as Factor ?? (Factor)input.Inputs[0];

    public override string ToString() => Name;
}
