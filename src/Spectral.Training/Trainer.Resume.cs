using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.IO;

namespace Spectral.Training;

/// <content>Saves and resumes a run.</content>
public sealed partial class Trainer
{
    private const string ProgressNote = "trainer";

    /// <summary>The values of properties that older states lack, in the form for <see cref="JsonDefaults"/>.</summary>
    internal static readonly JsonObject Defaults = new()
    {
        [nameof(SavedRun.Options)] = JsonSerializer.SerializeToNode(
            new TrainerOptions(),
            StateJson.Default.TrainerOptions
        ),
        [nameof(SavedRun.Progress)] = JsonSerializer.SerializeToNode(
            new TrainerProgress(),
            StateJson.Default.TrainerProgress
        ),
    };

    /// <summary>
    /// Writes everything that <see cref="Restore"/> needs into one file, atomically (<see cref="TrainerState"/>).
    /// </summary>
    /// <param name="path">The file to write.</param>
    /// <param name="notes">Further entries for <see cref="TrainerState.Notes"/>.</param>
    public void Save(string path, IReadOnlyDictionary<string, string>? notes = null)
    {
        var run = new SavedRun(_options, _records, Progress, EpochsEnd: true);
        var all = new Dictionary<string, string>(notes ?? new Dictionary<string, string>())
        {
            [ProgressNote] = JsonSerializer.Serialize(run, StateJson.Default.SavedRun),
        };
        bool wasShown = HideAverage();
        TrainerState.Save(path, Progress.Step, _optimizer, Adapter.Of(_model), all, _average);
        if (wasShown)
            _shown = UseAverage();
    }

    /// <summary>
    /// Resumes a saved run: the next <see cref="Run"/>, on the same data, ends with the same bits as the run without
    /// interruption.
    /// </summary>
    /// <remarks>
    /// <see cref="TrainerOptions.Steps"/> and <see cref="TrainerOptions.Epochs"/> may differ from those of the saved
    /// run, as long as the new length is not below the steps already made. From here on, the learning rate follows the
    /// schedule of the new length.
    /// </remarks>
    /// <param name="state">The state that <see cref="Save"/> wrote.</param>
    /// <exception cref="InputException">
    /// The state does not fit the trainable parameters, the run had other options, or it was begun by a version whose
    /// batches crossed the end of an epoch. Nothing is changed then.
    /// </exception>
    public void Restore(TrainerState state)
    {
        SavedRun saved = state.Note(ProgressNote, StateJson.Default.SavedRun, Defaults);
        (JsonObject was, JsonObject now) = (Options(saved.Options), Options(_options));
        if (was.FirstOrDefault(option => !JsonNode.DeepEquals(option.Value, now[option.Key])) is { Key: { } name })
        {
            throw new InputException(
                $"{state.Path}: the run had the option {name} {Text(was[name])}, not {Text(now[name])}"
            );
        }

        if (saved.Progress.Step != state.Step)
        {
            throw new InputException(
                $"{state.Path}: step {state.Step} and step {saved.Progress.Step}, expected one step"
            );
        }

        RequireSameOrder(state, saved);
        RequireLength(state, saved);
        HideAverage();
        state.Restore(_optimizer, Adapter.Of(_model), _average);
        // The first rank saved its own.
        (ulong seed, ulong offset) = _parameters.StepState.ReadDropout();
        SeedDropout(seed, offset);
        (Progress, _records, _isRestored) = (saved.Progress, saved.Records, true);
    }

    /// <summary>Returns the options on which the run's bits depend, by name, except for its length.</summary>
    private static JsonObject Options(TrainerOptions options)
    {
        TrainerOptions counted = options with
        {
            LogEvery = 0,
            MaxSkipped = 0,
            Steps = null,
            Epochs = 0,
            ActivationCheckpointing = false,
            OffloadOptimizer = false,
        };
        return JsonSerializer.SerializeToNode(counted, StateJson.Default.TrainerOptions)!.AsObject();
    }

    private static string Text(JsonNode? value) => value?.ToJsonString() ?? "none";

    /// <summary>
    /// Refuses states of older versions, in which batches crossed the end of an epoch, unless no step of this run would
    /// have crossed it.
    /// </summary>
    private static void RequireSameOrder(TrainerState state, SavedRun saved)
    {
        (int step, int total) = (saved.Options.RecordsPerStep, saved.Options.StepsFor(saved.Records));
        if (!saved.EpochsEnd && saved.Records % step != 0 && (long)total * step > saved.Records)
        {
            throw new InputException(
                $"{state.Path}: of a version whose batches crossed the end of an epoch, which {saved.Records} records "
                    + $"in steps of {step} do; expected a run begun with this version"
            );
        }
    }

    private void RequireLength(TrainerState state, SavedRun saved)
    {
        (int was, int now) = (saved.Options.StepsFor(saved.Records), _options.StepsFor(saved.Records));
        if (now < state.Step)
        {
            throw new InputException(
                $"{state.Path}: {state.Step} steps were made, expected no fewer than that, not {now}"
            );
        }

        if (now != was && _scheduled is not null)
        {
            throw new InputException(
                $"{state.Path}: {_scheduled.Method.Name} follows a schedule over the {was} steps of the run, "
                    + $"expected as many, not {now}"
            );
        }
    }

    /// <param name="Options">The options of the run.</param>
    /// <param name="Records">The number of records that the run trains on.</param>
    /// <param name="Progress">The progress of the run.</param>
    /// <param name="EpochsEnd">
    /// Whether each epoch ends with a batch of the remaining records; false in states of older versions.
    /// </param>
    internal sealed record SavedRun(
        TrainerOptions Options,
        int Records,
        TrainerProgress Progress,
        bool EpochsEnd = false
    );
}
