using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Merging;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Quantization;

namespace Spectral.Cli.Commands;

internal sealed class MergeCommand : SpectralCommand
{
    private const string Gguf = "gguf";

    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Model folder the adapter was trained on, or the base of all inputs.",
        "DIR"
    );
    private readonly AdapterConversion _conversion;
    private readonly QuantizeOption _quantize = new();
    private readonly QuantizeOption _requantize = QuantizeOption.OfResult();
    private readonly MethodMerge _several;
    private readonly Option<bool> _list = OptionTypes.Flag(
        "--list",
        "List the merge methods; with --method, show that one in detail."
    );

    public MergeCommand()
        : base(
            "merge",
            "Merges an adapter, or several tuned models by a method, into a plain checkpoint.",
            "spectral merge --model base-model --adapter adapter --out merged-model",
            "spectral merge --model base-model --adapter adapter --out merged-model --dtype bf16",
            "spectral merge --model base-model --adapter adapter --quantize nf4 --out merged-model",
            "spectral merge --model base-model --adapter adapter --out merged-model --requantize nf4",
            "spectral merge --model base-model --out small-model --requantize int8",
            "spectral merge --model base-model --adapter adapter --format gguf --dtype q8_0 --out merged.gguf",
            "spectral merge --model base-model --method ties --density 0.2 --input adapter --input tuned-model=0.5 "
                + "--out merged-model",
            "spectral merge --model base-model --method linear --input one=0.5 --input two=0.5 --as-adapter --rank 16 "
                + "--out merged-adapter",
            "spectral merge --model base-model --method all --input one --input two --eval one=one.jsonl "
                + "--eval two=two.jsonl --page merges.html",
            "spectral merge --model base-model --method auto-flexswitch --input one --data one.jsonl --input two "
                + "--data two.jsonl --out experts",
            "spectral merge --list"
        )
    {
        Details =
            "With --adapter, one adapter is folded in; with --quantize, into the base as a run with --quantize had it. "
            + "With --requantize alone, the base is written quantised. "
            + "With --method, inputs are adapters of any method and rank, and "
            + "whole checkpoints tuned from the base; an adapter counts as the dense change it makes. Tensors are read "
            + "piece by piece, and the result has as many files as the base. With --eval, base, inputs and result are "
            + "measured on each task: loss, exact match, and how much is kept of the gain that the best single input "
            + "has over the base. Without --out, results are written to the system's temporary folder one at a time, "
            + "and removed. With --format gguf, the result is one file with the tokenizer in it, for llama.cpp; "
            + "the base alone becomes one without --adapter and --method.";
        RecordFormatOption format = new(Gguf, " With gguf, the result is one file for llama.cpp.");
        _conversion = new AdapterConversion(
            "Adapter to merge into the model.",
            "Folder for the result.",
            new ResultTypeOption("keeps the type of each tensor in the base model", ResultTypeOption.Blocks),
            format.Option,
            Gguf
        );
        _several = new MethodMerge(_conversion, format, _requantize);
        (_conversion.Adapter.Required, _conversion.Out.Required) = (false, false);
        _conversion.Overwrite.Description = "Replace files in --out if it is not empty, and an existing --page.";
        AddOptions([
            _model,
            _conversion.Adapter,
            .. _several.Options,
            _list,
            .. _quantize.All,
            .. _requantize.All,
            .. _conversion.Result,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        if (context.Get(_list))
        {
            string? named = context.Get(_several.Method);
            new MergeMethodList().Print(context, named is null or MethodMerge.Every ? null : MergeMethods.Find(named));
            return;
        }

        string model = context.Get(_model) ?? throw Missing(_model);
        if (!context.IsGiven(_conversion.Out) && !_several.NeedsNoFolder(context))
            throw Missing(_conversion.Out);
        if (context.Get(_several.Method) is not null)
        {
            context.RefuseWithout("--adapter DIR", _quantize.All);
            _several.Execute(context, model);
            return;
        }

        _several.Refuse(context);
        if (_conversion.IsGguf(context))
            WriteGguf(context, model);
        else if (context.IsGiven(_conversion.Adapter) || _requantize.Read(context) is not null)
            Fold(context, model);
        else
            throw new InputException("--adapter DIR, --method NAME or --requantize FORMAT: expected one of them");
    }

    private static InputException Missing(Option option) => new($"Option '{option.Name}' is required.");

    private void Fold(CommandContext context, string model)
    {
        string? adapter = context.IsGiven(_conversion.Adapter) ? context.Get(_conversion.Adapter) : null;
        if (adapter is null)
            context.RefuseWithout("--adapter DIR", _quantize.All);
        BaseQuantization? quantization = _requantize.Read(context);
        StoredType? type = _conversion.Type.Read(context);
        using IOutput target = _conversion.Target(context, adapter, model);
        using ModelFolder folder = context.OpenModel(model, quantization: _quantize.Read(context));
        if (adapter is not null)
            Warn(context, adapter, folder);
        RoundedWeights? rounded = null;
        AdapterConversion.Written made = _conversion.Write(
            context,
            target,
            (written, device) =>
            {
                using QuantizedOutput? output = quantization is null ? null : new(folder, device, quantization);
                int tensors = Merger.Merge(folder, adapter, written, device, context.Cancellation, type, output);
                rounded = RoundedWeights.Of(output);
                return tensors;
            }
        );
        var result = new JsonObject
        {
            ["out"] = made.Path,
            ["tensors"] = made.Tensors,
            ["seconds"] = JsonOutput.Number(made.Seconds),
            ["device"] = made.Device,
        };
        rounded?.Describe(result);
        context.Finish(
            result,
            terminal =>
            {
                terminal.Line($"wrote {made.Tensors} tensors to {made.Path}");
                rounded?.Print(terminal);
            }
        );
    }

    /// <summary>Writes the base as one file, with the adapter folded in if there is one.</summary>
    private void WriteGguf(CommandContext context, string model)
    {
        context.RefuseWithout("a folder as --out", _requantize.All);
        string? adapter = context.IsGiven(_conversion.Adapter) ? context.Get(_conversion.Adapter) : null;
        if (adapter is null)
            context.RefuseWithout("--adapter DIR", _quantize.All);
        using IOutput target = _conversion.Target(context, adapter, model);
        using ModelFolder folder = context.OpenModel(model, quantization: _quantize.Read(context));
        if (adapter is not null)
            Warn(context, adapter, folder);
        GgufType? type = _conversion.Type.ReadGguf(context);
        _conversion.Run(
            context,
            target,
            (path, device) => AdapterConversion.Show(context, Written(path, device)),
            made => new JsonObject
            {
                ["out"] = made.Path,
                ["tensors"] = made.Tensors,
                ["seconds"] = JsonOutput.Number(made.Seconds),
                ["device"] = made.Device,
            }
        );

        GgufResult Written(string path, Device device) =>
            adapter is null
                ? GgufModel.Write(folder, path, type, context.Cancellation)
                : Merger.WriteGguf(folder, adapter, path, device, type, context.Cancellation);
    }

    private static void Warn(CommandContext context, string adapter, ModelFolder folder)
    {
        using var read = new AdapterReader(adapter, folder);
        context.Warn(read.Warnings);
        if (read.Parts(folder))
        {
            context.Terminal.Warn(
                $"{adapter}: this adapter unties the input and output embeddings; "
                    + "the merged model stores both, with tie_word_embeddings false"
            );
        }
    }
}
