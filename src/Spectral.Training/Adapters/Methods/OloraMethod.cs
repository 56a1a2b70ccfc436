using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Methods;

/// <summary>OLoRA: B starts as the first r columns of Q and A as the first r rows of the triangular factor, T = Qᵀ W.</summary>
internal sealed class OloraMethod : AdapterMethod
{
    private const string A = LoraMethod.A;
    private const string B = LoraMethod.B;

    public override string Name => "olora";
    public override string Formula => "W - s·Q_r·T_r + s·B·A, W = Q·T its QR decomposition";
    public override string Source => "Büyükakyüz, 2024, arXiv 2406.01775";
    public override string Use => "LoRA from an orthonormal start without an SVD: one QR of r columns per layer.";
    public override string PeftType => "LORA";
    public override string? PeftInit => "olora";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        return new AdapterForm
        {
            Terms = layer.Residual(
                layer.Trained(B, (layer.Out, rank)),
                layer.Trained(A, (rank, layer.In)),
                layer.Options.Scale
            ),
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => Begin(starts);

    /// <summary>B and A of the QR decomposition.</summary>
    internal static void Begin(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            (Tensor weight, int rank) = (start.Weight, start.Options.Rank);
            using var wide = Tensor.Empty(weight.Device, weight.Shape);
            Cast.Run(weight, wide);
            using var columns = Tensor.Empty(weight.Device, (weight.Dim(0), rank));
            CopyBlock.Run(new ColumnRange(wide, 0, rank), columns, 0, 0);
            using var rows = Tensor.Empty(weight.Device, (rank, weight.Dim(0)));
            Permute.Run(columns, [1, 0], rows);
            using var q = Tensor.Empty(weight.Device, rows.Shape);
            Orthonormalization.Rows(rows, q);
            Permute.Run(q, [1, 0], start[B]);
            Gemm.Run(q, false, wide, false, start[A]);
        }
    }
}
