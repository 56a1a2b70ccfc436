using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

internal sealed class ExportCommand : SpectralCommand
{
    private const string Gguf = "gguf-lora";
    private const string Prompt = "soft-prompt";

    private readonly AdapterConversion _conversion = new(
        "Adapter to convert.",
        "Folder for the converted adapter.",
        new ResultTypeOption("is f32"),
        OptionTypes.Choice(
            "--format",
            "Format to write: a folder of PEFT's, a file of llama.cpp's, or the soft prompt beside the layers alone.",
            "peft-lora",
            "peft-lora",
            Gguf,
            Prompt
        ),
        Gguf
    );
    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Model folder the adapter was trained on; needed for gguf-lora, and else only if factors of the adapter are "
            + "computed from the model's weights, or if its files do not give the sizes of the layers.",
        "DIR"
    );

    public ExportCommand()
        : base(
            "export",
            "Converts an adapter into an exactly equivalent plain LoRA.",
            "spectral export --adapter adapter --format peft-lora --out lora",
            "spectral export --adapter adapter --model base-model --format gguf-lora --out lora.gguf"
        )
    {
        Details =
            "PEFT, vLLM and llama.cpp's converter can load peft-lora. llama.cpp loads gguf-lora beside a GGUF file of "
            + "the base model.";
        AddOptions([_conversion.Adapter, _model, _conversion.Format, .. _conversion.Result]);
    }

    public override void Execute(CommandContext context)
    {
        string adapter = context.Get(_conversion.Adapter);
        using IOutput target = _conversion.Target(context, adapter, context.Get(_model));
        using ModelFolder? folder = context.Get(_model) is { } directory ? context.OpenModel(directory) : null;
        Func<string, Device, int> write = context.Get(_conversion.Format) switch
        {
            Prompt => (written, _) => SoftPromptExporter.Export(adapter, written),
            Gguf => WriteGguf(context, adapter, folder),
            _ => (written, device) =>
                LoraExporter.Export(adapter, written, device, folder, _conversion.Type.Read(context) ?? StoredType.F32),
        };
        if (context.Get(_conversion.Format) != Prompt)
        {
            using AdapterReader read = folder is null ? new(adapter) : new(adapter, folder.Config);
            context.Warn(read.Warnings);
        }

        _conversion.Run(
            context,
            target,
            write,
            made => new JsonObject
            {
                ["out"] = made.Path,
                ["format"] = context.Get(_conversion.Format),
                ["tensors"] = made.Tensors,
                ["seconds"] = JsonOutput.Number(made.Seconds),
            }
        );
    }

    private Func<string, Device, int> WriteGguf(CommandContext context, string adapter, ModelFolder? folder)
    {
        GgufType type = _conversion.Type.ReadGguf(context) ?? GgufType.F32;
        ModelFolder model =
            folder
            ?? throw new InputException(
                "--format \"gguf-lora\": expected --model, the model the adapter was trained on"
            );
        return (path, device) =>
            AdapterConversion.Show(context, GgufLora.Write(model, adapter, path, device, type, context.Cancellation));
    }
}
