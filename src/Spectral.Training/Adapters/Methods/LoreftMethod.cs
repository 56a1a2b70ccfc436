using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Tokens;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoReFT: replaces the part of a layer's output that lies in the row space of R by a linear function of the output, at
/// the first and last tokens of prompts. R has orthonormal rows, which each step restores by a QR decomposition.
/// </summary>
internal sealed class LoreftMethod : AdapterMethod
{
    private const string R = "reft_R";
    private const string W = "reft_W";
    private const string B = "reft_b";
    private const string First = "first";
    private const string Last = "last";

    public override string Name => "loreft";
    public override string Formula => "y = v + Rᵀ·(A·v + b - R·v), v = W·x, at the first and last tokens of a prompt";
    public override string Source => "Wu et al., 2024, arXiv 2404.03592";
    public override string Use =>
        "Edits what layers say of a few tokens: 2·rank·out numbers, and nothing to compute for tokens that are "
        + "generated. The paper edits the states after whole blocks; --target down_proj is closest. It cannot be "
        + "merged.";
    public override bool ActsBetweenSteps => true;
    internal override bool FollowsTokens => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(First, 1, 0, 1 << 20, "Number of tokens at the beginning of a prompt that are edited."),
        AdapterSetting.Whole(Last, 1, 0, 1 << 20, "Number of tokens at its end that are edited."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Shape shape = (layer.RankWithin(layer.Out), layer.Out);
        Factor rotation = layer.Trained(R, shape, Start.OrthonormalRows);
        Factor learned = layer.Trained(W, shape, Start.CopyOf(rotation));
        Factor shift = layer.Trained(B, shape[0]);
        return new AdapterForm
        {
            Change = new OutputEdit(
                rotation.Transpose(),
                learned.Subtract(rotation),
                shift,
                new PositionGate((int)layer.Setting(First), (int)layer.Setting(Last))
            ),
        };
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        foreach (AdaptedModule module in step.Modules)
        {
            Parameter rotation = module.Factors[R];
            using var orthonormal = Tensor.Empty(rotation.Master.Device, rotation.Master.Shape);
            Orthonormalization.Rows(rotation.Master, orthonormal);
            rotation.Master.CopyFrom(orthonormal);
        }

        return true;
    }
}
