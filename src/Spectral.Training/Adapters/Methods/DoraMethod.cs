using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// DoRA: magnitude and direction of each output's weight train separately. The norm is a constant in backward, as
/// published. It is computed from r×r products, so that the changed weight itself is never formed.
/// </summary>
internal sealed class DoraMethod : AdapterMethod
{
    internal static readonly AdapterSetting NormSetting = AdapterSetting.Choice(
        "norm",
        "Whether |row| is a constant in backward, as published, or differentiated.",
        "constant",
        "differentiated"
    );

    // If the three terms cancel up to rounding, a norm of zero would make the scale infinite.
    private const double SmallestNorm = 1e-6;

    public override string Name => "dora";
    public override string Formula => "diag(m / |row|)·(W + s·B·A), |row| the length of each row of W + s·B·A";
    public override string Source => "Liu et al., 2024, arXiv 2402.09353";
    public override string Use =>
        "LoRA that learns more like full fine-tuning. Costs a thin product with W per step and a "
        + "pass over the outputs.";
    public override string PeftType => "LORA";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = PeftField.LoraWith(PeftField.Is("use_dora", true));
    public override IReadOnlyList<AdapterSetting> Settings => [NormSetting, LoraStarts.All];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        if (!LoraStarts.IsResidual(layer))
        {
            LowRankTerm change = LoraMethod.Term(layer, layer.Rank, LoraStarts.Right(layer));
            return new AdapterForm { Terms = [change], OutputScale = Scale(layer, change) };
        }
        (int rank, double scale) = (layer.SpectralRank, layer.Options.Scale);
        LowRankTerm[] terms = layer.Residual(
            LoraMethod.Left(layer, rank),
            layer.Trained(LoraNames.A, (rank, layer.In)),
            scale
        );
        // Both terms, −s·B0·A0 and s·B·A, as one product.
        Expression left = ExpressionOperations.ConcatColumns(terms[0].Left.Scale(-1), terms[1].Left);
        Expression right = ExpressionOperations.ConcatRows(terms[0].Right, terms[1].Right);
        return new AdapterForm { Terms = terms, OutputScale = Scale(layer, new LowRankTerm(left, right, scale)) };
    }

    /// <inheritdoc/>
    internal override IReadOnlyDictionary<string, double>? SettingsOfStart(string start) =>
        LoraStarts.All.Choices.Contains(start)
            ? new Dictionary<string, double> { [LoraStarts.All.Name] = LoraStarts.All.Parse(start) }
            : null;

    public override bool UsesSvd(AdapterOptions options) => LoraStarts.UsesSvd(this, options);

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        LoraStarts.Begin(this, starts);
        foreach (AdapterStart start in starts)
        {
            WeightNorms.PerRow(start.Weight, start[LoraNames.Magnitude]);
            start.Release();
        }
    }

    /// <summary>
    /// Returns the output scale m / ‖W_j + s (L R)_j‖, where ‖·‖² = ‖W_j‖² + 2s (W Rᵀ)_j·L_j + s² L_j (R Rᵀ) L_jᵀ.
    /// </summary>
    internal static Expression Scale(AdapterBuilder layer, LowRankTerm change)
    {
        (Expression left, Expression right, double s) = (change.Left, change.Right, change.Scale);
        Expression cross = layer.Weight.MatMul(right, transposeB: true).Dot(left, Broadcast.PerRow);
        Expression own = left.MatMul(right.MatMul(right, transposeB: true)).Dot(left, Broadcast.PerRow);
        Expression base2 = layer.Weight.Dot(layer.Weight, Broadcast.PerRow);
        Expression norm = base2.Add(cross, 1, 2 * s).Add(own, 1, s * s).Sqrt(SmallestNorm * SmallestNorm);
        if (layer.Setting(NormSetting.Name) == 0)
            norm = norm.Detach();
        return layer.Trained(LoraNames.Magnitude, layer.Out).Multiply(norm.Reciprocal(), Broadcast.PerElement);
    }
}
