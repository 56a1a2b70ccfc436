using System.Text.Json;
using Spectral.Kernels;
using Spectral.Training.Distributed;
using Spectral.Training.IO;

namespace Spectral.Cli.Runs;

/// <summary>Checks that all ranks begin the same run, as each has a command line and files of its own.</summary>
internal static class RankAgreement
{
    /// <summary>Compares what the results of a run depend on between the ranks.</summary>
    /// <param name="ranks">The ranks, all of which call this.</param>
    /// <param name="identity">The options and files of this rank's run.</param>
    /// <param name="saved">The checkpoint that this rank resumes from; null for a new run.</param>
    /// <param name="device">This rank's device.</param>
    /// <param name="type">This rank's compute type.</param>
    /// <exception cref="InputException">A rank differs from the first, in what the message names.</exception>
    public static void Require(RankGroup ranks, RunIdentity identity, SavedRun? saved, Device device, DType type)
    {
        if (ranks.Count == 1)
            return;
        string[] all = ranks.Gather(JsonSerializer.Serialize(Facts(identity, saved, device, type)));
        Dictionary<string, string>[] facts = [.. all.Select(text => Read(text))];
        for (int rank = 1; rank < facts.Length; rank++)
        {
            foreach (string name in facts[0].Keys.Union(facts[rank].Keys).Order(StringComparer.Ordinal))
            {
                (string? first, string? own) = (facts[0].GetValueOrDefault(name), facts[rank].GetValueOrDefault(name));
                if (first != own)
                {
                    throw new InputException(
                        $"rank {rank} has {name} {Text(own)}, and rank 0 has {Text(first)}; expected the same on all "
                            + $"{ranks.Count} ranks"
                    );
                }
            }
        }
    }

    private static Dictionary<string, string> Facts(RunIdentity identity, SavedRun? saved, Device device, DType type)
    {
        var facts = new Dictionary<string, string>(identity.Options)
        {
            ["version"] = SavedRun.Version,
            ["--dtype"] = type.ToString(),
            ["a device of kind"] = device.Kind.ToString(),
            ["a checkpoint of step"] = saved is null ? "" : $"{saved.State.Step}",
        };
        foreach ((string name, string value) in identity.Variables)
            facts[name] = value;
        foreach ((string name, string digest) in identity.Files)
            facts[$"in {name} contents of digest"] = digest.Length > 0 ? digest[..Math.Min(12, digest.Length)] : "";
        return facts;
    }

    private static Dictionary<string, string> Read(string text) =>
        JsonSerializer.Deserialize<Dictionary<string, string>>(text)!;

    private static string Text(string? value) => value is null or "" ? "none" : value;
}
