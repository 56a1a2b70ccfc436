using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Cli.Runs;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Cli.Options;

/// <summary>
/// The options that all commands which train share: data, steps, optimizer, schedule, logging, output.
/// </summary>
internal sealed class TrainingOptions
{
    public readonly Option<string> Model;
    public readonly Option<string> Data;
    public readonly Option<string> Out;
    public readonly Option<string?> Eval = OptionTypes.Path(
        "--eval",
        "Held-out records, measured before and after (and every --eval-every steps).",
        "FILE"
    );
    public readonly Option<int?> Steps = OptionTypes.OptionalInteger(
        "--steps",
        "Optimizer steps, through the same epochs; instead of --epochs.",
        1
    );
    public readonly Option<int> Epochs = OptionTypes.Integer(
        "--epochs",
        "Passes over the data, in each of which every record has its turn once.",
        3,
        1
    );
    public readonly Option<int> Batch = OptionTypes.Integer("--batch", "Records in a micro-batch.", 8, 1, 65536);
    public readonly Option<int> Accumulate = OptionTypes.Integer(
        "--accumulate",
        "Micro-batches in a step; the last step of an epoch has what is left.",
        1,
        1,
        65536
    );
    public readonly Option<bool> DropLast = OptionTypes.Flag(
        "--drop-last",
        "Leave out the last step of an epoch if it has fewer than batch x accumulate records."
    );
    public readonly Option<int> MaxLength = OptionTypes.Integer(
        "--max-length",
        "Tokens of a record; longer prompts are cut from the left.",
        512,
        2,
        1 << 20
    );
    public readonly Option<double> LearningRate = OptionTypes.Number(
        "--lr",
        "Highest learning rate.",
        2e-4,
        x => x >= 0,
        "a number of at least 0"
    );
    public readonly Option<string> Schedule = OptionTypes.Choice(
        "--schedule",
        "How the learning rate goes after warm-up.",
        "cosine",
        "constant",
        "linear",
        "cosine"
    );
    public readonly Option<int> Warmup = OptionTypes.Integer(
        "--warmup",
        "Steps of linear warm-up, of those that there are.",
        0,
        0
    );
    public readonly Option<double> WeightDecay = OptionTypes.Number(
        "--weight-decay",
        "AdamW's decoupled decay.",
        0.01,
        x => x >= 0,
        "a number of at least 0"
    );
    public readonly Option<double> Beta1 = OptionTypes.Number(
        "--beta1",
        "AdamW's first decay rate.",
        0.9,
        x => x is >= 0 and < 1,
        "a number from 0 to below 1"
    );
    public readonly Option<double> Beta2 = OptionTypes.Number(
        "--beta2",
        "AdamW's second decay rate.",
        0.999,
        x => x is >= 0 and < 1,
        "a number from 0 to below 1"
    );
    public readonly Option<double> Epsilon = OptionTypes.Number(
        "--eps",
        "AdamW's epsilon.",
        1e-8,
        x => x > 0,
        "a number above 0"
    );
    public readonly Option<double> GradientClip = OptionTypes.Number(
        "--grad-clip",
        "Largest global gradient norm; 0 switches clipping off.",
        1,
        x => x >= 0,
        "a number of at least 0"
    );
    public readonly Option<ulong> Seed = OptionTypes.Seed("Seed of everything random.");
    public readonly Option<bool> NoShuffle = OptionTypes.Flag("--no-shuffle", "Take the records in file order.");
    public readonly Option<bool> Graph = OptionTypes.Flag(
        "--graph",
        "Replay each step as one CUDA graph; every batch is padded to the longest record."
    );
    public readonly Option<int> SaveEvery = OptionTypes.Integer("--save-every", "Steps between checkpoints.", 100, 1);
    public readonly Option<int> LogEvery = OptionTypes.Integer(
        "--log-every",
        "Steps between lines of progress (train_log.jsonl has every step).",
        10,
        1
    );
    public readonly Option<int?> EvalEvery = OptionTypes.OptionalInteger(
        "--eval-every",
        "Steps between measurements on --eval. [default: only before and after]",
        1
    );
    public readonly Option<int> MaxSkipped = OptionTypes.Integer(
        "--max-skipped",
        "Steps in a row whose loss or gradient may be not finite before the run gives up; each is "
            + "counted and changes nothing.",
        5,
        1
    );
    public readonly Option<bool> Resume = OptionTypes.Flag(
        "--resume",
        "Go on from the last checkpoint in --out, to the same bits as without a break; begin if there is none yet. "
            + "All other options as before, but for those of reporting and --threads, and --steps or "
            + "--epochs, which may make the run longer."
    );
    public readonly Option<bool> Overwrite = OptionTypes.Flag(
        "--overwrite",
        "Write into --out even if it has files in it."
    );
    public readonly DeviceOptions Device = new();

