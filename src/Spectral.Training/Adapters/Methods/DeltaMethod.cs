using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>The whole change of a weight as one trained matrix.</summary>
internal sealed class DeltaMethod : AdapterMethod
{
    /// <summary>The name of the change [out, in] in files.</summary>
    public const string Leaf = "delta";

    public override string Name => "delta";
    public override string Formula => "W + D, D of the size of W";
    public override string Source => "full fine-tuning of the chosen layers, kept apart from the base";

    public override string Use =>
        "Trains every weight of its layers, as full fine-tuning does and at its cost, but keeps the change by itself, "
        + "so that it can be compressed (spectral compress) or taken off again.";

    public override AdapterForm Form(AdapterBuilder layer) =>
        new() { Weight = layer.Weight.Add(layer.Trained(Leaf, (layer.Out, layer.In))) };
}
