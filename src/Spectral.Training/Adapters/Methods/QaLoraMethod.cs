using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// QA-LoRA: A reads the mean of each group of inputs, so that ΔW is constant within a group of a row. Added to a weight
/// that is quantised in these groups, it only moves the groups' zero points.
/// </summary>
internal sealed class QaLoraMethod : AdapterMethod
{
    private const string Group = "group-size";

    public override string Name => "qa-lora";
    public override string Formula =>
        "W + (alpha/rank)·(in/g²)·B·(A ⊗ 1_g), A [r, in/g], so that A reads means of g inputs, times in/g";
    public override string Source => "Xu et al., 2023, arXiv 2309.14717";
    public override string Use =>
        "For a base quantised in groups with zero points, into which it merges without loss: g times fewer numbers "
        + "in A.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                Group,
                32,
                1,
                65536,
                "Number g of inputs of a group, rounded to the nearest divisor of a layer's inputs."
            ),
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int size = Divisors.Nearest(layer.In, (int)layer.Setting(Group));
        (int rank, int groups) = (layer.Rank, layer.In / size);
        // A mean is the sum over the group by its size; PEFT multiplies it by the number of groups.
        Expression right = layer
            .Trained("qalora_A", (rank, groups), Start.KaimingUniform)
            .Reshape((rank * groups, 1))
            .Tile(1, size)
            .Reshape((rank, layer.In));
        return new AdapterForm
        {
            Terms = [new(layer.Trained("qalora_B", (layer.Out, rank)), right, layer.Options.Scale * groups / size)],
        };
    }
}
