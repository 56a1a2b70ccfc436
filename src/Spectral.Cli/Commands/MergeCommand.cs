using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
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
    private readonly AdapterConversion _conversion = new(
        "Adapter to merge into the model.",
        "Folder for the plain checkpoint.",
        "keeps the type of each tensor in the base model"
    );

    public MergeCommand()
        : base(
            "merge",
            "Writes a plain checkpoint with the adapter merged into its weights.",
            "spectral merge --model base-model --adapter adapter --out merged-model",
            "spectral merge --model base-model --adapter adapter --out merged-model --dtype bf16"
        ) => AddOptions([_model, _conversion.Adapter, .. _conversion.Result]);

    public override void Execute(CommandContext context)
    {
        string adapter = context.Get(_conversion.Adapter);
        using OutputFolder target = _conversion.Target(context, context.Get(_model));
        using ModelFolder folder = context.OpenModel(context.Get(_model));
        using (var read = new AdapterReader(adapter, folder))
        {
            context.Warn(read.Warnings);
            if (read.Parts(folder))
            {
                context.Terminal.Warn(
                    $"{adapter}: this adapter unties the input and output embeddings; "
                        + "the merged model stores both, with tie_word_embeddings false"
                );
            }
        }
        _conversion.Run(
            context,
            target,
            (written, device) =>
                Merger.Merge(folder, adapter, written, device, context.Cancellation, _conversion.Type.Read(context)),
            made => new JsonObject
            {
                ["out"] = made.Folder,
                ["tensors"] = made.Tensors,
                ["seconds"] = JsonOutput.Number(made.Seconds),
                ["device"] = made.Device,
            }
        );
    }
}
