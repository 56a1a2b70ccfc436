using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>EDoRA: LoRA-XS's trained r×r matrix inside DoRA.</summary>
internal sealed class EdoraMethod : AdapterMethod
{
    public override string Name => "edora";
    public override string Formula => "diag(m / |row|)·(W + s·(U_r diag(sigma_r))·C·V_rᵀ), C [r, r] from zero";
    public override string Source => "Nasiri and Garraghan, 2025, arXiv 2501.12067";
    public override string Use => "DoRA’s magnitudes at r² + out numbers a layer.";
    public override IReadOnlyList<AdapterSetting> Settings => [DoraMethod.NormSetting];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm change = LoraXsMethod.Term(layer, Start.Zeros);
        return new AdapterForm { Terms = [change], OutputScale = DoraMethod.Scale(layer, change) };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        LoraXsMethod.Begin(starts);
        foreach (AdapterStart start in starts)
        {
            WeightNorms.PerRow(start.Weight, start[LoraNames.Magnitude]);
            start.Release();
        }
    }
}
