using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Runs;

/// <summary>The checkpoint that <c>--resume</c> resumes from, with the notes that the command wrote into it.</summary>
internal sealed class SavedRun : IDisposable
{
    private const string Note = "command";

    private readonly Facts _facts;
    private bool _becomesLonger;

    private SavedRun(TrainerState state)
    {
        State = state;
        try
        {
            _facts =
                JsonSerializer.Deserialize<Facts>(state.Notes.GetValueOrDefault(Note) ?? "null", Strict)
                ?? throw new JsonException("there are no such notes");
            if (!CheckpointFolder.IsStaging(_facts.Staged))
                throw new JsonException($"it names the folder \"{_facts.Staged}\"");
        }
        catch (JsonException error)
        {
            throw new InputException(
                $"{state.Path}: the notes of the command cannot be read: {error.Message.ReplaceLineEndings(" ")}",
                error
            );
        }
    }

    private static JsonSerializerOptions Strict { get; } =
        new() { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    /// <summary>The part of the checkpoint that the trainer wrote.</summary>
    public TrainerState State { get; }

    /// <summary>What the run printed when it was done; null if it is not done, or will be continued.</summary>
    public JsonObject? Result =>
        _facts.Result is { } result && !_becomesLonger ? JsonNode.Parse(result)!.AsObject() : null;

    /// <summary>The length and digest of the log when the checkpoint was written.</summary>
    public (long Bytes, string Sha256) Log => (_facts.LogBytes, _facts.LogSha256);

    /// <summary>The name of the staging folder, which holds files of the checkpoint that were not moved yet.</summary>
    public string Staged => _facts.Staged;

    /// <summary>Opens the checkpoint in an output folder.</summary>
    /// <returns>The checkpoint; null if the run has not begun, or ended before its first checkpoint.</returns>
    /// <exception cref="InputException">The checkpoint is damaged, or the folder is not that of a run.</exception>
    public static SavedRun? Open(string output)
    {
        var folder = new CheckpointFolder(output);
        if (!File.Exists(folder.State))
        {
            return folder.HoldsNothing
                ? null
                : throw new InputException(
                    $"--resume: {output} has files but no checkpoint ({folder.State}); --overwrite starts a new run"
                );
        }

        var state = TrainerState.Open(folder.State);
        try
        {
            return new SavedRun(state);
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>Returns the notes to write into a checkpoint.</summary>
    /// <param name="identity">The options and files of the run.</param>
    /// <param name="model">The model that is trained.</param>
    /// <param name="log">The log so far.</param>
    /// <param name="staged">The name of the staging folder.</param>
    /// <param name="result">What the run prints when it is done; null before.</param>
    public static Dictionary<string, string> Notes(
        RunIdentity identity,
        CausalLanguageModel model,
        TrainingLog log,
        string staged,
        JsonObject? result
    ) =>
        new()
        {
            [Note] = JsonSerializer.Serialize(
                new Facts(
                    identity.Options,
                    identity.Files,
                    identity.Variables,
                    model.DType.ToString(),
                    model.Device.Name,
                    Version,
                    model.Device.Tuner.Choices,
                    model.Device.Variants.All,
                    log.Length,
                    log.Sha256,
                    staged,
                    result?.ToJsonString()
                ),
                Strict
            ),
        };

    /// <summary>
    /// Checks that the command line describes the run of the checkpoint, or a longer one.
    /// </summary>
    /// <param name="context">The command line.</param>
    /// <param name="now">The run that the command line describes.</param>
    /// <param name="steps">The number of steps of that run.</param>
    /// <param name="mayBeLonger">Whether the command line may give the run another length.</param>
    /// <exception cref="InputException">The run is another one; the message names the differences.</exception>
    public void Require(CommandContext context, RunIdentity now, int steps, bool mayBeLonger = true)
    {
        // An option that did not exist when the run was started only differs if it is given.
        (string Name, string? Was, string? Here)[] options =
        [
            .. Differences(_facts.Options, now.Options)
                .Where(option => option.Was is not null || now.Given.Contains(option.Name)),
        ];
        (string Name, string? Was, string? Here)[] lengths = options
            .Where(option => RunIdentity.Lengths.Contains(option.Name))
            .ToArray();
        if (mayBeLonger && lengths.Length > 0 && RunIdentity.Lengths.Any(now.Given.Contains))
            options = [.. options.Except(lengths)];
        else
            lengths = [];
        string[] differences =
        [
            .. options.Select(option => $"{option.Name} {Text(option.Was)}, not {Text(option.Here)}"),
            .. Differences(_facts.Files, now.Files)
                .Where(file => file.Was is not null || !RunIdentity.MayBeUnknown(file.Name))
                .Select(file => Text(file.Name, file.Was, file.Here)),
            // A variable that is no longer set is set again below, as the results depend on it.
            .. Differences(_facts.Variables, now.Variables)
                .Where(variable => variable.Here is not ("" or null))
                .Select(variable => $"{variable.Name}={variable.Was}, not {variable.Here}"),
        ];
        if (differences.Length > 0)
        {
            throw new InputException(
                $"--resume: the run in {Path.GetDirectoryName(Path.GetDirectoryName(State.Path))} had "
                    + $"{string.Join(", ", differences)}"
            );
        }

        if (steps < State.Step)
        {
            throw new InputException(
                $"--resume: the run has made {State.Step} steps; expected at least as many by --steps or --epochs, "
                    + $"not {steps}"
            );
        }

        _becomesLonger = steps > State.Step && lengths.Length > 0;
        if (lengths.Length > 0)
        {
            string was = string.Join(", ", lengths.Select(option => $"{option.Name} {Text(option.Was)}"));
            context.Terminal.Warn(
                $"the run was started with {was} and continues to step {steps}: from here on, "
                    + "the learning rate follows the schedule of the new length"
            );
        }

        foreach ((string name, string value) in _facts.Variables)
        {
            if (value.Length > 0)
                Environment.SetEnvironmentVariable(name, value);
        }
    }

    /// <summary>Checks the device and the type, and has the device choose the same variants as before.</summary>
    /// <exception cref="InputException">The run computed in another type.</exception>
    public void Prepare(CommandContext context, Device device, DType type)
    {
        if (type.ToString() != _facts.Type)
        {
            throw new InputException(
                $"--resume: the run had the type {_facts.Type}, not {type}; expected --dtype "
                    + $"{_facts.Type.ToLowerInvariant()}"
            );
        }

        if (device.Name != _facts.Device)
        {
            context.Terminal.Warn(
                $"the run was started on {_facts.Device} and resumes on {device.Name}: rounding may differ "
                    + "from that of an uninterrupted run"
            );
        }

        if (Version != _facts.Version)
        {
            context.Terminal.Warn(
                $"the run was started with version {_facts.Version} and resumes with {Version}: rounding may "
                    + "differ from that of an uninterrupted run"
            );
        }

        device.Tuner.Adopt(_facts.Tuned);
        foreach (VariantUse use in _facts.Variants)
            device.Variants.Add(use);
    }

    public void Dispose() => State.Dispose();

    /// <summary>The version of the program.</summary>
    public static string Version { get; } = typeof(TrainerState).Assembly.GetName().Version!.ToString(3);

    private static IEnumerable<(string Name, string? Was, string? Here)> Differences(
        IReadOnlyDictionary<string, string> was,
        IReadOnlyDictionary<string, string> now
    ) =>
        was
            .Keys.Union(now.Keys)
            .Where(name => was.GetValueOrDefault(name) != now.GetValueOrDefault(name))
            .Order(StringComparer.Ordinal)
            .Select(name => (name, was.GetValueOrDefault(name), now.GetValueOrDefault(name)));

    private static string Text(string file, string? was, string? here)
    {
        if (was is null or "")
            return $"no {file}";
        return here is null or "" ? $"{file}, which is absent now" : $"other contents of {file}";
    }

    private static string Text(string? value) => value is null or "" ? "unset" : value;

    private sealed record Facts(
        IReadOnlyDictionary<string, string> Options,
        IReadOnlyDictionary<string, string> Files,
        IReadOnlyDictionary<string, string> Variables,
        string Type,
        string Device,
        string Version,
        IReadOnlyDictionary<string, string> Tuned,
        IReadOnlyList<VariantUse> Variants,
        long LogBytes,
        string LogSha256,
        string Staged,
        string? Result
    );
}
