using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>Rows of an input that stand for all of them in backward.</summary>
/// <param name="Index">The places of the rows, [K] I32.</param>
/// <param name="Input">These rows of the input [N, in], times N/K.</param>
internal sealed record RowSample(Tensor Index, Tensor Input)
{
    /// <summary>Returns these rows of another matrix with as many rows as the input. The caller disposes it.</summary>
    public Tensor Of(Tensor matrix) => Of(matrix, Index);

    /// <summary>Returns some rows of a matrix. The caller disposes it.</summary>
    internal static Tensor Of(Tensor matrix, Tensor index)
    {
        var rows = Tensor.Empty(matrix.Device, (index.Dim(0), matrix.Dim(1)), matrix.DType);
        Rows.Gather(matrix, index, rows);
        return rows;
    }
}
