using Spectral.Training.Gguf.Architectures;
using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Export;

/// <summary>A tensor of a GGUF file and the tensors of the checkpoint that it is made of.</summary>
/// <param name="Name">llama.cpp's name.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Parts">
/// The checkpoint's name; of stacked experts the names of all, in their order, each a slice of the tensor.
/// </param>
internal sealed record GgufSource(string Name, IReadOnlyList<long> Shape, IReadOnlyList<string> Parts)
{
    private const string Positions = "position_embd.weight";
    private const string Norm = "_norm.weight";

    /// <summary>The number of heads whose rows change places; 0: rows stay where they are.</summary>
    public int PairedHeads { get; init; }

    /// <summary>What is added to each value, as to weights of norms that are stored as differences to 1.</summary>
    public float Offset { get; init; }

    /// <summary>Returns the type that the tensor gets in a file of a type.</summary>
    public GgufType TypeIn(GgufType file)
    {
        bool staysExact =
            Shape.Count == 1
            || Name == Positions
            || Name.EndsWith(Norm, StringComparison.Ordinal)
            || Name.Contains(ExpertKeys.Router, StringComparison.Ordinal);
        if (staysExact)
            return GgufType.F32;
        return file == GgufType.Q8 && Shape[^1] % Q8Block.Values != 0 ? GgufType.F16 : file;
    }

    /// <summary>Arranges the values of a part, [rows, columns] or a vector, as llama.cpp wants them.</summary>
    public float[] Arrange(float[] values)
    {
        if (Offset != 0)
            values = Array.ConvertAll(values, value => value + Offset);
        return PairedHeads == 0 ? values : PairRows(values, PairedHeads, (int)Shape[0]);
    }

    /// <summary>Lists the tensors of a model.</summary>
    public static IReadOnlyList<GgufSource> Of(GgufArchitecture architecture, ModelConfig config)
    {
        ModelFamily family = config.Family;
        long[] table = [config.VocabularySize, config.HiddenSize];
        List<GgufSource> sources = [new("token_embd.weight", table, [family.EmbeddingWeight])];
        if (family.PositionsWeight is { } positions)
            sources.Add(new GgufSource(Positions, [config.MaxPositions, config.HiddenSize], [positions]));
        for (int layer = 0; layer < config.Layers; layer++)
            sources.AddRange(InLayer(architecture, config, layer));
        sources.AddRange(OfNorm(family.LastNorm(config)!, "output_norm"));
        if (!config.TieWordEmbeddings || architecture.NeedsHead)
        {
            string head = config.TieWordEmbeddings ? family.EmbeddingWeight : family.HeadWeight;
            sources.Add(new GgufSource("output.weight", table, [head]));
        }
        if (family.HeadHasBias)
            sources.Add(new GgufSource("output.bias", [config.VocabularySize], [family.HeadBias]));
        return sources;
    }

    /// <summary>
    /// Moves row i of the first half of each head to 2i and row i of the second half to 2i + 1, so that features that
    /// turn together become neighbours.
    /// </summary>
    internal static float[] PairRows(float[] values, int heads, int rows)
    {
        float[] paired = new float[values.Length];
        int columns = values.Length / rows;
        int half = rows / heads / 2;
        for (int row = 0; row < rows; row++)
        {
            (int head, int within) = Math.DivRem(row, 2 * half);
            int target = (head * 2 * half) + (2 * (within % half)) + (within / half);
            values.AsSpan(row * columns, columns).CopyTo(paired.AsSpan(target * columns));
        }
        return paired;
    }

    private static IEnumerable<GgufSource> InLayer(GgufArchitecture architecture, ModelConfig config, int layer)
    {
        foreach (NormSpec norm in config.Family.Norms(config, layer))
        {
            foreach (GgufSource source in OfNorm(norm, NameOf(norm.Name)))
                yield return source;
        }

        List<LinearSpec> experts = [];
        foreach (LinearSpec linear in config.Family.Linears(config, layer))
        {
            if (ExpertModule.Of(linear.Name) is not null)
            {
                experts.Add(linear);
                continue;
            }
            int heads = HeadsOf(architecture, config, linear.Name);
            string name = NameOf(linear.Name);
            yield return new GgufSource($"{name}.weight", [linear.Outputs, linear.Inputs], [linear.Weight])
            {
                PairedHeads = heads,
            };
            if (linear.HasBias)
                yield return new GgufSource($"{name}.bias", [linear.Outputs], [linear.Bias]) { PairedHeads = heads };
        }
        foreach (IGrouping<string, LinearSpec> stack in experts.GroupBy(linear => NameOf(linear.Name)))
        {
            LinearSpec[] parts = [.. stack.OrderBy(linear => ExpertModule.Of(linear.Name)!.Value.Expert)];
            yield return new GgufSource(
                $"{stack.Key}.weight",
                [parts.Length, parts[0].Outputs, parts[0].Inputs],
                [.. parts.Select(linear => linear.Weight)]
            );
        }

        string NameOf(string module)
        {
            string prefix = $".{layer}.";
            string within = module[(module.IndexOf(prefix, StringComparison.Ordinal) + prefix.Length)..];
            return $"blk.{layer}.{architecture.Modules[ExpertModule.Of(within)?.Module ?? within]}";
        }
    }

    private static int HeadsOf(GgufArchitecture architecture, ModelConfig config, string module) =>
        (architecture.PairsRows, ModelTensors.EndOf(module)) switch
        {
            (true, "q_proj") => config.Heads,
            (true, "k_proj") => config.KeyValueHeads,
            _ => 0,
        };

    private static IEnumerable<GgufSource> OfNorm(NormSpec norm, string name)
    {
        long[] shape = norm.Heads is { } heads ? [heads, norm.Size] : [norm.Size];
        yield return new GgufSource($"{name}.weight", shape, norm.Weights) { Offset = norm.Form.WeightOffset };
        if (norm.Form.HasBias)
            yield return new GgufSource($"{name}.bias", [norm.Size], [norm.Bias]);
    }
}
