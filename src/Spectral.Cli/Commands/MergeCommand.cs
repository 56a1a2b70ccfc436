using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

internal sealed class MergeCommand : SpectralCommand
{
    private readonly Option<string> _model = OptionTypes.RequiredPath(
        "--model",
        "Model folder the adapter was trained on.",
        "DIR"
    );
    private readonly Option<string> _adapter = OptionTypes.RequiredPath("--adapter", "Adapter to fold in.", "DIR");
    private readonly Option<string> _output = OptionTypes.RequiredPath(
        "--out",
        "Folder for the plain checkpoint.",
        "DIR"
    );
    private readonly Option<bool> _overwrite = OptionTypes.Flag(
        "--overwrite",
        "Replace files in an --out that is not empty."
    );
    private readonly ResultTypeOption _type = new("as the base stores each");
    private readonly DeviceOptions _device = new();

    public MergeCommand()
        : base(
            "merge",
            "Writes a plain checkpoint with the adapter folded into its weights.",
            "spectral merge --model base-model --adapter adapter --out merged-model",
            "spectral merge --model base-model --adapter adapter --out merged-model --dtype bf16"
        ) => AddOptions([_model, _adapter, _output, _overwrite, _type.Option, .. _device.WithoutType]);

    public override void Execute(CommandContext context)
    {
        using var target = new OutputFolder(
            context.Get(_output),
            context.Get(_overwrite),
            context.Get(_model),
            context.Get(_adapter)
        );
        using ModelFolder folder = context.OpenModel(context.Get(_model));
        using Device computing = _device.Open(context);
        using (var read = new AdapterReader(context.Get(_adapter), folder))
        {
            foreach (string warning in read.Warnings)
                context.Terminal.Warn(warning);
            if (read.Parts(folder))
            {
                context.Terminal.Warn(
                    $"{context.Get(_adapter)}: input and output embeddings part under this adapter: "
                        + "the merged model stores both, with tie_word_embeddings false"
                );
            }
        }
        target.Claim();
        long start = Stopwatch.GetTimestamp();
        int tensors = 0;
        target.Fill(directory =>
            tensors = Merger.Merge(
                folder,
                context.Get(_adapter),
                directory,
                computing,
                context.Cancellation,
                _type.Read(context)
            )
        );
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        context.Finish(
            new JsonObject
            {
                ["out"] = target.FullPath,
                ["tensors"] = tensors,
                ["seconds"] = JsonOutput.Number(seconds),
                ["device"] = computing.ToString(),
            },
            terminal => terminal.Line($"wrote {tensors} tensors to {target.FullPath}")
        );
    }
}
