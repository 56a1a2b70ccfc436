using Spectral.Training.Models;

namespace Spectral.Training.Objectives.Methods;

internal sealed class CrossEntropyLoss : LossMethod
{
    public override string Name => LossChoice.Default;

    public override string Formula => "mean of −log p(t) over the tokens t that carry loss";

    public override string Source => "next-token cross-entropy, as in transformers";

    public override string Use => "Learns texts, completions and conversations as they are; the default.";

    public override bool TakesPairs => false;

    internal override StepLoss Begin(CausalLanguageModel model, IReadOnlyDictionary<string, double> settings) =>
        new TokenStepLoss(model);
}
