using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Runs;
using Spectral.Cli.Spectra;
using Spectral.Kernels;
using Spectral.Training.Data;
using Spectral.Training.Forgetting;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

/// <summary>
/// --forgetting of <c>analyze</c>: the loss on old data over a run's checkpoints, and laws fitted to it.
/// </summary>
internal sealed class AnalyzeForgetting
{
    private readonly Option<string?> _data = OptionTypes.Path(
        "--forgetting",
        "Records of old data, on which the kept checkpoints of the run in --adapter or --tuned are evaluated "
            + "(finetune --keep-checkpoints); laws of forgetting are fitted to their losses.",
        "FILE"
    );
    private readonly Option<string?> _task = OptionTypes.Path(
        "--forgetting-task",
        "Records of the new task, to set forgetting against what was learned.",
        "FILE"
    );
    private readonly Option<int> _maxLength = OptionTypes.Integer(
        "--forgetting-length",
        "Maximum number of tokens per record of --forgetting; longer records are cut from the left.",
        512,
        2,
        1 << 20
    );

    public Option[] All => [_data, _task, _maxLength];

    /// <summary>Opens what is needed; null without --forgetting.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="model">The model that the run began with.</param>
    /// <param name="run">The folder of the run.</param>
    /// <param name="format">The option for the format of the records.</param>
    /// <exception cref="InputException">
    /// The run has no kept checkpoints, a file is not valid, or one of the other options is given without --forgetting.
    /// </exception>
    public Work? Prepare(CommandContext context, string model, string run, RecordFormatOption format)
    {
        if (context.Get(_data) is not { } data)
        {
            context.RefuseWithout("--forgetting FILE", _task, _maxLength);
            return null;
        }

        (int Step, string Directory)[] checkpoints = [.. CheckpointFolder.Kept(run)];
        if (checkpoints.Length == 0)
        {
            throw new InputException(
                $"--forgetting {data}: {run} has no kept checkpoints; expected a run with --keep-checkpoints"
            );
        }

        var inputs = new ModelInputs(context, model);
        try
        {
            EncodedRecord[] old = Encode(data);
            string? taskFile = context.Get(_task);
            EncodedRecord[]? task = taskFile is null ? null : Encode(taskFile);
            return new Work(inputs, checkpoints, data, old, taskFile, task);
        }
        catch
        {
            inputs.Dispose();
            throw;
        }

        EncodedRecord[] Encode(string file) =>
            inputs.Encode(context, file, context.Get(_maxLength), format.Read(context));
    }

    /// <summary>A run with its base model and records, ready to be evaluated.</summary>
    internal sealed class Work(
        ModelInputs inputs,
        (int Step, string Directory)[] checkpoints,
        string data,
        EncodedRecord[] old,
        string? taskFile,
        EncodedRecord[]? task
    ) : IDisposable
    {
        /// <summary>Evaluates the base model and all checkpoints, in F32, and fits the laws.</summary>
        /// <exception cref="InputException">A checkpoint does not fit the model.</exception>
        public ForgettingReport Run(CommandContext context, Device device)
        {
            using CausalLanguageModel model = inputs.Load(device, DType.F32);
            ForgettingCurve curve = context.Terminal.Track(
                "evaluating",
                checkpoints.Length + 1,
                progress =>
                    ForgettingCurve.Measure(
                        inputs.Folder,
                        model,
                        checkpoints,
                        old,
                        task,
                        done => progress.Report(done),
                        context.Cancellation
                    )
            );
            if (curve.Laws.Count == 0)
            {
                context.Terminal.Warn(
                    $"{checkpoints.Length} checkpoints are too few for a law of forgetting; expected at least 3"
                );
            }

            return new ForgettingReport(data, taskFile, curve);
        }

        public void Dispose() => inputs.Dispose();
    }
}
