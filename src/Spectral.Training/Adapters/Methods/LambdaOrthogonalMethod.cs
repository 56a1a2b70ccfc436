using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// A transform of each layer's outputs that stays near a rotation: Q trains freely while ‖QᵀQ − I‖ is below lambda,
/// and is pulled back beyond it.
/// </summary>
internal sealed class LambdaOrthogonalMethod : AdapterMethod
{
    private const string Lambda = "lambda";
    private const string Weight = "weight";

    public override string Name => "lambda-orthogonal";
    public override string Formula => "Q·W, Q = I + K [out, out], loss + weight·max(0, ‖QᵀQ - I‖ - lambda)";
    public override string Source => "Ricci et al., 2025, arXiv 2509.16664";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Adapts a layer's outputs and keeps their geometry, as far as lambda allows: 0 asks for a rotation. "
        + "Trains out² numbers a layer and computes every weight anew in each step.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new(Lambda, 1, 0, 1e6, "Distance from a rotation, in the Frobenius norm, that costs nothing."),
        new(Weight, 1, 0, 1e6, "Weight of the penalty beyond it."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Factor change = layer.Trained("orthogonal_K", (layer.Out, layer.Out));
        Expression beyond = Penalties.Orthonormality(change.AddIdentity(), columns: true, layer.Setting(Lambda));
        return new AdapterForm
        {
            Weight = layer.Weight.Add(change.MatMul(layer.Weight)),
            Penalty = beyond.Scale(layer.Setting(Weight)),
        };
    }
}
