using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Training.Distributed;
using Spectral.Training.Models;

namespace Spectral.Cli.Runs;

/// <summary>The memory that a run took on the device of one rank.</summary>
/// <param name="Peak">The largest number of bytes that tensors had at a time.</param>
/// <param name="Weights">The largest number of bytes of them that were weights of the model.</param>
internal sealed record RankMemory(long Peak, long Weights)
{
    /// <summary>Returns the memory of all ranks, by rank. All of them call this at the same point.</summary>
    public static IReadOnlyList<RankMemory> Gather(RankGroup ranks, CausalLanguageModel model)
    {
        string own = string.Create(
            CultureInfo.InvariantCulture,
            $"{model.Device.Memory.Peak} {model.PeakShardBytes ?? model.Bytes}"
        );
        return
        [
            .. ranks
                .Gather(own)
                .Select(text => text.Split(' '))
                .Select(numbers => new RankMemory(Number(numbers[0]), Number(numbers[1]))),
        ];
    }

    /// <summary>Returns the entry of a rank for --json.</summary>
    public JsonObject Json() => new() { ["peak_memory_bytes"] = Peak, ["peak_weight_bytes"] = Weights };

    /// <summary>Returns the memory in words, in MiB.</summary>
    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Mebibytes(Peak):0.##} MiB ({Mebibytes(Weights):0.##} of weights)"
        );

    private static double Mebibytes(long bytes) => bytes / (double)(1 << 20);

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
