using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// One matrix that moves by a rule of its entries in rotated coordinates: R f(RᵀM), where the rotation R is the
/// orthonormal factor of M f(RᵀM)ᵀ with the rotation before it. The shorter side, s of l, is rotated.
/// </summary>
internal sealed class RotatedDescent
{
    private const int Rounds = 5;
    private const float Least = 1e-30f; // of a mean square: rows of zeros stay zero

    private readonly OptimizerRun _run;
    private readonly Parameter _parameter;
    private readonly Tensor _sum; // the momentum over 1 − β; a rule that is free of scale needs no more
    private readonly Tensor _rotation; // [1, s, s], Rᵀ; the leading 1 tells it from state per value
    private readonly (float Momentum, float Scale, float Rate) _factors;
    private readonly Tensor? _ones; // [l], for Sinkhorn's normalisation; null: f is the sign
    private readonly bool _isTall;
    private readonly Shape _flat;
    private readonly Shape _square;

    /// <summary>Declares the rotation among the optimizer's state.</summary>
    /// <param name="run">What the optimizer works with.</param>
    /// <param name="index">The number of the parameter, a matrix.</param>
    /// <param name="sum">Its momentum.</param>
    /// <param name="momentum">The share of the momentum that is left in a step.</param>
    /// <param name="scale">The factor of a step.</param>
    /// <param name="isSinkhorn">Whether f is Sinkhorn's normalisation rather than the sign.</param>
    public RotatedDescent(OptimizerRun run, int index, Tensor sum, float momentum, float scale, bool isSinkhorn)
    {
        (_run, _parameter, _sum) = (run, run.Parameters.Parameters[index], sum);
        _factors = (momentum, scale, (float)run.Parameters.RateOf(index));
        (int rows, int columns) = (_parameter.Shape[0], _parameter.Shape[1]);
        _isTall = rows > columns;
        (int side, int length) = (Math.Min(rows, columns), Math.Max(rows, columns));
        (_flat, _square) = ((side, length), (side, side));
        _rotation = run.PerParameter("rotation", _parameter, (1, side, side));
        if (!isSinkhorn)
            return;
        _ones = run.Scratch(length);
        _ones.CopyFrom([.. Enumerable.Repeat(1f, length)]);
    }

    /// <summary>Updates momentum, rotation and matrix in a step that is not skipped. Waits for the device.</summary>
    /// <param name="isFirst">Whether it is the first step, before which the rotation is the identity.</param>
    public void Update(bool isFirst)
    {
        using Tensor rotation = _rotation.View(_square);
        using var direction = Tensor.Empty(_run.Device, _parameter.Shape);
        using var rotated = Tensor.Empty(_run.Device, _flat);
        using var product = Tensor.Empty(_run.Device, _square);
        Muon.Accumulate(_parameter.Gradient!, _sum, _factors.Momentum, direction, _run.StepState);
        if (isFirst)
        {
            rotation.Clear();
            Combine.AddIdentity(rotation, 1, 1, rotation);
        }

        Rotate(rotation, rotated);
        Gemm.Run(rotated, _isTall ? _sum : Gemm.Transposed(_sum), product);
        Orthonormalization.Rows(product, rotation);
        Rotate(rotation, rotated);
        if (_isTall)
            Gemm.Run(Gemm.Transposed(rotated), rotation, direction);
        else
            Gemm.Run(Gemm.Transposed(rotation), rotated, direction);
        Muon.Apply(_parameter.Master, direction, _factors.Scale, _run.StepState, _factors.Rate);
    }

    /// <summary>Computes the direction f(RᵀM), before it is turned back.</summary>
    private void Rotate(Tensor rotation, Tensor rotated)
    {
        Gemm.Run(rotation, _isTall ? Gemm.Transposed(_sum) : _sum, rotated);
        if (_ones is not null)
            Normalize(rotated, _ones);
        else
            ElementwiseMap.Forward(rotated, rotated, MapFunction.Sign);
    }

    /// <summary>Brings the rows, then the columns to a mean square of 1, in several rounds.</summary>
    private static void Normalize(Tensor matrix, Tensor ones)
    {
        Device device = matrix.Device;
        using var transposed = Tensor.Empty(device, (matrix.Dim(1), matrix.Dim(0)));
        using var inverse = Tensor.Empty(device, matrix.Dim(1));
        for (int round = 0; round < Rounds; round++)
        {
            Rows(matrix);
            Permute.Run(matrix, [1, 0], transposed);
            Rows(transposed);
            Permute.Run(transposed, [1, 0], matrix);
        }

        void Rows(Tensor x)
        {
            using Tensor weight = ones.Rows(0, x.Dim(1));
            using Tensor kept = inverse.Rows(0, x.Dim(0));
            RmsNorm.Forward(x, weight, Least, x, kept);
        }
    }
}
