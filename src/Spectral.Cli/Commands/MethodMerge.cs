using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral merge --method NAME</c>: several adapters and checkpoints of one base into one model.</summary>
/// <param name="conversion">The options that it shares with folding one adapter.</param>
internal sealed class MethodMerge(AdapterConversion conversion)
{
    private readonly MergeInputsOption _inputs = new();
    private readonly SettingsOption _settings = new(
        "A setting of the merge method; may be given several times. `spectral merge --list --method NAME` lists the "
            + "settings."
    );
    private readonly Option<double> _density = OptionTypes.Number(
        "--density",
        "Share of each change's entries to keep, for methods that drop some. [default: the method's]",
        1,
        density => density is > 0 and <= 1,
        "a number above 0 and at most 1"
    );
    private readonly LayersOption _layers = new();
    private readonly Option<ulong> _seed = OptionTypes.Seed("Seed of methods that choose at random.");
    private readonly Option<bool> _asAdapter = OptionTypes.Flag(
        "--as-adapter",
        "Write a plain LoRA, the truncated SVD of each changed linear layer, in place of a checkpoint."
    );
    private readonly Option<int?> _rank = OptionTypes.OptionalInteger(
        "--rank",
        "Rank of the LoRA of --as-adapter.",
        1,
        65536
    );

    public Option<string?> Method { get; } =
        new("--method")
        {
            Description = "How to merge the inputs; --list names the methods.",
            HelpName = "NAME",
            CustomParser = OptionTypes.Value,
        };

    public Option[] Options =>
        [Method, _inputs.Inputs, _inputs.Weights, _settings.Option, _density, _layers.Option, _seed, _asAdapter, _rank];

    /// <summary>Refuses options that have no effect without --method.</summary>
    /// <exception cref="InputException">One is given.</exception>
    public void Refuse(CommandContext context)
    {
        if (Options.FirstOrDefault(context.IsGiven) is { } given)
            throw new InputException($"{given.Name}: has no effect without --method NAME");
    }

    /// <summary>Merges the inputs, and writes the result whole or not at all.</summary>
    public void Execute(CommandContext context, string model)
    {
        if (context.IsGiven(conversion.Adapter))
            throw new InputException("--adapter: with --method, expected --input DIR for each input");
        MergeMethod method = MergeMethods.Find(context.Get(Method)!);
        MergeInput[] inputs = _inputs.Read(context);
        MergeOptions options = Read(context, method);
        int? rank = Rank(context);
        using OutputFolder target = conversion.Target(context, [model, .. inputs.Select(input => input.Directory)]);
        using ModelFolder folder = context.OpenModel(model);
        using Device device = conversion.Device.Open(context);
        using var merge = ModelMerge.Open(folder, method, inputs, options, device);
        context.Warn(merge.Warnings);
        target.Claim();
        long start = Stopwatch.GetTimestamp();
        int tensors = 0;
        LowRankResult? lora = null;
        context.Terminal.Track(
            "merge",
            100,
            bar =>
            {
                target.Fill(written =>
                {
                    if (rank is { } chosen)
                        lora = merge.WriteAdapter(written, chosen, Report, context.Cancellation);
                    else
                        tensors = merge.Write(written, Report, context.Cancellation);
                });
                return true;

                void Report(MergeProgress progress) =>
                    bar.Report(100L * progress.Done / progress.Total, progress.Tensor);
            }
        );
        var result = new JsonObject
        {
            ["out"] = target.FullPath,
            ["method"] = method.Name,
            ["tensors"] = lora?.Tensors ?? tensors,
            ["seconds"] = JsonOutput.Number(Stopwatch.GetElapsedTime(start).TotalSeconds),
            ["device"] = device.ToString(),
        };
        if (lora is not null)
            Describe(result, lora, rank!.Value);
        context.Finish(result, terminal => Print(terminal, target.FullPath, tensors, lora));
        if (lora is { LeftOut: [var first, ..] })
        {
            context.Terminal.Warn(
                $"{lora.LeftOut.Count} changed tensors are no linear layers of blocks, such as {first}; the LoRA "
                    + "leaves them as in the base"
            );
        }
    }

    private MergeOptions Read(CommandContext context, MergeMethod method)
    {
        if (context.IsGiven(_seed) && !method.Uses.HasFlag(MergeUses.Seed))
            throw new InputException($"--seed \"{context.Get(_seed)}\": {method.Name} chooses nothing at random");
        Dictionary<string, double> numbers = [];
        Dictionary<string, string> texts = [];
        string[] known =
        [
            .. method.Settings.Select(setting => setting.Name),
            .. method.TextSettings.Select(setting => setting.Name),
        ];
        foreach ((string name, string value) in _settings.Read(context, method.Name, known))
        {
            if (method.Settings.FirstOrDefault(setting => setting.Name == name) is { } number)
                numbers[name] = number.Parse(value);
            else
                texts[name] = value;
        }
        return new MergeOptions
        {
            Density = context.IsGiven(_density) ? context.Get(_density) : null,
            Layers = _layers.Read(context),
            Seed = context.Get(_seed),
            Settings = numbers,
            Texts = texts,
            Type = conversion.Type.Read(context),
        };
    }

    private int? Rank(CommandContext context)
    {
        int? rank = context.Get(_rank);
        if (context.Get(_asAdapter) == rank is not null)
            return rank;
        throw new InputException("--as-adapter --rank R: expected both or neither");
    }

    private static void Describe(JsonObject result, LowRankResult lora, int rank)
    {
        result["rank"] = rank;
        result["error"] = JsonOutput.Number(lora.Error);
        result["left_out"] = JsonOutput.Array(lora.LeftOut);
        result["layers"] = new JsonArray([
            .. lora.Layers.Select(layer =>
                (JsonNode)
                    new JsonObject
                    {
                        ["name"] = layer.Name,
                        ["shape"] = new JsonArray(layer.Outputs, layer.Inputs),
                        ["error"] = JsonOutput.Number(layer.Error),
                    }
            ),
        ]);
    }

    private static void Print(Terminal terminal, string folder, int tensors, LowRankResult? lora)
    {
        if (lora is not null)
        {
            terminal.Table(
                ["layer", "shape", "error"],
                [.. lora.Layers.Select(layer => Row(layer.Name, $"{layer.Outputs} x {layer.Inputs}", layer.Error))]
            );
            terminal.Line(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the LoRA lacks {100 * lora.Error:0.####} % of the change's norm"
                )
            );
        }
        terminal.Line($"wrote {lora?.Tensors ?? tensors} tensors to {folder}");
    }

    private static string[] Row(string name, string shape, double error) =>
        [name, shape, string.Create(CultureInfo.InvariantCulture, $"{100 * error:0.####} %")];
}
