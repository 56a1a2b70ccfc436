using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Cli.Options;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Planning;

namespace Spectral.Cli.Commands;

internal sealed class PlanCommand : SpectralCommand
{
    private const int MostRanks = 1 << 16;

    private readonly Option<string> _model = OptionTypes.RequiredPath(
        "--model",
        "Model folder in Hugging Face layout; of its files, config.json is enough.",
        "DIR"
    );
    private readonly Option<string?> _data = OptionTypes.Path(
        "--data",
        "Training records, whose longest one counts; without them, every record has --max-length tokens.",
        "FILE"
    );
    private readonly Option<int> _ranks = OptionTypes.Integer(
        "--ranks",
        "Number of processes that a launcher will start; the plan is of the one with the largest share of a batch.",
        1,
        1,
        MostRanks
    );
    private readonly AdapterCommandOptions _adapter = new(trains: true);
    private readonly QuantizeOption _quantize = new();
    private readonly TrainingOptions _training;

    public PlanCommand()
        : base(
            "plan",
            "Estimates the device memory of a finetune run before anything is loaded.",
            "spectral plan --model base-model --adapter lora --rank 16 --batch 4 --max-length 2048",
            "spectral plan --model base-model --ranks 4 --shard --dtype bf16 --json"
        )
    {
        _training = new("", "", _adapter.Settings.All);
        Details =
            "The run is rehearsed: the code that trains runs its start and two steps, but memory is only counted and "
            + "nothing is computed. No weights are read. The options are those of finetune. What the driver and its "
            + "libraries take for themselves is not counted.";
        AddOptions([
            _model,
            _data,
            _training.Eval,
            .. _adapter.All,
            .. _quantize.All,
            .. _training.Common.Where(option => option != _training.Overwrite),
            _ranks,
            _training.Shard,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        TrainerOptions settings = _training.Read(context);
        if (context.Get(_training.Shard) && context.Get(_ranks) == 1)
        {
            throw new InputException(
                "--shard divides the weights between processes: expected --ranks 2 or more with it"
            );
        }

        string? start = context.Get(_adapter.InitAdapter);
        using ModelInputs? inputs = Inputs(context);
        ModelConfig config = inputs?.Folder.Config ?? ModelConfig.Load(context.Get(_model));
        ModelInputs.RequireTokens(config, context.Get(_model));
        if (inputs is null)
            context.Warn(config.Warnings);
        AdapterMethod method = _adapter.Method(context);
        AdapterOptions options = _adapter.Read(context);
        int virtualTokens = 0;
        if (start is null)
        {
            settings.RequireSuits(method, options);
            method.RequireSuits(_quantize.Read(context));
            UnusedAdapterOptions.Refuse(
                context,
                _adapter,
                MethodFacts.Of(method, AdapterTargets.Of(config, method, options), options)
            );
            virtualTokens = method.VirtualTokens(options);
        }

        if (inputs is not null)
        {
            inputs.VirtualTokens = virtualTokens;
            inputs.CheckAdapter(context, start);
            virtualTokens = inputs.VirtualTokens;
            if (start is null)
                options = _adapter.Encode(context, options, inputs.Tokenizer);
        }

        using Device device = _training.Device.Open(context);
        DType type = _training.Device.TypeOn(device, context);
        if (start is not null)
            (method, options) = StartOf(context, start, inputs!, device, type);
        PlannedRecords records = Records(context, settings, context.Get(_data), inputs, config, virtualTokens);
        var run = new PlannedRun(config, type, settings, records.Length)
        {
            LossTokens = records.LossTokens,
            LongestRecord = records.LongestRecord,
            Quantization = _quantize.Read(context),
            Method = method,
            Adapter = options with { Seed = settings.Seed },
            CalibrationRecords = context.Get(_adapter.CalibrationRecords),
            InitAdapter = start,
            Ranks = context.Get(_ranks),
            Shards = context.Get(_training.Shard),
            Evaluation = context.Get(_training.Eval) is { } file
                ? Records(context, settings, file, inputs, config, virtualTokens)
                : null,
        };
        MemoryPlan plan = MemoryPlanner.Plan(run, device);
        IReadOnlyList<MemorySaving> savings = MemorySavings.Of(run, plan.Peak, device);
        string folder = Path.GetFileName(Path.GetFullPath(context.Get(_model)));
        context.Finish(
            Json(run, plan, savings, device),
            terminal =>
            {
                string rows = settings.PackTo is null ? "records" : "sequences";
                terminal.Line(
                    $"{method.Name} on {folder}: {settings.Batch} {rows} of {run.Length} tokens, {type}, on {device}"
                        + (run.Ranks > 1 ? $", one of {run.Ranks} ranks{(run.Shards ? " with --shard" : "")}" : "")
                );
                MemoryTable.Print(terminal, plan, savings, device.Memory.Limit ?? device.TotalMemory);
            }
        );
    }

    /// <summary>Opens the folder with its tokenizer if more than its config is needed; else null.</summary>
    private ModelInputs? Inputs(CommandContext context) =>
        new[] { context.Get(_data), context.Get(_training.Eval), context.Get(_adapter.InitAdapter) }.Any(path =>
            path is not null
        )
        || context.IsGiven(_adapter.TrainTokens.Option)
        || context.IsGiven(_adapter.PromptText)
        || context.IsGiven(_adapter.Invocation)
            ? new ModelInputs(context, context.Get(_model), weightsOptional: true, _quantize.Read(context))
            : null;

    /// <summary>Returns what the adapter to go on from is, and checks that the other options say the same.</summary>
    private (AdapterMethod Method, AdapterOptions Options) StartOf(
        CommandContext context,
        string directory,
        ModelInputs inputs,
        Device device,
        DType type
    )
    {
        (AdapterMethod, AdapterOptions) found = default;
        MemoryPlanner.Peak(
            device,
            inputs.Folder.Config,
            type,
            _quantize.Read(context),
            model =>
            {
                using Adapter start = _adapter.Load(context, model, directory);
                InitAdapterConflicts.Refuse(context, _adapter, model.Config, start, inputs.Tokenizer);
                found = (start.Method, start.Options);
            }
        );
        return found;
    }

    /// <summary>Returns the longest record of a file, or of no file the longest that a run takes.</summary>
    private PlannedRecords Records(
        CommandContext context,
        TrainerOptions settings,
        string? file,
        ModelInputs? inputs,
        ModelConfig config,
        int virtualTokens
    )
    {
        int longest = Math.Min(context.Get(_training.MaxLength), config.LongestSequence - virtualTokens);
        if (longest < 2)
        {
            throw new InputException(
                $"{virtualTokens} virtual tokens leave {longest} of the model's {config.LongestSequence} positions, "
                    + "expected at least 2 for a record"
            );
        }

        return file is null
            ? new PlannedRecords(longest)
            : PlannedRecords.Of(_training.Encode(context, inputs!, file), settings);
    }

    private static JsonObject Json(PlannedRun run, MemoryPlan plan, IEnumerable<MemorySaving> savings, Device device) =>
        new()
        {
            ["peak_memory_bytes"] = plan.Peak,
            ["start_bytes"] = plan.Start,
            ["step_bytes"] = plan.Step,
            ["evaluation_bytes"] = plan.Evaluation,
            ["parts"] = new JsonObject(
                MemoryTable
                    .Parts(plan)
                    .Select(part => KeyValuePair.Create(part.Key, (JsonNode?)JsonValue.Create(part.Bytes)))
            ),
            ["options"] = new JsonArray([
                .. savings.Select(saving => new JsonObject
                {
                    ["option"] = saving.Option,
                    ["peak_memory_bytes"] = saving.Peak,
                    ["saves_bytes"] = plan.Peak - saving.Peak,
                }),
            ]),
            ["batch"] = run.Training.Batch,
            ["length"] = run.Length,
            ["ranks"] = run.Ranks,
            ["dtype"] = run.Type.ToString().ToLowerInvariant(),
            ["device"] = device.ToString(),
            ["device_memory_bytes"] = device.Memory.Limit ?? device.TotalMemory,
        };
}
