using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Building;

/// <summary>Penalties that several methods add to the loss.</summary>
internal static class Penalties
{
    /// <summary>
    /// Returns ‖XᵀX − I‖_F for orthonormal columns of X, or ‖XXᵀ − I‖_F for orthonormal rows; [1]. Where X is exactly
    /// orthonormal, the gradient is taken as zero.
    /// </summary>
    public static Expression Orthonormality(Expression x, bool columns) =>
        x.MatMul(x, transposeA: columns, transposeB: !columns).AddIdentity(-1).Norm();

    /// <summary>Returns the squared Frobenius norm ‖X‖_F²; [1].</summary>
    public static Expression Squares(Expression x) => x.Dot(x);
}
