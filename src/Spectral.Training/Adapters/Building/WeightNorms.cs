using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Building;

/// <summary>Computes Euclidean norms of the rows, the columns or the whole of a weight.</summary>
internal static class WeightNorms
{
    /// <summary>Computes ‖W_i‖ of each row, [out] F32.</summary>
    public static void PerRow(Tensor weight, Tensor norms) => Run(weight, norms, Broadcast.PerRow);

    /// <summary>Computes ‖W[:, j]‖ of each column, [in] F32.</summary>
    public static void PerColumn(Tensor weight, Tensor norms) => Run(weight, norms, Broadcast.PerColumn);

    /// <summary>Computes the Frobenius norm ‖W‖_F, [1] F32.</summary>
    public static void Whole(Tensor weight, Tensor norm) => Run(weight, norm, Broadcast.Single);

    private static void Run(Tensor weight, Tensor norms, Broadcast broadcast)
    {
        using var wide = Tensor.Empty(weight.Device, weight.Shape);
        Cast.Run(weight, wide);
        using var squares = Tensor.Empty(weight.Device, norms.Shape);
        BroadcastDot.Run(wide, wide, squares, broadcast);
        ElementwiseMap.Forward(squares, norms, MapFunction.Sqrt);
    }
}
