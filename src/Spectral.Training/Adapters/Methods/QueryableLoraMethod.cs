using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Tokens;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Queryable LoRA: between A and B stands a mixture of small matrices that all layers share, the atoms. Each token
/// chooses by attention of its low-rank state over a key per atom.
/// </summary>
internal sealed class QueryableLoraMethod : AdapterMethod
{
    private const string Atoms = "atoms";

    public override string Name => "queryable-lora";
    public override string Formula =>
        "y = W·x + (alpha/rank)·B·Σ_a π_a·C_a·h, h = A·x, π the softmax of K·h/√rank; the C_a shared by all layers";
    public override string Source => "Queryable LoRA, 2025";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "A middle that depends on the token: the layers share what they can do, and each token asks for it. It cannot "
        + "be merged.";
    internal override bool FollowsTokens => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [AdapterSetting.Whole(Atoms, 4, 1, TopKGates.MostChosen, "Number of atoms C_a.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int atoms, int rank) = ((int)layer.Setting(Atoms), layer.Rank);
        Factor b = layer.Trained("queryable_B", (layer.Out, rank), rate: layer.Options.LearningRateRatio);
        Factor a = layer.Trained("queryable_A", (rank, layer.In), Start.KaimingUniform);
        Factor keys = layer.Trained("queryable_K", (atoms, rank), Start.Normal(1 / Math.Sqrt(rank)));
        var identities = Start.Values(Identities(atoms, rank));
        Factor shared = layer.Shared("queryable_C", (atoms * rank, rank), true, identities);
        return new AdapterForm
        {
            Change = new RoutedTerms(
                b.Tile(1, atoms),
                shared.MatMul(a),
                layer.Options.Scale,
                new TopKGates(keys.MatMul(a, scale: 1 / Math.Sqrt(rank)), atoms, balance: 0)
            ),
        };
    }

    private static float[] Identities(int count, int size)
    {
        float[] values = new float[count * size * size];
        for (int row = 0; row < count * size; row++)
            values[(row * size) + (row % size)] = 1;
        return values;
    }
}
