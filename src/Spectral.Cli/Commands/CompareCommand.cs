using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Comparisons;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Cli.Commands;

internal sealed class CompareCommand : SpectralCommand
{
    private const string SameParameters = "params";
    private const string SameSteps = "steps";

    private readonly AdapterCommandOptions _adapter = new(trains: true);
    private readonly TrainingOptions _training;
    private readonly Option<string> _methods = new("--methods")
    {
        Description =
            "Adapter methods, separated by commas; all is every method that works with these options, lora first.",
        HelpName = "NAMES",
        Required = true,
        CustomParser = MethodNames.Several,
    };
    private readonly Option<int> _seeds = OptionTypes.Integer(
        "--seeds",
        "Runs per method, with the seeds --seed, --seed + 1 and so on.",
        5,
        1,
        1000
    );
    private readonly QuantizeOption _quantize = new();
    private readonly Option<string> _budget = OptionTypes.Choice(
        "--budget",
        "What the methods have in common. params: data, steps and number of trainable parameters; the rank of each "
            + "method is chosen so that this number is as close as possible to that of the first method at --rank, "
            + "with the same alpha/rank. steps: data and steps; all methods use --rank.",
        SameParameters,
        SameParameters,
        SameSteps
    );

    public CompareCommand()
        : base(
            "compare",
            "Trains several adapter methods on the same data with the same seeds, and compares them.",
            "spectral compare --model base-model --data train.jsonl --eval eval.jsonl --out comparison "
                + "--methods lora,speclora --seeds 3 --rank 16 --lr 1e-3",
            "spectral compare --model base-model --data train.jsonl --eval eval.jsonl --out comparison "
                + "--methods all --budget steps --steps 200 --eval-every 50 --json"
        )
    {
        _training = new(
            "Model folder in Hugging Face layout.",
            "Folder for runs.jsonl, compare.json and compare.html.",
            _adapter.Settings.All,
            compares: true
        );
        Details =
            "The model is loaded once. After each run, the results so far are written: a table, and an HTML page with "
            + "the curves. They are kept if the command is stopped.";
        _training.Eval.Required = true;
        AddOptions([
            .. _training.Inputs,
            _methods,
            _seeds,
            _budget,
            .. _adapter.Shared,
            .. _quantize.All,
            .. _training.Common,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        TrainerOptions settings = _training.Read(context);
        using var output = new OutputFolder(
            context.Get(_training.Out),
            context.Get(_training.Overwrite),
            context.Get(_training.Model)
        );
        using var inputs = new ModelInputs(
            context,
            context.Get(_training.Model),
            quantization: _quantize.Read(context)
        );
        EncodedRecord[]? calibration = context.Get(_adapter.CalibrationData) is { } file
            ? _training.Encode(context, inputs, file)
            : null;
        ComparedMethod[] compared = Choose(context, inputs.Folder.Config, settings);
        // All methods see the same records, cut alike.
        inputs.VirtualTokens = compared.Max(method => method.Method.VirtualTokens(method.Options));
        RunRecords records = _training.Encode(context, inputs, settings);

        output.Claim();
        using Device device = _training.Device.Open(context);
        using CausalLanguageModel model = inputs.Load(device, _training.Device.TypeOn(device, context));
        foreach (ComparedMethod method in compared)
        {
            context.Terminal.Line(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{method.Name}: {(method.HasRank ? $"rank {method.Options.Rank}" : "no rank")}, "
                        + $"{method.Facts.Trainable:N0} trainable parameters"
                )
            );
        }

        var comparison = new Comparison(compared)
        {
            Title = $"Adapter methods on {Path.GetFileName(inputs.Folder.Directory)}",
            Facts = Facts(context, settings, model, records.Steps),
            Settings =
            [
                ("budget", context.Get(_budget)),
                ("seeds", context.Text(_seeds)),
                .. AdapterDescription.Of(_adapter, context),
                .. _training.Describe(context, model, records.Training.Length),
            ],
            Notes = Notes(context, device),
            Wanted = compared.Length * context.Get(_seeds),
        };
        using var folder = new ComparisonFolder(output);
        var run = new ComparisonRun(context, settings, compared, context.Get(_seeds))
        {
            Calibration = calibration,
            CalibrationRecords = context.Get(_adapter.CalibrationRecords),
            Finished = finished =>
            {
                comparison.Add(finished);
                folder.Add(finished, comparison.ToJson(), ComparisonPage.Render(comparison));
            },
        };
        run.Train(model, records);
        context.Finish(
            comparison.ToJson(),
            terminal =>
            {
                terminal.Table(
                    ComparisonTable.Columns,
                    [
                        .. ComparisonTable
                            .Rows(comparison.Methods)
                            .Select(row => (string[])[.. row.Select(cell => cell.Text)]),
                    ]
                );
                terminal.Line($"written to {output.FullPath}");
            }
        );
    }

    /// <summary>
    /// Chooses the methods and their ranks, before anything is loaded. A method that does not work with the options is
    /// refused, or left out with a warning if all methods are compared.
    /// </summary>
    private ComparedMethod[] Choose(CommandContext context, ModelConfig model, TrainerOptions settings)
    {
        AdapterMethod[] chosen = [.. MethodNames.Entries(context.Get(_methods)).Select(AdapterMethods.Find)];
        var compared = new List<ComparedMethod>();
        OptimizerChoice[] optimizers = _training.Optimizer.Read(context);
        foreach (
            (AdapterMethod method, OptimizerChoice optimizer) in chosen.SelectMany(_ => optimizers, ValueTuple.Create)
        )
        {
            string name = optimizers.Length > 1 ? $"{method.Name} {optimizer.Name}" : method.Name;
            AdapterOptions options = _adapter.Read(context, method, chosen);
            try
            {
                IReadOnlyList<ModuleShape> layers = AdapterTargets.Of(model, method, options);
                settings.With(optimizer).RequireSuits(method, options);
                method.RequireSuits(_quantize.Read(context));
                _adapter.RequireCalibration(context, method);
                if (compared.Count > 0 && context.Get(_budget) == SameParameters)
                    options = AdapterSize.WithTrainable(method, layers, options, compared[0].Facts.Trainable);
                options = options.KeptBy(
                    method,
                    layers,
                    line => context.Terminal.Warn($"{name} is trained without {line}")
                );
                compared.Add(
                    new ComparedMethod(
                        MethodFacts.Of(method, layers, options),
                        options,
                        AdapterSize.DependsOnRank(method, layers, options),
                        optimizer,
                        name
                    )
                );
            }
            catch (InputException refusal)
            {
                if (context.Get(_methods) != MethodNames.Every)
                    throw new InputException($"{name}: {refusal.Message}", refusal);
                context.Terminal.Warn($"{name} is left out: {refusal.Message}");
            }
        }
        UnusedAdapterOptions.Refuse(context, _adapter, [.. compared.Select(method => method.Facts)]);
        return compared.Count > 0
            ? [.. compared]
            : throw new InputException("--methods \"all\": no method works with these options");
    }

    private IReadOnlyList<(string, JsonNode?)> Facts(
        CommandContext context,
        TrainerOptions settings,
        CausalLanguageModel model,
        int steps
    ) =>
        [
            ("model", context.Get(_training.Model)),
            ("data", context.Get(_training.Data)),
            ("eval", context.Get(_training.Eval)),
            ("out", context.Get(_training.Out)),
            ("device", model.Device.ToString()),
            ("dtype", model.DType.ToString()),
            ("budget", context.Get(_budget)),
            ("steps", steps),
            (
                "seeds",
                new JsonArray([
                    .. Enumerable
                        .Range(0, context.Get(_seeds))
                        .Select(i => (JsonNode)JsonValue.Create(settings.Seed + (ulong)i)),
                ])
            ),
        ];

    private string[] Notes(CommandContext context, Device device)
    {
        var notes = new List<string>();
        if (context.Get(_budget) == SameParameters)
        {
            notes.Add(
                "The rank of each method was chosen so that its number of trainable parameters is as close as "
                    + "possible to that of the first method."
            );
        }

        notes.Add(
            "± is the standard deviation over seeds. Step time is the median over all steps but the first tenth of a "
                + "run (at most 20 steps). Peak memory is measured during training, without evaluation."
        );
        if (device.Kind == DeviceKind.Cpu)
            notes.Add("Times are those of the CPU device and say nothing about a GPU.");
        return [.. notes];
    }
}
