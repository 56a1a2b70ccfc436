using System.CommandLine;
using System.Security.Cryptography;
using Spectral.Cli.Hosting;

namespace Spectral.Cli.Runs;

/// <summary>
/// What the results of a run depend on besides the device: its options and the contents of the files it reads.
/// </summary>
internal sealed class RunIdentity
{
    // These options change how often a run reports, how fast it is or when it fails, but no bit of its results. --dtype
    // is compared as the type that was chosen.
    private static readonly string[] Free =
    [
        "--out",
        "--overwrite",
        "--resume",
        "--json",
        "--save-every",
        "--keep-checkpoints",
        "--log-every",
        "--threads",
        "--max-skipped",
        "--checkpointing",
        "--offload-optimizer",
        "--log",
        "--serve",
        "--max-memory",
        "--device",
        "--dtype",
    ];

    /// <summary>The options for the length of a run, which may become longer when it resumes.</summary>
    public static readonly string[] Lengths = ["--steps", "--epochs"];

    private static readonly string[] ModelFiles =
    [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "adapter_config.json",
        "compression.json",
        "*.safetensors",
        "*.safetensors.index.json",
    ];

    // Earlier versions did not compare these files. So their absence is recorded too, to tell it from a state that an
    // earlier version wrote.
    private static readonly string[] TokenFiles =
    [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    ];

    /// <summary>The environment variables that force variants of ops.</summary>
    private static readonly string[] Forcing = ["SPECTRAL_LOWRANK", "SPECTRAL_LOWRANK_PASSES", "SPECTRAL_ATTENTION"];

    private readonly Task<IReadOnlyDictionary<string, string>> _files;

    /// <summary>Reads the options, and starts to hash the files.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="command">The command.</param>
    /// <param name="inputs">The options that name a file or folder to read; they are compared by contents, not by
    /// path.</param>
    public RunIdentity(CommandContext context, Command command, params ReadOnlySpan<Option> inputs)
        : this(
            context,
            command,
            [.. inputs.ToArray()],
            [
                .. inputs
                    .ToArray()
                    .Select(option => (option.Name, Path: context.Text(option)))
                    .Where(input => input.Path.Length > 0),
            ]
        ) { }

    /// <summary>Reads the options, and starts to hash files that do not follow from single options.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="command">The command.</param>
    /// <param name="inputs">The options that name what is read.</param>
    /// <param name="files">The files and folders to read, each with a name for messages.</param>
    public RunIdentity(
        CommandContext context,
        Command command,
        IReadOnlyList<Option> inputs,
        IReadOnlyList<(string Name, string Path)> files
    )
    {
        string[] names = [.. inputs.Select(option => option.Name)];
        Options = command
            .Options.Where(option => !Free.Contains(option.Name) && !names.Contains(option.Name))
            .ToDictionary(option => option.Name, context.Text);
        Given = command.Options.Where(context.IsGiven).Select(option => option.Name).ToHashSet();
        Overwrites = command.Options.Any(option =>
            option is Option<bool> { Name: "--overwrite" } flag && context.Get(flag)
        );
        Variables = Forcing.ToDictionary(name => name, name => Environment.GetEnvironmentVariable(name) ?? "");
        // The files may have gigabytes, so they are hashed in the background. Files waits for the digests.
        _files = Task.Run(() => Digests(files));
    }

    /// <summary>The values of the options, by name.</summary>
    public IReadOnlyDictionary<string, string> Options { get; }

    /// <summary>The names of the options that are given on the command line.</summary>
    public IReadOnlySet<string> Given { get; }

    /// <summary>Whether --overwrite is given, which excludes --resume.</summary>
    public bool Overwrites { get; }

    /// <summary>The values of the environment variables that force variants of ops.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; }

    /// <summary>Returns whether an earlier version may have written a state without this file.</summary>
    public static bool MayBeUnknown(string file) =>
        TokenFiles.Any(name => file.EndsWith(" " + name, StringComparison.Ordinal));

    /// <summary>The SHA-256 digests of the files, by option and file name; empty for a file that is absent.</summary>
    public IReadOnlyDictionary<string, string> Files => _files.GetAwaiter().GetResult();

    private static IReadOnlyDictionary<string, string> Digests(IReadOnlyList<(string Name, string Path)> inputs)
    {
        var digests = new SortedDictionary<string, string>(StringComparer.Ordinal);
        // Two of them may name one file or folder, which is read once.
        Dictionary<string, string> read = [];
        foreach ((string name, string path) in inputs)
        {
            if (File.Exists(path))
            {
                digests[name] = Once(path);
                continue;
            }
            foreach (string file in ModelFiles.SelectMany(pattern => Directory.GetFiles(path, pattern)))
                digests[$"{name} {Path.GetFileName(file)}"] = Once(file);
            foreach (string file in TokenFiles.Select(name => Path.Combine(path, name)))
                digests[$"{name} {Path.GetFileName(file)}"] = File.Exists(file) ? Once(file) : "";
        }
        return digests;

        string Once(string file)
        {
            string full = Path.GetFullPath(file);
            if (!read.TryGetValue(full, out string? digest))
                read.Add(full, digest = Digest(full));
            return digest;
        }
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
