using System.CommandLine;
using System.Security.Cryptography;
using Spectral.Cli.Hosting;

namespace Spectral.Cli.Runs;

/// <summary>
/// What a run's bits depend on besides the device: its options and the contents of the files it reads.
/// </summary>
internal sealed class RunIdentity
{
    // The values of these change how often a run reports, how fast it goes or when it gives up, and no bit of it;
    // --dtype is kept as what it came to.
    private static readonly string[] Free =
    [
        "--out",
        "--overwrite",
        "--resume",
        "--json",
        "--save-every",
        "--log-every",
        "--threads",
        "--max-skipped",
        "--device",
        "--dtype",
    ];

    /// <summary>Those that say how long a run is: one that is given may make it longer.</summary>
    public static readonly string[] Lengths = ["--steps", "--epochs"];

    private static readonly string[] ModelFiles =
    [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "adapter_config.json",
        "*.safetensors",
        "*.safetensors.index.json",
    ];

    // Once not among the files that count: where they are absent that is written down too, to tell it from a state of
    // that time.
    private static readonly string[] TokenFiles =
    [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    ];

    /// <summary>Variables that force how ops are computed.</summary>
    private static readonly string[] Forcing = ["SPECTRAL_LOWRANK", "SPECTRAL_LOWRANK_PASSES", "SPECTRAL_ATTENTION"];

    private readonly Task<IReadOnlyDictionary<string, string>> _files;

    /// <param name="context">The command line.</param>
    /// <param name="command">The command.</param>
    /// <param name="inputs">Those of its options that name a file or folder to read: their contents count, wherever
    /// they are.</param>
    public RunIdentity(CommandContext context, Command command, params ReadOnlySpan<Option> inputs)
    {
        string[] names = [.. inputs.ToArray().Select(option => option.Name)];
        Options = command
            .Options.Where(option => !Free.Contains(option.Name) && !names.Contains(option.Name))
            .ToDictionary(option => option.Name, context.Text);
        Given = command.Options.Where(context.IsGiven).Select(option => option.Name).ToHashSet();
        Overwrites = command.Options.Any(option =>
            option is Option<bool> { Name: "--overwrite" } flag && context.Get(flag)
        );
        Variables = Forcing.ToDictionary(name => name, name => Environment.GetEnvironmentVariable(name) ?? "");
        (string Name, string Path)[] read =
        [
            .. inputs
                .ToArray()
                .Select(option => (option.Name, Path: context.Text(option)))
                .Where(input => input.Path.Length > 0),
        ];
        // Gigabytes, perhaps: read beside the work, and waited for where they are compared or written down.
        _files = Task.Run(() => Digests(read));
    }

    /// <summary>Values by option.</summary>
    public IReadOnlyDictionary<string, string> Options { get; }

    /// <summary>Names of the options that stand on the command line.</summary>
    public IReadOnlySet<string> Given { get; }

    /// <summary>Whether the command line says --overwrite, which cannot stand beside --resume.</summary>
    public bool Overwrites { get; }

    /// <summary>What forces variants of ops.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; }

    /// <summary>Whether a state that says nothing of a file may be one of the time when it did not count.</summary>
    public static bool MayBeUnknown(string file) =>
        TokenFiles.Any(name => file.EndsWith(" " + name, StringComparison.Ordinal));

    /// <summary>SHA-256 by option, and file in its folder; empty for a file that is absent.</summary>
    public IReadOnlyDictionary<string, string> Files => _files.GetAwaiter().GetResult();

    private static IReadOnlyDictionary<string, string> Digests((string Option, string Path)[] inputs)
    {
        var digests = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach ((string option, string path) in inputs)
        {
            if (File.Exists(path))
            {
                digests[option] = Digest(path);
                continue;
            }
            foreach (string file in ModelFiles.SelectMany(pattern => Directory.GetFiles(path, pattern)))
                digests[$"{option} {Path.GetFileName(file)}"] = Digest(file);
            foreach (string file in TokenFiles.Select(name => Path.Combine(path, name)))
                digests[$"{option} {Path.GetFileName(file)}"] = File.Exists(file) ? Digest(file) : "";
        }
        return digests;
    }

    private static string Digest(string file)
    {
        using var stream = new FileStream(
            file,
            FileMode.Open,
            FileAccess.Read,
            FileShare.Read,
            1 << 20,
            FileOptions.SequentialScan
        );
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
