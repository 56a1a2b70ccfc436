using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Adapters.Tokens;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Activated LoRA: acts on a record from its last invocation on. Keys and values before it are those of the base.
/// </summary>
internal sealed class AloraMethod : AdapterMethod
{
    public override string Name => "alora";
    public override string Formula => "y = W·x + (alpha/rank)·B·A·x from the invocation tokens on, W·x before them";
    public override string Source => "Greenewald et al., 2025, arXiv 2504.12397";
    public override string Use =>
        "Switched on in the middle of a text, by --invocation: what was computed of it before serves as it is. It "
        + "cannot be merged.";
    public override string PeftType => AdapterConfig.Lora;
    internal override bool FollowsTokens => true;

    public override IReadOnlyList<PeftField>? PeftFields { get; } = PeftField.LoraWith(PeftField.InvocationTokens);

    public override IReadOnlyList<AdapterSetting> Settings { get; } = [LoraStarts.AtBase];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm term = LoraMethod.Term(layer, layer.Rank, LoraStarts.Right(layer));
        return new AdapterForm
        {
            Change = new RoutedTerms(
                term.Left,
                term.Right,
                term.Scale,
                new InvocationGate(layer.Options.InvocationTokens)
            ),
        };
    }

    public override bool UsesSvd(AdapterOptions options) => LoraStarts.UsesSvd(this, options);

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        if (starts.Any(start => start.Options.InvocationTokens.Count == 0))
            throw new InputException($"{Name} acts from its invocation tokens on: expected --invocation TEXT");
        LoraStarts.Begin(this, starts);
    }
}
