using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Merging;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Quantization;

namespace Spectral.Cli.Commands;

/// <summary><c>spectral merge --method NAME</c>: several adapters and checkpoints of one base into one model.</summary>
/// <param name="conversion">The options that it shares with folding one adapter.</param>
/// <param name="format">The format of records, or of the result.</param>
/// <param name="requantize">In which form the result is written.</param>
internal sealed class MethodMerge(AdapterConversion conversion, RecordFormatOption format, QuantizeOption requantize)
{
    private readonly MergeInputsOption _inputs = new();
    private readonly SettingsOption _settings = new(
        "A setting of the merge method; may be given several times. `spectral merge --list --method NAME` lists the "
            + "settings."
    );
    private readonly Option<double?> _density = OptionTypes.OptionalNumber(
        "--density",
        "Share of each change's entries to keep, for methods that drop some. [default: the method's]",
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
    private readonly Option<bool> _factors = OptionTypes.Flag(
        "--factors",
        "Merge the factors A and B of LoRAs apart, as PEFT's types without svd, and write a LoRA of their rank."
    );
    private readonly MergeDataOption _data = new();
    private readonly EvaluationOptions _evaluation = new(format);
    private readonly MergeScoring _scoring = new(conversion);

    /// <summary>The value of --method that tries all methods.</summary>
    public const string Every = "all";

    public Option<string?> Method { get; } =
        new("--method")
        {
            Description =
                "How to merge the inputs; --list names the methods. With --eval, all tries each method that suits the "
                + "inputs.",
            HelpName = "NAME",
            CustomParser = OptionTypes.Value,
        };

    public Option[] Options =>
        [
            Method,
            _inputs.Inputs,
            _inputs.Weights,
            _settings.Option,
            _density,
            _layers.Option,
            _seed,
            _asAdapter,
            _rank,
            _factors,
            _data.Option,
            .. _scoring.Options,
            .. _evaluation.All,
        ];

    /// <summary>Refuses options that have no effect without --method.</summary>
    /// <exception cref="InputException">One is given.</exception>
    public void Refuse(CommandContext context)
    {
        IEnumerable<Option> mine = conversion.IsGguf(context) ? Options.Except([conversion.Format]) : Options;
        if (mine.FirstOrDefault(context.IsGiven) is { } given)
            throw new InputException($"{given.Name}: has no effect without --method NAME");
    }

    /// <summary>Returns whether the result may be measured and removed, so that it needs no folder.</summary>
    public bool NeedsNoFolder(CommandContext context) => context.Get(Method) is not null && _scoring.IsGiven(context);

    /// <summary>Merges the inputs, and writes the result whole or not at all; with --eval, measures it.</summary>
    public void Execute(CommandContext context, string model)
    {
        if (context.IsGiven(conversion.Adapter))
            throw new InputException("--adapter: with --method, expected --input DIR for each input");
        bool every = context.Get(Method) == Every;
        MergeMethod[] methods = every ? [.. MergeMethods.All] : [MergeMethods.Find(context.Get(Method)!)];
        MergeInput[] inputs = _inputs.Read(context);
        ChosenMethod[] chosen = [.. methods.Select(method => new ChosenMethod(method, Read(context, method, methods)))];
        ResultForm form = Form(context);
        RefuseQuantised(context, form);
        string[] files = _data.Files(context);
        if (files.Length > 0 && Array.TrueForAll(methods, method => method.Data == MergeData.None))
            throw new InputException($"--data \"{files[0]}\": {methods[0].Name} looks at weights alone");
        string[] read = [model, .. inputs.Select(input => input.Directory), .. files];
        if (_scoring.IsGiven(context))
        {
            if (form.Gguf is not null)
                throw new InputException("--format \"gguf\": expected a folder where the result is measured (--eval)");
            _evaluation.SaveMemory(context);
            using var loaded = new ModelInputs(context, model);
            _scoring.Execute(context, loaded, inputs, form, Encode(context, loaded, chosen), read, _evaluation);
            return;
        }

        _scoring.Refuse(context);
        if (every)
            throw new InputException("--method \"all\": expected --eval TASK=FILE with it");
        using IOutput target = conversion.Target(context, read);
        if (files.Length > 0)
        {
            _evaluation.SaveMemory(context);
            using var loaded = new ModelInputs(context, model);
            Write(context, target, loaded.Folder, inputs, form, Encode(context, loaded, chosen)[0]);
            return;
        }

        context.RefuseWithout("--data FILE or --eval TASK=FILE", _evaluation.OnRecords(context));
        using ModelFolder folder = context.OpenModel(model);
        Write(context, target, folder, inputs, form, chosen[0]);
    }

    /// <summary>Adds the records of --data to the options of those methods that need them.</summary>
    private ChosenMethod[] Encode(CommandContext context, ModelInputs loaded, ChosenMethod[] chosen)
    {
        IReadOnlyList<EncodedRecord>[] data = _data.Encode(context, loaded, _evaluation);
        return
        [
            .. chosen.Select(one =>
                one.Method.Data == MergeData.None
                    ? one
                    : one with
                    {
                        Options = one.Options with { Data = data, Batch = context.Get(_evaluation.Batch) },
                    }
            ),
        ];
    }

    private void Write(
        CommandContext context,
        IOutput target,
        ModelFolder folder,
        MergeInput[] inputs,
        ResultForm form,
        ChosenMethod chosen
    )
    {
        using Device device = conversion.Device.Open(context);
        BaseQuantization? quantization = requantize.Read(context);
        using QuantizedOutput? output = quantization is null ? null : new(folder, device, quantization);
        MergeOptions options = chosen.Options with { Output = output };
        using var merge = ModelMerge.Open(folder, chosen.Method, inputs, options, device);
        context.Warn(merge.Warnings);
        target.Claim();
        long start = Stopwatch.GetTimestamp();
        MadeMerge? made = null;
        context.Terminal.Track(
            "merge",
            100,
            bar =>
            {
                target.Fill(written => made = MadeMerge.Write(merge, form, written, Report, context.Cancellation));
                return true;

                void Report(MergeProgress progress) =>
                    bar.Report(100L * progress.Done / progress.Total, progress.Tensor);
            }
        );
        var result = new JsonObject
        {
            ["out"] = target.FullPath,
            ["method"] = chosen.Method.Name,
            ["seconds"] = JsonOutput.Number(Stopwatch.GetElapsedTime(start).TotalSeconds),
            ["device"] = device.ToString(),
        };
        made!.Describe(result, form);
        var rounded = RoundedWeights.Of(output);
        rounded?.Describe(result);
        context.Finish(
            result,
            terminal =>
            {
                made.Print(terminal, target.FullPath);
                rounded?.Print(terminal);
            }
        );
        made.Warn(context.Terminal);
    }

    /// <summary>Returns the options of a method among those that they are given for.</summary>
    /// <exception cref="InputException">
    /// An option has no effect on any of them, or its value is out of range.
    /// </exception>
    private MergeOptions Read(CommandContext context, MergeMethod method, MergeMethod[] among)
    {
        if (context.IsGiven(_seed) && among.All(one => !one.Uses.HasFlag(MergeUses.Seed)))
            throw new InputException($"--seed \"{context.Get(_seed)}\": {method.Name} chooses nothing at random");
        Dictionary<string, double> numbers = [];
        Dictionary<string, string> texts = [];
        string[] known =
        [
            .. among.SelectMany(one => one.Settings).Select(setting => setting.Name),
            .. among.SelectMany(one => one.TextSettings).Select(setting => setting.Name),
        ];
        string owner = among.Length == 1 ? method.Name : "these methods";
        foreach ((string name, string value) in _settings.Read(context, owner, [.. known.Distinct()]))
        {
            if (method.Settings.FirstOrDefault(setting => setting.Name == name) is { } number)
                numbers[name] = number.Parse(value);
            else if (method.TextSettings.Any(setting => setting.Name == name))
                texts[name] = value;
        }
        bool hasDensity = among.Length == 1 || method.Uses.HasFlag(MergeUses.Density);
        return new MergeOptions
        {
            Density = hasDensity ? context.Get(_density) : null,
            Layers = _layers.Read(context),
            Seed = context.Get(_seed),
            Settings = numbers,
            Texts = texts,
            Type = conversion.IsGguf(context) ? null : conversion.Type.Read(context),
        };
    }

    /// <exception cref="InputException">--requantize is given, and has nothing to apply to.</exception>
    private void RefuseQuantised(CommandContext context, ResultForm form)
    {
        if (requantize.Read(context) is null)
            return;
        if (_scoring.IsGiven(context))
            throw new InputException("--requantize: expected no --eval with it; measure the folder by spectral eval");
        if (form.Gguf is not null || form.OfFactors || form.Rank is not null)
            throw new InputException("--requantize: expected a model folder as the result, not a LoRA or a GGUF file");
    }

    private ResultForm Form(CommandContext context)
    {
        int? rank = context.Get(_rank);
        bool factors = context.Get(_factors);
        if (factors && context.Get(_asAdapter))
            throw new InputException("--factors, --as-adapter: each writes a LoRA, expected one of the two");
        bool isLora = factors || context.Get(_asAdapter);
        if (isLora && conversion.IsGguf(context))
        {
            throw new InputException(
                "--format \"gguf\": expected a folder for a LoRA, which spectral export --format gguf-lora converts"
            );
        }
        GgufForm? gguf = conversion.IsGguf(context) ? new GgufForm(conversion.Type.ReadGguf(context)) : null;
        if (context.Get(_asAdapter) == rank is not null)
            return new ResultForm(rank, factors, gguf);
        throw new InputException("--as-adapter --rank R: expected both or neither");
    }
}
