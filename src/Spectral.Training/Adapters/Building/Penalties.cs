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

    /// <summary>
    /// Returns the part of <see cref="Orthonormality(Expression, bool)"/> beyond a distance that costs nothing,
    /// max(0, ‖XᵀX − I‖_F − λ); [1] (Ricci et al., 2025, arXiv 2509.16664).
    /// </summary>
    /// <param name="x">The matrix X.</param>
    /// <param name="columns">Whether its columns are to be orthonormal, or its rows.</param>
    /// <param name="free">The distance λ; 0 is no other penalty than without it.</param>
    public static Expression Orthonormality(Expression x, bool columns, double free)
    {
        Expression distance = Orthonormality(x, columns);
        return free == 0 ? distance : distance.Reshape((1, 1)).AddIdentity(-free).Max(0).Reshape(1);
    }

    /// <summary>
    /// Declares λ of <see cref="Orthonormality(Expression, bool, double)"/> for a method's own factors.
    /// </summary>
    public static AdapterSetting Free { get; } =
        new("lambda-orthogonal", 0, 0, 1e6, "Distance from orthonormal factors that costs nothing, in the norm.");

    /// <summary>
    /// Returns the Frobenius norm of XᵀX without its diagonal for orthogonal columns of X, or of XXᵀ for orthogonal
    /// rows; [1]. Where X has them exactly, the gradient is taken as zero.
    /// </summary>
    public static Expression Orthogonality(Expression x, bool columns) =>
        x.MatMul(x, transposeA: columns, transposeB: !columns).UpperTriangle(0).Norm().Scale(Math.Sqrt(2));

    /// <summary>Returns the squared Frobenius norm ‖X‖_F²; [1].</summary>
    public static Expression Squares(Expression x) => x.Dot(x);
}
