using System.Text.Json.Nodes;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Support;

/// <summary>Reads and compares what a training run leaves, without what depends on the clock.</summary>
public static class RunFiles
{
    /// <summary>
    /// Asserts that two folders contain the same run, bit for bit; report.html, which shows times, is left out.
    /// </summary>
    public static void AssertSame(string actual, string expected)
    {
        Assert.That(Names(actual), Is.EqualTo(Names(expected)), "names, leftovers included");
        foreach (
            string name in Names(expected)
                .Where(name =>
                    File.Exists(Path.Combine(expected, name))
                    && name is not ("report.html" or "train_log.jsonl")
                    && !name.StartsWith("trainer_state", StringComparison.Ordinal)
                )
        )
        {
            Assert.That(
                File.ReadAllBytes(Path.Combine(actual, name)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(expected, name))),
                name
            );
        }

        Assert.That(Log(actual), Is.EqualTo(Log(expected)));
        Assert.That(State(actual), Is.EqualTo(State(expected)));
    }

    /// <summary>
    /// Returns path, contents and time of writing of every file, to check that none was touched. A lock is not part of
    /// a run, and a killed process may leave one.
    /// </summary>
    public static string[] Snapshot(string folder) =>
        [
            .. Directory
                .GetFiles(folder, "*", SearchOption.AllDirectories)
                .Where(file => Path.GetFileName(file) != ".spectral.lock")
                .Order(StringComparer.Ordinal)
                .Select(file =>
                    $"{file} {File.GetLastWriteTimeUtc(file):O} "
                    + $"{Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))}"
                ),
        ];

    /// <summary>Returns the log without its speeds.</summary>
    public static string[] Log(string folder) =>
        [
            .. File.ReadLines(Path.Combine(folder, "train_log.jsonl"))
                .Select(line =>
                {
                    JsonObject step = JsonNode.Parse(line)!.AsObject();
                    step.Remove("tokens_per_second");
                    return step.ToJsonString();
                }),
        ];

    /// <summary>Returns the file that a run resumes from.</summary>
    public static string StateFile(string folder) => Path.Combine(folder, "trainer_state", "checkpoint.safetensors");

    private static string[] Names(string folder) =>
        [
            .. Directory
                .GetFileSystemEntries(folder, "*", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(folder, path))
                .Order(StringComparer.Ordinal),
        ];

    private static string[] State(string folder)
    {
        using var file = SafetensorsFile.Open(StateFile(folder));
        return
        [
            .. file
                .Tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal)
                .Select(tensor =>
                    $"{tensor.Name} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(tensor.Data))}"
                ),
        ];
    }
}
