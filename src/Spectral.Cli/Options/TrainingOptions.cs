using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Training;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;

namespace Spectral.Cli.Options;

/// <summary>
/// The options that all training commands share: data, steps, optimizer, schedule, logging, output.
/// </summary>
internal sealed class TrainingOptions
{
    /// <summary>The sentence on --resume in the help text of a command that trains.</summary>
    public const string ResumeDetails = "A run that was stopped or killed resumes with --resume.";

    public readonly Option<string> Model;
    public readonly Option<string> Data;
    public readonly Option<string> Out;
    public readonly Option<string?> Eval = OptionTypes.Path(
        "--eval",
        "Held-out records, evaluated before and after training (and every --eval-every steps).",
        "FILE"
    );
    public readonly Option<int?> Steps = OptionTypes.OptionalInteger(
        "--steps",
        "Number of optimizer steps; instead of --epochs.",
        1
    );
    public readonly Option<int> Epochs = OptionTypes.Integer(
        "--epochs",
        "Passes over the data, each of which uses every record once.",
        3,
        1
    );
    public readonly Option<int> Batch = OptionTypes.Integer(
        "--batch",
        "Records, or pairs, per micro-batch.",
        8,
        1,
        65536
    );
    public readonly Option<int> Accumulate = OptionTypes.Integer(
        "--accumulate",
        "Micro-batches per optimizer step; the last step of an epoch may have fewer.",
        1,
        1,
        65536
    );
    public readonly Option<bool> DropLast = OptionTypes.Flag(
        "--drop-last",
        "Skip the last step of an epoch if it has fewer than batch x accumulate records."
    );
    public readonly Option<int> MaxLength = OptionTypes.Integer(
        "--max-length",
        "Maximum number of tokens per record; longer records are cut from the left.",
        512,
        2,
        1 << 20
    );
    public readonly PackingOption Packing = new();
    public readonly Option<bool> GroupByLength = OptionTypes.Flag(
        "--group-by-length",
        "Have records of similar length in a step, which saves padding: each shuffle is sorted by length within groups "
            + "of up to 50 steps."
    );
    public readonly Option<double?> Neftune = OptionTypes.OptionalNumber(
        "--neftune",
        "Noise on the embeddings in training: uniform within X / sqrt(L D), for a record of L tokens of D features, "
            + "e.g. 5.",
        x => x > 0,
        "a number above 0"
    );
    public readonly TrainOnOption TrainOn = new();
    public readonly RecordFormatOption Format = new();
    public readonly Option<double> LearningRate = OptionTypes.Number(
        "--lr",
        "Peak learning rate.",
        2e-4,
        x => x >= 0,
        "a number of at least 0"
    );
    public readonly Option<string> Schedule = OptionTypes.Choice(
        "--schedule",
        "Learning rate schedule after warm-up.",
        "cosine",
        "constant",
        "linear",
        "cosine"
    );
    public readonly Option<int> Warmup = OptionTypes.Integer(
        "--warmup",
        "Steps of linear warm-up, at the start of the run.",
        0,
        0
    );
    public readonly Option<double> WeightDecay = OptionTypes.Number(
        "--weight-decay",
        "Decoupled weight decay.",
        0.01,
        x => x >= 0,
        "a number of at least 0"
    );
    public readonly Option<double> Beta1 = OptionTypes.Number(
        "--beta1",
        "Decay rate of the optimizer's first moment.",
        0.9,
        x => x is >= 0 and < 1,
        "a number from 0 to below 1"
    );
    public readonly Option<double> Beta2 = OptionTypes.Number(
        "--beta2",
        "Decay rate of the optimizer's second moment.",
        0.999,
        x => x is >= 0 and < 1,
        "a number from 0 to below 1"
    );
    public readonly Option<double> Epsilon = OptionTypes.Number(
        "--eps",
        "Epsilon of the optimizer's division.",
        1e-8,
        x => x > 0,
        "a number above 0"
    );
    public readonly Option<double> GradientClip = OptionTypes.Number(
        "--grad-clip",
        "Maximum global gradient norm; 0 turns clipping off.",
        1,
        x => x >= 0,
        "a number of at least 0"
    );
    public readonly Option<string?> ClipGroups = OptionTypes.OptionalText(
        "--clip-groups",
        "Clip each group of gradients by the norm of its own, up to --grad-clip: component (the modules of one name "
            + "in all layers), layer, or REGEX=C entries, e.g. 'q_proj=0.5,mlp.*=2', on the ends of modules' names, "
            + "where the rest is a group with --grad-clip.",
        "component|layer|REGEX=C,…"
    );
    public readonly Option<double?> Ema = OptionTypes.OptionalNumber(
        "--ema",
        "Evaluate and save an exponential moving average of what trains: this share of it stays at each step t, "
            + "or (1 + t) / (10 + t) where that is less, e.g. 0.999.",
        x => x is >= 0 and < 1,
        "a number from 0 to below 1"
    );
    public readonly Option<double?> SampledRows = OptionTypes.OptionalNumber(
        "--rmm",
        "Randomised matrix products: gradients of weights from this share of the rows of a layer's input, e.g. 0.25. "
            + "Only these rows are kept in memory; they are drawn anew for each layer and micro-batch.",
        x => x is > 0 and <= 1,
        "a number above 0 and up to 1"
    );
    public readonly Option<double?> FlopBudget = OptionTypes.OptionalNumber(
        "--flop-budget",
        "GreenTrainer: train the tensors that change the loss most, whose gradients take at most this share of the "
            + "operations of all gradients, e.g. 0.5. All train in the first of every --flop-interval steps.",
        x => x is > 0 and < 1,
        "a number above 0 and below 1"
    );
    public readonly Option<int> FlopInterval = OptionTypes.Integer(
        "--flop-interval",
        "Steps from one choice of --flop-budget to the next.",
        50,
        2
    );
    public readonly Option<bool> Checkpointing = OptionTypes.Flag(
        "--checkpointing",
        "Activation checkpointing: keep only the input of each layer after forward and repeat its forward during "
            + "backward. Results are the same to the bit; a step needs far less memory and about a third more time."
    );
    public readonly Option<bool> OffloadOptimizer = OptionTypes.Flag(
        "--offload-optimizer",
        "Keep the optimizer's state in page-locked host memory, from which each update copies it to the device and "
            + "back. "
            + "Results are the same to the bit."
    );
    public readonly Option<bool> Shard = OptionTypes.Flag(
        "--shard",
        "Keep 1/N of every weight on each of the N ranks that a launcher starts (mpirun -n N spectral ...), and gather "
            + "a layer when it is used. With pretrain also 1/N of gradients and of the optimizer's state."
    );
    public readonly Option<ulong> Seed = OptionTypes.Seed("Random seed.");
    public readonly Option<bool> NoShuffle = OptionTypes.Flag("--no-shuffle", "Use the records in file order.");
    public readonly Option<bool> Graph = OptionTypes.Flag(
        "--graph",
        "Replay each step as one CUDA graph; every batch is padded to the longest record."
    );
    public readonly Option<int> SaveEvery = OptionTypes.Integer("--save-every", "Steps between checkpoints.", 100, 1);
    public readonly Option<bool> KeepCheckpoints = OptionTypes.Flag(
        "--keep-checkpoints",
        "Keep what each checkpoint saves, in checkpoints/step-N of --out (for analyze --forgetting)."
    );
    public readonly Option<int> LogEvery = OptionTypes.Integer(
        "--log-every",
        "Steps between progress lines (train_log.jsonl has every step).",
        10,
        1
    );
    public readonly LogOption Log = new();
    public readonly ServeOption Serve = new();
    public readonly Option<int?> EvalEvery = OptionTypes.OptionalInteger(
        "--eval-every",
        "Steps between evaluations on --eval. [default: only before and after training]",
        1
    );
    public readonly Option<int> MaxSkipped = OptionTypes.Integer(
        "--max-skipped",
        "The run fails after this many steps in a row whose loss or gradient is not finite; such steps are "
            + "counted and update nothing.",
        5,
        1
    );
    public readonly Option<bool> Resume = OptionTypes.Flag(
        "--resume",
        "Resume from the last checkpoint in --out, bit for bit as if the run had not been interrupted; start a new "
            + "run if there is none yet. All other options must be as before, except --save-every, "
            + "--keep-checkpoints, --log, --log-every, --serve, --max-skipped, --checkpointing, --offload-optimizer, "
            + "--max-memory, --threads and --device; --steps or --epochs may make the run longer."
    );
    public readonly Option<bool> Overwrite = OptionTypes.Flag(
        "--overwrite",
        "Write into --out even if it is not empty."
    );
    public readonly DeviceOptions Device = new();
    public readonly OptimizerOption Optimizer;
    public readonly LossOption Loss;
    private readonly SettingsOption? _ownSettings;

