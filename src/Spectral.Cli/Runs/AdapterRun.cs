using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Cli.Runs;

/// <summary>
/// Trains an adapter on a loaded model into an output folder: what <c>finetune</c> does once, and <c>continual</c> for
/// each task.
/// </summary>
/// <param name="context">The command line.</param>
/// <param name="training">Its options on training.</param>
/// <param name="adapter">Its options on the adapter.</param>
internal sealed class AdapterRun(CommandContext context, TrainingOptions training, AdapterCommandOptions adapter)
{
    private bool _warned;

    /// <summary>
    /// Attaches the adapter that a run trains: that of its checkpoint, else the one to start from, else a new one. The
    /// trainer restores the values of one that is loaded from <paramref name="start"/>.
    /// </summary>
    /// <param name="model">The model, which has no adapter.</param>
    /// <param name="method">The method of a new adapter.</param>
    /// <param name="options">The options of a new adapter.</param>
    /// <param name="start">The folder of the adapter to start from; null: a new one.</param>
    /// <param name="calibration">The records that calibrate a method that starts from data.</param>
    /// <param name="settings">How the run trains.</param>
    /// <param name="saved">The checkpoint to resume from; null for a new run.</param>
    /// <exception cref="Training.IO.InputException">
    /// The adapter does not suit the model, or its files could not keep it.
    /// </exception>
    public Adapter Attach(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        string? start,
        EncodedRecord[] calibration,
        TrainerOptions settings,
        SavedRun? saved
    )
    {
        Adapter attached = (start, saved) switch
        {
            ({ } folder, _) => adapter.Load(context, model, folder),
            (null, { } earlier) => earlier.State.RestoreAdapter(model, method, options),
            _ => Adapter.Attach(model, method, options, Calibration(model, method, calibration, settings)),
        };
        try
        {
            attached.RequireSavable();
        }
        catch
        {
            attached.Dispose();
            throw;
        }
        if (attached.PartsTiedHead && !_warned)
        {
            context.Terminal.Warn(
                "the model ties its output head to the embedding, and this adapter unties them "
                    + "(with --keep-tied, the head stays equal to an embedding that is adapted or trained)"
            );
            _warned = true;
        }
        return attached;
    }

    /// <summary>Describes the training of an attached adapter.</summary>
    /// <param name="model">The model.</param>
    /// <param name="attached">Its adapter.</param>
    /// <param name="settings">How the run trains.</param>
    /// <param name="output">The folder to write.</param>
    /// <param name="identity">The options and files of the run.</param>
    /// <param name="title">The heading of the report.</param>
    /// <param name="data">The rows on the data in the report's table of settings.</param>
    /// <param name="work">What the progress bar calls the work.</param>
    public TrainingRun Of(
        CausalLanguageModel model,
        Adapter attached,
        TrainerOptions settings,
        OutputFolder output,
        RunIdentity identity,
        string title,
        IEnumerable<(string Name, string Value)> data,
        string work = "training"
    ) =>
        new(context, settings, output, identity)
        {
            Title = title,
            Work = work,
            Settings = [.. AdapterDescription.Of(attached), .. training.Describe(context, model, data)],
            SaveEvery = context.Get(training.SaveEvery),
            KeepsCheckpoints = context.Get(training.KeepCheckpoints),
            Logs = training.Log.Read(context),
            Port = training.Serve.Read(context),
            Save = attached.Save,
            Json = result =>
                TrainingRun.JsonOf(settings, result, model, attached.TrainableCount, Total(model, attached)),
        };

    /// <summary>The number of scalars of the model and its adapter.</summary>
    public static long Total(CausalLanguageModel model, Adapter attached) =>
        model.ParameterCount + attached.TrainableCount;

    private ModelCalibration? Calibration(
        CausalLanguageModel model,
        AdapterMethod method,
        EncodedRecord[] data,
        TrainerOptions settings
    ) =>
        method.StartsFromData
            ? ModelCalibration.OfTraining(model, data, settings, context.Get(adapter.CalibrationRecords), context.Ranks)
            : null;
}
