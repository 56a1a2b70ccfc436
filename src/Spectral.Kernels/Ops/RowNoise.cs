using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Adds uniform noise to the rows of a matrix, each with a strength of its own.</summary>
public static class RowNoise
{
    /// <summary>
    /// Computes <c>x[n,d] += scales[n] (2u − 1)</c> with u uniform in [0, 1). The noise depends on seed and micro-batch
    /// of the state, the stream and the number of the element alone, so that a captured step draws anew when it is
    /// replayed.
    /// </summary>
    /// <param name="state">Holds seed and number of the micro-batch on the device.</param>
    /// <param name="stream">Number of the noise, to have several that are independent.</param>
    /// <param name="scales">[N] F32: largest noise of each row; 0 leaves a row as it is.</param>
    /// <param name="x">[N, D] F32 or BF16, in place.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Add(StepState state, uint stream, Tensor scales, Tensor x)
    {
        ArgumentNullException.ThrowIfNull(state);
        Check.Floating(x, [-1, -1]);
        Check.Operand(scales, x, DType.F32, [x.Dim(0)]);
        Check.SameDevice(state.Device, x, nameof(state));
        if (x.Count == 0)
            return;
        var args = new RowNoiseArgs
        {
            State = state.DropoutPointer,
            X = x.Pointer,
            Scales = scales.Pointer,
            Stream = stream,
            Count = x.Count,
            Width = x.Dim(1),
        };
        RowNoiseArgs.Kernel.Launch(x.Device, x.DType, args, Launch.FlatBlocks(x.Count, x.DType));
    }
}
