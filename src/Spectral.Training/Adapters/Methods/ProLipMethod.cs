using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// ProLIP: one projection trains whole, held back by the squared distance from its pretrained weight.
/// </summary>
internal sealed class ProLipMethod : AdapterMethod
{
    private const string Lambda = "lambda";

    public override string Name => "prolip";
    public override string Formula => "W + D, D of the size of W, loss + lambda·‖D‖²";
    public override string Source => "Fahes et al., 2024, arXiv 2410.05270";
    public override string Use =>
        "Full fine-tuning of a layer on very few examples: give the one layer to train with --target. The paper takes "
        + "1/N for lambda with N examples. The layer trains whole, and D is stored whole.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new(Lambda, 0.0625, 0, 1e9, "Weight of the squared distance from the pretrained weight.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Factor change = layer.Trained(DeltaMethod.Leaf, (layer.Out, layer.In));
        return new AdapterForm
        {
            Weight = layer.Weight.Add(change),
            Penalty = Penalties.Squares(change).Scale(layer.Setting(Lambda)),
        };
    }
}