    public TrainingOptions(string modelHelp, string outHelp)
    {
        Model = OptionTypes.RequiredPath("--model", modelHelp, "DIR");
        Data = OptionTypes.RequiredPath("--data", "Training records, one JSON object per line.", "FILE");
        Out = OptionTypes.RequiredPath("--out", outHelp, "DIR");
    }

    public Option[] Inputs => [Model, Data, Eval, Out];

    /// <summary>Those of a single run, which keeps checkpoints and reports its steps.</summary>
    public Option[] Settings => [.. Common, SaveEvery, LogEvery, Resume];

    /// <summary>Those of any number of runs.</summary>
    public Option[] Common =>
        [
            Steps,
            Epochs,
            Batch,
            Accumulate,
            MaxLength,
            LearningRate,
            Schedule,
            Warmup,
            WeightDecay,
            Beta1,
            Beta2,
            Epsilon,
            GradientClip,
            MaxSkipped,
            Seed,
            NoShuffle,
            DropLast,
            Graph,
            EvalEvery,
            Overwrite,
            .. Device.WithTuning,
        ];

    /// <summary>What the options mean to the trainer.</summary>
    /// <exception cref="InputException">Options that exclude each other were given.</exception>
    public TrainerOptions Read(CommandContext context)
    {
        if (context.IsGiven(Steps) && context.IsGiven(Epochs))
        {
            throw new InputException(
                $"--steps {context.Get(Steps)} --epochs {context.Get(Epochs)}: expected one of the two"
            );
        }

        if (context.IsGiven(EvalEvery) && context.Get(Eval) is null)
            throw new InputException($"--eval-every {context.Get(EvalEvery)}: expected --eval FILE beside it");
        if (context.Get(Resume) && context.Get(Overwrite))
            throw new InputException("--resume --overwrite: expected one of the two");
        int batch = context.Get(Batch);
        // The same step in smaller pieces comes first: it changes no result beyond rounding.
        if (batch > 1)
            context.SavesMemory.Add($"--batch {batch - batch / 2} --accumulate {2 * context.Get(Accumulate)}");
        if (context.Get(MaxLength) > 2)
            context.SavesMemory.Add($"--max-length {context.Get(MaxLength) / 2}");
        return new TrainerOptions
        {
            Steps = context.Get(Steps),
            Epochs = context.Get(Epochs),
            Batch = context.Get(Batch),
            Accumulate = context.Get(Accumulate),
            LearningRate = context.Get(LearningRate),
            Schedule = Enum.Parse<ScheduleKind>(context.Get(Schedule), ignoreCase: true),
            Warmup = context.Get(Warmup),
            Optimizer = new AdamWOptions
            {
                Beta1 = context.Get(Beta1),
                Beta2 = context.Get(Beta2),
                Epsilon = context.Get(Epsilon),
                WeightDecay = context.Get(WeightDecay),
                GradientClip = context.Get(GradientClip),
            },
            Seed = context.Get(Seed),
            Shuffle = !context.Get(NoShuffle),
            DropLast = context.Get(DropLast),
            CudaGraph = context.Get(Graph),
            EvalEvery = context.Get(EvalEvery) ?? 0,
            LogEvery = context.Get(LogEvery),
            MaxSkipped = context.Get(MaxSkipped),
        };
    }

