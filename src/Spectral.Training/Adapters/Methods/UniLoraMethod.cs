using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Uni-LoRA: every entry of all layers' A and B is one of d trained numbers, at places that PEFT's balanced assignment
/// gives. Divided by the root of how often each occurs, the numbers are projected isometrically.
/// </summary>
internal sealed class UniLoraMethod : AdapterMethod
{
    private const string Length = "length";
    private const string Seed = "place-seed";

    public override string Name => "unilora";
    public override string Formula =>
        "W + B·A, their entries theta[place]/√(times that theta[place] occurs), theta shared by the whole model";
    public override string Source => "Uni-LoRA: One Vector Is All You Need, 2025, arXiv 2506.00799";
    public override string Use =>
        "One vector of d numbers for the whole model. Costs what LoRA does. The weight is slightly changed from the "
        + "start. Rank 4 is customary.";
    public override bool StartsAtBase => false;
    internal override bool HasTensorsOfLayers => false;
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(4),
        PeftField.Dropout("unilora_dropout"),
        PeftField.Bias("unilora_only"),
        PeftField.FanInFanOut,
        PeftField.Start("init_weights"),
        .. PeftField.Ignored("init_theta_d_bound"),
        PeftField.Refused("save_indices", "the places are those that proj_seed gives"),
    ];

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Length, 256, 1, 1 << 24, "Number d of trained numbers.") with
        {
            PeftKey = "theta_d_length",
        },
        AdapterSetting.Whole(Seed, 42, 0, int.MaxValue, "Seed of the places; needed to read a file.") with
        {
            PeftKey = "proj_seed",
        },
    ];

    /// <exception cref="InputException">The layers' factors have too many entries for one assignment.</exception>
    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int length) = (layer.Rank, (int)layer.Setting(Length));
        Factor theta = layer.Shared("unilora_theta_d", length, true, Start.Uniform(0.02));
        var places = BalancedPlaces.Of(layer, rank, length, (ulong)layer.Setting(Seed));
        (int[] a, float[] ofA) = places.Of(layer.Module.Name, isLeft: false);
        (int[] b, float[] ofB) = places.Of(layer.Module.Name, isLeft: true);
        return new AdapterForm
        {
            Terms = [new(theta.Gather((layer.Out, rank), b, ofB), theta.Gather((rank, layer.In), a, ofA))],
        };
    }
}