    /// <param name="modelHelp">The help of --model.</param>
    /// <param name="outHelp">The help of --out.</param>
    /// <param name="settings">The command's --set; null: it has none but those of optimizer and loss.</param>
    /// <param name="compares">Whether several optimizers may be named.</param>
    public TrainingOptions(string modelHelp, string outHelp, SettingsOption? settings = null, bool compares = false)
    {
        if (settings is null)
        {
            settings = new SettingsOption(
                $"{OptimizerOption.SettingsHelp} {LossOption.SettingsHelp}",
                OptimizerOption.Group,
                LossOption.Group
            );
            _ownSettings = settings;
        }

        Optimizer = new OptimizerOption(settings, compares);
        Loss = new LossOption(settings);
        Model = OptionTypes.RequiredPath("--model", modelHelp, "DIR");
        Data = OptionTypes.RequiredPath("--data", "Training records: a file, or a folder of files.", "FILE");
        Out = OptionTypes.RequiredPath("--out", outHelp, "DIR");
    }

    public Option[] Inputs => [Model, Data, Eval, Out];

    /// <summary>The settings of a single run, which writes checkpoints and reports its steps.</summary>
    public Option[] Settings =>
        [
            .. _ownSettings is null ? (Option[])[] : [_ownSettings.Option],
            .. Common,
            SaveEvery,
            KeepCheckpoints,
            Log.Option,
            LogEvery,
            Serve.Option,
            Resume,
        ];

