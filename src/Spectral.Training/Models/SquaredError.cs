using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Models;

/// <summary>The squared error of numbers that a model gives.</summary>
internal static class SquaredError
{
    /// <summary>Computes (output − value)² of each row, and its gradient.</summary>
    /// <param name="outputs">What the model gives, [K, 1] F32.</param>
    /// <param name="values">What it should be, [K] F32.</param>
    /// <param name="mask">1 for rows that carry loss and 0 for others, [K] F32.</param>
    /// <param name="losses">Receives the losses, [K] F32.</param>
    /// <param name="gradient">
    /// Receives the gradient of the outputs, which may be their own memory; null: none is wanted.
    /// </param>
    /// <param name="gradientScale">The factor on the gradient.</param>
    /// <param name="lossScale">A further factor, [1] F32 on the device; null: 1.</param>
    public static void Run(
        Tensor outputs,
        Tensor values,
        Tensor mask,
        Tensor losses,
        Tensor? gradient,
        float gradientScale,
        Tensor? lossScale
    )
    {
        int rows = outputs.Dim(0);
        using var difference = Tensor.Empty(outputs.Device, rows);
        using (Tensor flat = outputs.View(rows))
            Combine.Run(flat, 1, values, -1, difference);
        BroadcastMultiply.Run(difference, mask, difference, Broadcast.PerElement);
        ElementwiseMap.Forward(difference, losses, MapFunction.Square);
        if (gradient is null)
            return;
        if (lossScale is null)
            Combine.Run(difference, 2 * gradientScale, null, 0, difference);
        else
            BroadcastMultiply.Run(difference, lossScale, difference, Broadcast.Single, 2 * gradientScale);
        using Tensor target = gradient.View(rows);
        if (target.DType == DType.F32)
            target.CopyFrom(difference);
        else
            Cast.Run(difference, target);
    }
}
