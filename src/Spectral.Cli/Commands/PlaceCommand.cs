using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Placement;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Placement;

namespace Spectral.Cli.Commands;

internal sealed class PlaceCommand : SpectralCommand
{
    private readonly Option<string?> _method = new("--method")
    {
        Description = "How to choose; --list names the methods.",
        HelpName = "NAME",
        CustomParser = OptionTypes.Value,
    };
    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Model folder in Hugging Face layout. Methods without data read its config alone.",
        "DIR"
    );
    private readonly Option<string?> _data = OptionTypes.Path(
        "--data",
        "Records of the training task, for methods that run the model.",
        "FILE"
    );
    private readonly Option<string?> _eval = OptionTypes.Path(
        "--eval",
        "Records of the task that the result is to be good at, for methods that look at it; without it, --data.",
        "FILE"
    );
    private readonly Option<int> _records = OptionTypes.Integer(
        "--calibration-records",
        "Number of records to run: the first of each file. A search runs all unless it is given.",
        64,
        1
    );
    private readonly Option<string> _target = OptionTypes.Targets(
        "Layers to choose from, as in spectral finetune, within the decoder blocks."
    );
    private readonly Option<int> _rank = OptionTypes.Integer(
        "--rank",
        "Rank of the layers that get an adapter; the mean rank where a method distributes ranks.",
        8,
        1,
        65536
    );
    private readonly Option<int?> _budget = OptionTypes.OptionalInteger(
        "--budget",
        "How much to spend; --list --method NAME says what it counts.",
        1
    );
    private readonly Option<string> _adapters = OptionTypes.List(
        "--adapters",
        "Adapter methods among which a search chooses; `spectral methods` lists them.",
        "NAMES",
        "names of adapter methods, such as lora,dora",
        "lora"
    );
    private readonly Option<string?> _results = OptionTypes.Path(
        "--results",
        "File that keeps the finished runs of a search; one that was stopped goes on where it was.",
        "FILE"
    );
    private readonly SettingsOption _settings = new(
        "A setting of the method; may be given several times. `spectral place --list --method NAME` lists the settings."
    );
    private readonly Option<bool> _list = OptionTypes.Flag(
        "--list",
        "List the placement methods; with --method, show that one in detail."
    );
    private readonly Option<string?> _out = OptionTypes.Path(
        "--out",
        "File for the ranks, for --rank-pattern @FILE of spectral finetune.",
        "FILE"
    );
    private readonly Option<string?> _biasOut = OptionTypes.Path(
        "--bias-out",
        "File for the layers that train their bias, for --bias @FILE of spectral finetune.",
        "FILE"
    );
    private readonly Option<bool> _overwrite = OptionTypes.Flag(
        "--overwrite",
        "Replace --out and --bias-out if they exist."
    );
    private readonly EvaluationOptions _evaluation = new();
    private readonly DeviceOptions _device = new();

    public PlaceCommand()
        : base(
            "place",
            "Chooses which layers get an adapter, and of which rank.",
            "spectral place --method rdp --model base-model --data train.jsonl --rank 16 --out ranks.txt",
            "spectral finetune --model base-model --data train.jsonl --out adapter --adapter lora --rank 16 "
                + "--rank-pattern @ranks.txt",
            "spectral place --method search --model base-model --data train.jsonl --eval eval.jsonl --budget 40 "
                + "--adapters lora,dora --results runs.json --out ranks.txt",
            "spectral place --list"
        )
    {
        AddOptions([
            _method,
            _model,
            _data,
            _eval,
            _records,
            _target,
            _rank,
            _budget,
            _adapters,
            _results,
            _settings.Option,
            _list,
            _out,
            _biasOut,
            _overwrite,
            .. _evaluation.All,
            .. _device.All,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        if (context.Get(_list))
        {
            string? named = context.Get(_method);
            new PlacementMethodList().Print(context, named is null ? null : PlacementMethods.Find(named));
            return;
        }

        PlacementMethod method = PlacementMethods.Find(Required(context, _method));
        string directory = Required(context, _model);
        PlacementOptions options = Read(context, method);
        RefuseUnused(context, method);
        string?[] read = [directory, context.Get(_data), context.Get(_eval)];
        using OutputFile? output = context.Get(_out) is { } path
            ? new OutputFile("--out", path, context.Get(_overwrite), read)
            : null;
        using OutputFile? biases = context.Get(_biasOut) is { } listed
            ? new OutputFile("--bias-out", listed, context.Get(_overwrite), [.. read, context.Get(_out)])
            : null;
        // A file of results that exists is read and completed.
        using OutputFile? results = context.Get(_results) is { } kept
            ? new OutputFile("--results", kept, overwrite: true, [.. read, context.Get(_out)])
            : null;
        OutputFile?[] outputs = [output, biases, results];
        PlacementResult placed = method.RunsModel
            ? Run(context, method, options, directory, outputs)
            : Place(context, method, options, directory, outputs);
        if (biases is not null && placed.Biases.Count == 0)
        {
            throw new InputException(
                $"--bias-out \"{context.Get(_biasOut)}\": no layer that trains its bias has one, expected a model "
                    + "with biases"
            );
        }

        output?.Write(PlacementReport.Pattern(placed, method, context.Get(_rank)));
        biases?.Write(PlacementReport.Biases(placed, method));
        JsonObject result = PlacementReport.Json(placed, method);
        if (output is not null)
            result["out"] = output.FullPath;
        context.Finish(result, terminal => PlacementReport.Print(terminal, placed, method, output?.FullPath));
    }

    private static PlacementResult Place(
        CommandContext context,
        PlacementMethod method,
        PlacementOptions options,
        string directory,
        OutputFile?[] outputs
    )
    {
        using ModelFolder folder = context.OpenModel(directory, weightsOptional: true);
        foreach (OutputFile? output in outputs)
            output?.Claim();
        return Placer.Place(method, folder.Config, options);
    }

    private PlacementResult Run(
        CommandContext context,
        PlacementMethod method,
        PlacementOptions options,
        string directory,
        OutputFile?[] outputs
    )
    {
        _evaluation.SaveMemory(context);
        using var inputs = new ModelInputs(context, directory);
        EncodedRecord[] records = Records(Required(context, _data));
        EncodedRecord[]? validation = context.Get(_eval) is { } file ? Records(file) : null;
        foreach (OutputFile? output in outputs)
            output?.Claim();
        using Device device = _device.Open(context);
        using CausalLanguageModel model = inputs.Load(device, _device.TypeOn(device, context));
        return Placer.Place(
            method,
            model.Config,
            options,
            new PlacementData(model, records, validation, context.Get(_evaluation.Batch)),
            context.Terminal.Line,
            context.Cancellation
        );

        EncodedRecord[] Records(string of)
        {
            EncodedRecord[] all = _evaluation.Encode(context, inputs, of);
            return method.Searches && !context.IsGiven(_records) ? all : [.. all.Take(context.Get(_records))];
        }
    }

    private PlacementOptions Read(CommandContext context, PlacementMethod method) =>
        new()
        {
            Rank = context.Get(_rank),
            Budget = context.Get(_budget),
            TargetModules = AdapterTargets.Parse(context.Get(_target)),
            Adapters = [.. OptionTypes.Entries(context.Get(_adapters)).Select(name => AdapterMethods.Find(name).Name)],
            Results = context.Get(_results),
            Settings = _settings
                .Read(context, method.Name, [.. method.Settings.Select(setting => setting.Name)])
                .ToDictionary(
                    given => given.Name,
                    given => method.Settings.First(setting => setting.Name == given.Name).Parse(given.Value)
                ),
        };

    /// <summary>Refuses options that the method would ignore.</summary>
    private void RefuseUnused(CommandContext context, PlacementMethod method)
    {
        if (method.BudgetOf is null)
            Refuse(_budget, "has no budget");
        if (!method.UsesValidation)
            Refuse(_eval, "does not look at --eval");
        if (!method.Searches)
        {
            Refuse(_adapters, "does not search");
            Refuse(_results, "does not search");
        }
        if (!method.PlacesBiases)
            Refuse(_biasOut, "places no biases");
        if (!method.RunsModel)
        {
            foreach (Option option in (Option[])[_data, _records, .. _evaluation.All, .. _device.All])
                Refuse(option, "does not run the model");
        }

        void Refuse(Option option, string reason)
        {
            if (context.IsGiven(option))
            {
                throw new InputException(
                    $"{option.Name} \"{context.Text(option)}\": {method.Name} {reason}, so it would change nothing"
                );
            }
        }
    }

    private static string Required(CommandContext context, Option<string?> option) =>
        context.Get(option) ?? throw new InputException($"Option '{option.Name}' is required.");
}