    /// <summary>The settings of one run or several.</summary>
    public Option[] Common =>
        [
            Optimizer.Name,
            .. Loss.All,
            Steps,
            Epochs,
            Batch,
            Accumulate,
            MaxLength,
            Packing.Option,
            GroupByLength,
            Neftune,
            TrainOn.Option,
            Format.Option,
            LearningRate,
            Schedule,
            Warmup,
            WeightDecay,
            Beta1,
            Beta2,
            Epsilon,
            GradientClip,
            ClipGroups,
            Ema,
            SampledRows,
            FlopBudget,
            FlopInterval,
            Checkpointing,
            OffloadOptimizer,
            MaxSkipped,
            Seed,
            NoShuffle,
            DropLast,
            Graph,
            EvalEvery,
            Overwrite,
            .. Device.WithTuning,
        ];

    /// <summary>Reads the options of the trainer, with the first optimizer if several are named.</summary>
    /// <exception cref="InputException">Options that exclude each other are given.</exception>
    public TrainerOptions Read(CommandContext context)
    {
        if (context.IsGiven(Steps) && context.IsGiven(Epochs))
        {
            throw new InputException(
                $"--steps {context.Get(Steps)} --epochs {context.Get(Epochs)}: expected one of the two"
            );
        }

        if (context.IsGiven(EvalEvery) && context.Get(Eval) is null)
            throw new InputException($"--eval-every {context.Get(EvalEvery)}: expected --eval FILE with it");
        if (context.Get(Resume) && context.Get(Overwrite))
            throw new InputException("--resume --overwrite: expected one of the two");
        if (context.IsGiven(FlopInterval) && context.Get(FlopBudget) is null)
            throw new InputException($"--flop-interval {context.Get(FlopInterval)}: expected --flop-budget X with it");
        int batch = context.Get(Batch);
        // Smaller micro-batches come first, as they change results only by rounding.
        if (batch > 1)
            context.SavesMemory.Add($"--batch {batch - batch / 2} --accumulate {2 * context.Get(Accumulate)}");
        if (!context.Get(Checkpointing))
            context.SavesMemory.Add(Checkpointing.Name);
        if (context.Get(MaxLength) > 2)
            context.SavesMemory.Add($"--max-length {context.Get(MaxLength) / 2}");
        _ownSettings?.RequireGroups(context);
        LossChoice loss = Loss.Read(context);
        Loss.RefuseUnused(context, TrainOn);
        OptimizerChoice[] optimizers = Optimizer.Read(context);
        OptimizerOption.RefuseUnused(
            context,
            Common,
            [.. optimizers.Select(optimizer => OptimizerMethods.Find(optimizer.Name))]
        );
        TrainerOptions options = new()
        {
            Loss = loss,
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
                ClipGroups = context.Get(ClipGroups),
            },
            EmaDecay = context.Get(Ema),
            PackTo = Packing.Length(context, MaxLength),
            GroupByLength = context.Get(GroupByLength),
            NeftuneAlpha = context.Get(Neftune),
            SampledRows = context.Get(SampledRows),
            FlopBudget = context.Get(FlopBudget),
            FlopInterval = context.Get(FlopInterval),
            ActivationCheckpointing = context.Get(Checkpointing),
            OffloadOptimizer = context.Get(OffloadOptimizer),
            Seed = context.Get(Seed),
            Shuffle = !context.Get(NoShuffle),
            DropLast = context.Get(DropLast),
            CudaGraph = context.Get(Graph),
            EvalEvery = context.Get(EvalEvery) ?? 0,
            LogEvery = context.Get(LogEvery),
            MaxSkipped = context.Get(MaxSkipped),
        };
        options = options.With(optimizers[0]);
        options.RequireSuits(method: null);
        return options;
    }

    /// <summary>Refuses --shard where there is no other process to keep a part.</summary>
    /// <exception cref="InputException">It is given, and the process was started alone.</exception>
    public void RequireRanks(CommandContext context)
    {
        if (context.Get(Shard) && context.Launch.Count == 1)
        {
            throw new InputException(
                "--shard divides the weights between processes, and this one was started alone: expected a launcher "
                    + "with two or more, e.g. mpirun -n 2 spectral ..."
            );
        }
    }

    /// <summary>Returns the ranks that each keep a part of the weights; null: every rank has all.</summary>
    public RankGroup? Shards(CommandContext context) => context.Get(Shard) ? context.Ranks : null;

    /// <summary>Reads and encodes the records of --data and --eval.</summary>
    /// <exception cref="InputException">A file is not valid, or the run would have no step.</exception>
    public RunRecords Encode(CommandContext context, ModelInputs inputs, TrainerOptions settings)
    {
        EncodedRecord[] training = Encode(context, inputs, context.Get(Data));
        EncodedRecord[]? evaluation = context.Get(Eval) is { } file ? Encode(context, inputs, file) : null;
        return new RunRecords(training, evaluation, settings.StepsFor(training));
    }

    /// <summary>Reads and encodes a data file of records that suit the loss.</summary>
    /// <exception cref="InputException">The file or one of its records is not valid.</exception>
    public EncodedRecord[] Encode(CommandContext context, ModelInputs inputs, string file) =>
        Encode(context, inputs, file, Loss.Takes(context));

    /// <summary>Reads and encodes a data file that calibrates, of pairs by their chosen sides.</summary>
    /// <exception cref="InputException">The file or one of its records is not valid.</exception>
    public EncodedRecord[] EncodeCalibration(CommandContext context, ModelInputs inputs, string file) =>
        Encode(context, inputs, file, RecordKind.Any);

    private EncodedRecord[] Encode(CommandContext context, ModelInputs inputs, string file, RecordKind takes) =>
        inputs.Encode(
            context,
            file,
            context.Get(MaxLength),
            Format.Read(context),
            TrainOn.Read(context),
            context.Get(Packing.Option),
            takes
        );

    /// <summary>Returns the folder to write to, which may have files in it only with --overwrite or --resume.</summary>
    /// <exception cref="InputException">The folder may not be written to.</exception>
    public OutputFolder Output(CommandContext context, params ReadOnlySpan<string?> inputs) =>
        context.Launch.IsFirst
            ? new(context.Get(Out), context.Get(Overwrite) || context.Get(Resume), inputs)
            : OutputFolder.OfFirstRank(context.Get(Out));

    /// <summary>Returns the rows of the report's table of settings.</summary>
    public IReadOnlyList<(string Name, string Value)> Describe(
        CommandContext context,
        CausalLanguageModel model,
        int records
    ) => Describe(context, model, [DescribeData(context, records)]);

    /// <summary>Returns the row on the records of --data.</summary>
    public (string Name, string Value) DescribeData(CommandContext context, int records) =>
        ("data", $"{context.Get(Data)} ({records} records)");

    /// <summary>Returns the rows of a report's table of settings, with given rows for the data.</summary>
    public IReadOnlyList<(string Name, string Value)> Describe(
        CommandContext context,
        CausalLanguageModel model,
        IEnumerable<(string Name, string Value)> data
    )
    {
        var rows = new List<(string, string)>
        {
            (
                "model",
                $"{context.Get(Model)} ({model.Config.ModelType}, "
                    + $"{model.ParameterCount.ToString("N0", CultureInfo.InvariantCulture)} parameters)"
            ),
        };
        rows.AddRange(data);
        rows.Add(("device", $"{model.Device}, {model.DType}"));
        rows.AddRange(LossOption.Describe(Loss.Read(context)));
        OptimizerChoice[] optimizers = Optimizer.Read(context);
        rows.AddRange(optimizers.SelectMany(OptimizerOption.Describe));
        OptimizerMethod[] methods = [.. optimizers.Select(optimizer => OptimizerMethods.Find(optimizer.Name))];
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
        foreach (Option option in shown.Where(option => OptimizerOption.IsRead(option, methods)))
            rows.Add((option.Name.TrimStart('-'), context.Text(option)));
        if (context.Get(ClipGroups) is not null)
            rows.Add(("clip-groups", context.Text(ClipGroups)));
        if (context.Get(Ema) is not null)
            rows.Add(("ema", context.Text(Ema)));
        if (context.Get(SampledRows) is not null)
            rows.Add(("rmm", context.Text(SampledRows)));
        if (context.Get(FlopBudget) is not null)
            rows.Add(("flop-budget", $"{context.Text(FlopBudget)} every {context.Text(FlopInterval)} steps"));
        if (context.Get(Checkpointing))
            rows.Add(("checkpointing", "yes"));
        if (context.Get(OffloadOptimizer))
            rows.Add(("offload-optimizer", "yes"));
        rows.Add(("shuffle", context.Get(NoShuffle) ? "no" : "yes"));
        if (context.Get(Packing.Option))
            rows.Add(("packing", "yes"));
        if (context.Get(GroupByLength))
            rows.Add(("group-by-length", "yes"));
        if (context.Get(Neftune) is not null)
            rows.Add(("neftune", context.Text(Neftune)));
        if (context.Get(DropLast))
            rows.Add(("drop-last", "yes"));
        if (context.Get(Graph))
            rows.Add(("graph", "yes"));
        return rows;
    }
}
