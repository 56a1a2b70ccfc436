using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

internal sealed class ExportCommand : SpectralCommand
{
    private readonly AdapterConversion _conversion = new(
        "Adapter to convert.",
        "Folder for the converted adapter.",
        "is f32"
    );
    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Model folder the adapter was trained on; needed only if factors of the adapter are computed from the "
            + "model's weights, or if its files do not give the sizes of the layers.",
        "DIR"
    );
    private readonly Option<string> _format = OptionTypes.Choice(
        "--format",
        "Format to write.",
        "peft-lora",
        "peft-lora"
    );

    public ExportCommand()
        : base(
            "export",
            "Converts an adapter into an exactly equivalent plain LoRA.",
            "spectral export --adapter adapter --format peft-lora --out lora"
        )
    {
        Details = "PEFT, vLLM and llama.cpp's converter can load it.";
        AddOptions([_conversion.Adapter, _model, _format, .. _conversion.Result]);
    }

    public override void Execute(CommandContext context)
    {
        string adapter = context.Get(_conversion.Adapter);
        using OutputFolder target = _conversion.Target(context, adapter, context.Get(_model));
        using ModelFolder? folder = context.Get(_model) is { } directory ? context.OpenModel(directory) : null;
        using (AdapterReader read = folder is null ? new(adapter) : new(adapter, folder.Config))
            context.Warn(read.Warnings);
        StoredType type = _conversion.Type.Read(context) ?? StoredType.F32;
        _conversion.Run(
            context,
            target,
            (written, device) => LoraExporter.Export(adapter, written, device, folder, type),
            made => new JsonObject
            {
                ["out"] = made.Folder,
                ["format"] = context.Get(_format),
                ["tensors"] = made.Tensors,
                ["seconds"] = JsonOutput.Number(made.Seconds),
            }
        );
    }
}
