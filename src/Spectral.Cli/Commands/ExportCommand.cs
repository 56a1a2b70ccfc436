using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

internal sealed class ExportCommand : SpectralCommand
{
    private readonly Option<string> _adapter = OptionTypes.RequiredPath("--adapter", "Adapter to convert.", "DIR");
    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Model folder the adapter was trained on; needed only where the factors follow from its weights, "
            + "or do not say how large the layers are.",
        "DIR"
    );
    private readonly Option<string> _format = OptionTypes.Choice(
        "--format",
        "What to write.",
        "peft-lora",
        "peft-lora"
    );
    private readonly Option<string> _output = OptionTypes.RequiredPath(
        "--out",
        "Folder for the converted adapter.",
        "DIR"
    );
    private readonly Option<bool> _overwrite = OptionTypes.Flag(
        "--overwrite",
        "Replace files in an --out that is not empty."
    );
    private readonly ResultTypeOption _type = new("f32");
    private readonly DeviceOptions _device = new();

    public ExportCommand()
        : base(
            "export",
            "Converts an adapter into an exactly equivalent plain LoRA that PEFT, vLLM and llama.cpp converters load.",
            "spectral export --adapter adapter --format peft-lora --out lora"
        ) => AddOptions([_adapter, _model, _format, _output, _overwrite, _type.Option, .. _device.WithoutType]);

    public override void Execute(CommandContext context)
    {
        using var target = new OutputFolder(
            context.Get(_output),
            context.Get(_overwrite),
            context.Get(_adapter),
            context.Get(_model)
        );
        using ModelFolder? folder = context.Get(_model) is { } directory ? context.OpenModel(directory) : null;
        using (
            AdapterReader read = folder is null
                ? new AdapterReader(context.Get(_adapter))
                : new AdapterReader(context.Get(_adapter), folder.Config)
        )
        {
            foreach (string warning in read.Warnings)
                context.Terminal.Warn(warning);
        }

        using Device computing = _device.Open(context);
        target.Claim();
        long start = Stopwatch.GetTimestamp();
        int tensors = 0;
        target.Fill(written =>
            tensors = LoraExporter.Export(
                context.Get(_adapter),
                written,
                computing,
                folder,
                _type.Read(context) ?? StoredType.F32
            )
        );
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        context.Finish(
            new JsonObject
            {
                ["out"] = target.FullPath,
                ["format"] = context.Get(_format),
                ["tensors"] = tensors,
                ["seconds"] = JsonOutput.Number(seconds),
            },
            terminal => terminal.Line($"wrote {tensors} tensors to {target.FullPath}")
        );
    }
}