    /// <summary>Reads and encodes the records of --data and --eval.</summary>
    /// <exception cref="InputException">A file is not valid, or the run would have no step.</exception>
    public RunRecords Encode(CommandContext context, ModelInputs inputs, TrainerOptions settings)
    {
        int length = context.Get(MaxLength);
        EncodedRecord[] training = inputs.Encode(context, context.Get(Data), length);
        EncodedRecord[]? evaluation = context.Get(Eval) is { } file ? inputs.Encode(context, file, length) : null;
        return new RunRecords(training, evaluation, settings.StepsFor(training.Length));
    }

    /// <summary>The folder to write to: with files in it only to overwrite or to go on.</summary>
    /// <exception cref="InputException">The folder may not be written to.</exception>
    public OutputFolder Output(CommandContext context, params ReadOnlySpan<string?> inputs) =>
        new(context.Get(Out), context.Get(Overwrite) || context.Get(Resume), inputs);

    /// <summary>Claims the folder of a run, finds the checkpoint to go on from, and opens the device.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="command">The command.</param>
    /// <param name="output">The folder.</param>
    /// <param name="steps">How many steps the run has.</param>
    /// <param name="inputs">Those of the command's options that name a file or folder to read.</param>
    /// <returns>The run, which the caller disposes; null where it has ended before, and its result was shown.</returns>
    /// <exception cref="InputException">
    /// The checkpoint is damaged, or of another run than the command line describes.
    /// </exception>
    public StartedRun? Start(
        CommandContext context,
        Command command,
        OutputFolder output,
        int steps,
        params ReadOnlySpan<Option> inputs
    )
    {
        output.Claim();
        var identity = new RunIdentity(context, command, inputs);
        SavedRun? saved = Saved(context, output, identity, steps);
        Device? device = null;
        try
        {
            if (saved?.Result is { } done)
            {
                TrainingRun.ShowDone(context, output, saved, done);
                saved.Dispose();
                return null;
            }
            device = Device.Open(context);
            DType type = Device.TypeOn(device, context);
            saved?.Prepare(context, device, type);
            return new StartedRun(identity, saved, device, type);
        }
        catch
        {
            device?.Dispose();
            saved?.Dispose();
            throw;
        }
    }

    private SavedRun? Saved(CommandContext context, OutputFolder output, RunIdentity identity, int steps)
    {
        if (!context.Get(Resume) || SavedRun.Open(output.FullPath) is not { } saved)
            return null;
        try
        {
            saved.Require(context, identity, steps);
            return saved;
        }
        catch
        {
            saved.Dispose();
            throw;
        }
    }

    /// <summary>Rows of the report's table of settings.</summary>
    public IReadOnlyList<(string Name, string Value)> Describe(
        CommandContext context,
        CausalLanguageModel model,
        int records
    )
    {
        var rows = new List<(string, string)>
        {
            (
                "model",
                $"{context.Get(Model)} ({model.Config.ModelType}, "
                    + $"{model.ParameterCount.ToString("N0", CultureInfo.InvariantCulture)} parameters)"
            ),
            ("data", $"{context.Get(Data)} ({records} records)"),
            ("device", $"{model.Device}, {model.DType}"),
        };
        Option length = context.Get(Steps) is null ? Epochs : Steps;
        Option[] shown =
        [
            length,
            Batch,
            Accumulate,
            MaxLength,
            LearningRate,
            Schedule,
            Warmup,
            WeightDecay,
            Beta1,
            Beta2,
            Epsilon,
            GradientClip,
            Seed,
        ];
        foreach (Option option in shown)
            rows.Add((option.Name.TrimStart('-'), context.Text(option)));
        rows.Add(("shuffle", context.Get(NoShuffle) ? "no" : "yes"));
        if (context.Get(DropLast))
            rows.Add(("drop-last", "yes"));
        if (context.Get(Graph))
            rows.Add(("graph", "yes"));
        return rows;
    }
}
