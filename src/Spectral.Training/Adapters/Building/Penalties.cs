using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Building;

/// <summary>What several methods add to the loss.</summary>
internal static class Penalties
{
    /// <summary>
    /// ‖XᵀX − I‖_F over the columns of X, or ‖XXᵀ − I‖_F over its rows; [1]. Its gradient at a perfect X is taken as
    /// zero.
    /// </summary>
    public static Expression Orthonormality(Expression x, bool columns) =>
        x.MatMul(x, transposeA: columns, transposeB: !columns).AddIdentity(-1).Norm();

    /// <summary>‖X‖_F²; [1].</summary>
    public static Expression Squares(Expression x) => x.Dot(x);
}
