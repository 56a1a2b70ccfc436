using Spectral.Kernels.Interop;
using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Ops;

/// <summary>Multiplies a few rows with a quantised weight in one kernel that reads its codes once.</summary>
internal sealed class MatvecProduct : QuantizedProductVariant
{
    /// <summary>Most rows of x; kMostRows of the kernel.</summary>
    public const int MostRows = 8;

    public override QuantizedVariant Kind => QuantizedVariant.Matvec;

    public override string Name => "matvec";

    public override string? Refuses(in QuantizedCase call)
    {
        if (call.Direction != Ops.LowRankDirection.Forward)
            return "it is forward only";
        return call.Rows > MostRows ? "there are more than 8 rows" : null;
    }

    public override void Run(in QuantizedProduct product)
    {
        QuantizedCase call = product.Case;
        var args = new QuantizedMatvecArgs
        {
            Weight = product.Weight.Source,
            X = product.X.Pointer,
            Y = product.Y.Pointer,
            XStride = product.X.Stride,
            YStride = product.Y.Stride,
            Rows = call.Rows,
            Columns = call.Columns,
            Depth = call.Depth,
            Accumulate = product.Accumulate ? 1 : 0,
        };
        KernelEntry<QuantizedMatvecArgs> entry =
            call.Format.Bits() == 4 ? QuantizedMatvecArgs.FourBits : QuantizedMatvecArgs.EightBits;
        entry.Launch(call.Device, call.Type, args, Launch.RowBlocks(call.Columns));
    }
}
