using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Training.IO;

namespace Spectral.Training;

/// <content>How a run is saved and gone on with.</content>
public sealed partial class Trainer
{
    private const string ProgressNote = "trainer";

    /// <summary>What an older state may lack, as <see cref="JsonDefaults"/> wants it.</summary>
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
    /// Writes all that <see cref="Restore"/> needs into one file, atomically: <see cref="TrainerState"/>.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="notes">What the caller wants to find again in <see cref="TrainerState.Notes"/>.</param>
    public void Save(string path, IReadOnlyDictionary<string, string>? notes = null)
    {
        var run = new SavedRun(_options, _records, Progress, EpochsEnd: true);
        var all = new Dictionary<string, string>(notes ?? new Dictionary<string, string>())
        {
            [ProgressNote] = JsonSerializer.Serialize(run, StateJson.Default.SavedRun),
        };
        TrainerState.Save(path, Progress.Step, _optimizer, _model.Adapter, all);
    }

    /// <summary>
    /// Goes on with a saved run: the next <see cref="Run"/>, on the same data, ends with the bits that the run would
    /// have had without a break.
    /// </summary>
    /// <remarks>
    /// <see cref="TrainerOptions.Steps"/> and <see cref="TrainerOptions.Epochs"/> may be others than the run had, as
    /// long as no step that was made is too many: the learning rate then follows the schedule of the new length from
    /// here on.
    /// </remarks>
    /// <param name="state">What <see cref="Save"/> wrote.</param>
    /// <exception cref="InputException">
    /// The state does not fit what trains here, or the run had other options, or was begun when batches crossed the end
    /// of an epoch; nothing is changed then. </exception>
    public void Restore(TrainerState state)
    {
        SavedRun saved = state.Note(ProgressNote, StateJson.Default.SavedRun, Defaults);
        (JsonObject was, JsonObject now) = (Options(saved.Options), Options(_options));
        if (was.FirstOrDefault(option => !JsonNode.DeepEquals(option.Value, now[option.Key])) is { Key: { } name })
        {
            throw new InputException(
                $"{state.Path}: the run had the option {name} {was[name]?.ToJsonString()}, not "
                    + $"{now[name]?.ToJsonString()}"
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
        state.Restore(_optimizer, _model.Adapter);
        (Progress, _records, _isRestored) = (saved.Progress, saved.Records, true);
    }

    /// <summary>The options that a run's bits depend on, by name, but for its length.</summary>
    private static JsonObject Options(TrainerOptions options)
    {
        TrainerOptions counted = options with { LogEvery = 0, MaxSkipped = 0, Steps = null, Epochs = 0 };
        return JsonSerializer.SerializeToNode(counted, StateJson.Default.TrainerOptions)!.AsObject();
    }

    /// <summary>
    /// Older states are of runs whose batches crossed the end of an epoch: the same records only where no step would
    /// have.
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

    /// <param name="Options">Those of the run.</param>
    /// <param name="Records">How many records it trains on.</param>
    /// <param name="Progress">How far it is.</param>
    /// <param name="EpochsEnd">
    /// Whether each epoch ends with a batch of what is left; false in states of older versions.
    /// </param>
    internal sealed record SavedRun(
        TrainerOptions Options,
        int Records,
        TrainerProgress Progress,
        bool EpochsEnd = false
    );
}
