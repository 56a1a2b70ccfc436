using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Calibration;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// HFT: half of the matrices of each attention and of each feed-forward block train whole, drawn at random, and the
/// other half stays as it is. A further round with another seed trains other matrices.
/// </summary>
internal sealed class HftMethod : AdapterMethod
{
    public override string Name => "hft";
    public override string Formula => "W + D for half of the matrices of each block, D of the size of W";
    public override string Source => "Hui et al., 2024, arXiv 2404.18466";
    public override string Use =>
        "Full fine-tuning that forgets less, since half of the weights stay. Give every round its own --seed. Of an "
        + "odd number of matrices one more or one fewer is drawn. They train whole, so that D is stored whole, too: "
        + "places of all entries would only double it.";

    public override IReadOnlyList<AdapterOptions?> Distribute(
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        ICalibration? calibration
    )
    {
        HashSet<string> chosen =
        [
            .. modules
                .Select(module => module.Name)
                .GroupBy(name => name[..Math.Max(0, name.LastIndexOf('.'))])
                .SelectMany(block => Half(block.Key, [.. block], options.Seed)),
        ];
        return [.. modules.Select(module => chosen.Contains(module.Name) ? options.For(module.Name) : null)];
    }

    public override AdapterForm Form(AdapterBuilder layer) =>
        new() { Weight = layer.Weight.Add(layer.Trained(DeltaMethod.Leaf, (layer.Out, layer.In))) };

    private static IEnumerable<string> Half(string block, string[] names, ulong seed)
    {
        // One more or one fewer of an odd number, but at least one.
        int count = Math.Max(1, (names.Length + (int)(RandomStream.For($"hft.{seed}.{block}") % 2)) / 2);
        return names.OrderBy(name => RandomStream.For($"hft.{seed}.{name}")).Take(count);
    }
}
