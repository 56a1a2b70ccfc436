using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Training;

namespace Spectral.Cli;

internal sealed class ExportCommand : SpectralCommand
{
    private readonly Option<string> adapter = OptionTypes.RequiredPath("--adapter", "Adapter to convert.", "DIR");
    private readonly Option<string> format = OptionTypes.Choice("--format", "What to write.", "peft-lora", "peft-lora");
    private readonly Option<string> output = OptionTypes.RequiredPath("--out", "Folder for the converted adapter.", "DIR");
    private readonly Option<bool> overwrite = OptionTypes.Flag("--overwrite", "Replace files in an --out that is not empty.");

    public ExportCommand() : base("export", "Converts an adapter into an exactly equivalent plain LoRA that PEFT, vLLM and llama.cpp converters load.",
        "spectral export --adapter adapter --format peft-lora --out lora") => AddOptions(adapter, format, output, overwrite);

    public override void Execute(CommandContext context)
    {
        var target = new OutputFolder(context.Get(output), context.Get(overwrite), context.Get(adapter));
        using (AdapterFolder read = AdapterFolder.Open(context.Get(adapter)))
            foreach (string warning in read.Warnings) context.Terminal.Warn(warning);
        long start = Stopwatch.GetTimestamp();
        int tensors = 0;
        target.Fill(folder => tensors = LoraExporter.Export(context.Get(adapter), folder));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        context.Finish(new JsonObject { ["out"] = target.FullPath, ["format"] = context.Get(format), ["tensors"] = tensors, ["seconds"] = JsonOutput.Number(seconds) },
            terminal => terminal.Line($"wrote {tensors} tensors to {target.FullPath}"));
    }
}
