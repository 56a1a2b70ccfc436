using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Cli.Options;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Planning;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Commands;

internal sealed class PlanCommand : SpectralCommand
{
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
    private readonly AdapterCommandOptions _adapter = new(trains: true);
    private readonly QuantizeOption _quantize = new();
    private readonly TrainingOptions _training;

    public PlanCommand()
        : base(
            "plan",
            "Estimates the device memory of a finetune run before anything is loaded.",
            "spectral plan --model base-model --adapter lora --rank 16 --batch 4 --max-length 2048",
            "spectral plan --model base-model --checkpointing --dtype bf16 --json"
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
            .. _adapter.All.Where(option => option != _adapter.InitAdapter),
            .. _quantize.All,
            .. _training.Common.Where(option => option != _training.Overwrite && option != _training.EvalEvery),
        ]);
    }

    public override void Execute(CommandContext context)
    {
        TrainerOptions settings = _training.Read(context);
        string directory = context.Get(_model);
        var config = ModelConfig.Load(directory);
        context.Warn(config.Warnings);
        AdapterMethod method = _adapter.Method(context);
        AdapterOptions options = _adapter.Read(context);
        settings.RequireSuits(method, options);
        method.RequireSuits(_quantize.Read(context));
        UnusedAdapterOptions.Refuse(
            context,
            _adapter,
            MethodFacts.Of(method, AdapterTargets.Of(config, method, options), options)
        );
        if (context.IsGiven(_adapter.TrainTokens.Option) || context.IsGiven(_adapter.PromptText))
            options = _adapter.Encode(context, options, BpeTokenizer.Load(directory));
        using Device device = _training.Device.Open(context);
        DType type = _training.Device.TypeOn(device, context);
        (int length, int? lossTokens) = Length(context, config, method.VirtualTokens(options));
        var run = new PlannedRun(config, type, settings, length)
        {
            LossTokens = lossTokens,
            Quantization = _quantize.Read(context),
            Method = method,
            Adapter = options with { Seed = settings.Seed },
            CalibrationRecords = context.Get(_adapter.CalibrationRecords),
        };
        MemoryPlan plan = MemoryPlanner.Plan(run, device);
        IReadOnlyList<MemorySaving> savings = MemorySavings.Of(run, plan.Peak, device);
        context.Finish(
            Json(run, plan, savings, device),
            terminal =>
            {
                terminal.Line(
                    $"{method.Name} on {Path.GetFileName(Path.GetFullPath(directory))}: {settings.Batch} records of "
                        + $"{run.Length} tokens, {type}, on {device}"
                );
                MemoryTable.Print(terminal, plan, savings, device.Memory.Limit ?? device.TotalMemory);
            }
        );
    }

    /// <summary>
    /// Returns the tokens of the longest record, and the most that carry loss; null: all but the first.
    /// </summary>
    private (int Length, int? LossTokens) Length(CommandContext context, ModelConfig config, int virtualTokens)
    {
        int longest = Math.Min(context.Get(_training.MaxLength), config.LongestSequence - virtualTokens);
        if (longest < 2)
        {
            throw new InputException(
                $"{virtualTokens} virtual tokens leave {longest} of the model's {config.LongestSequence} positions, "
                    + "expected at least 2 for a record"
            );
        }

        if (context.Get(_data) is not { } file)
            return (longest, null);
        using var inputs = new ModelInputs(context, context.Get(_model), weightsOptional: true)
        {
            VirtualTokens = virtualTokens,
        };
        EncodedRecord[] records = _training.Encode(context, inputs, file);
        return (records.Max(record => record.Longest), records.Max(record => record.MostLossTokens));
    }

    private static JsonObject Json(PlannedRun run, MemoryPlan plan, IEnumerable<MemorySaving> savings, Device device) =>
        new()
        {
            ["peak_memory_bytes"] = plan.Peak,
            ["start_bytes"] = plan.Start,
            ["step_bytes"] = plan.Step,
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
            ["dtype"] = run.Type.ToString().ToLowerInvariant(),
            ["device"] = device.ToString(),
            ["device_memory_bytes"] = device.Memory.Limit ?? device.TotalMemory,
        };
}
