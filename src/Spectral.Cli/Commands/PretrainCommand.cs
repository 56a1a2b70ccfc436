using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Runs;
using Spectral.Training;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

internal sealed class PretrainCommand : SpectralCommand
{
    private readonly TrainingOptions _training = new(
        "Folder with config and tokenizer; if it has weights, training starts from them.",
        "Folder for the trained model, its log and report."
    );

    public PretrainCommand()
        : base(
            "pretrain",
            "Trains all weights of a model, starting from random ones if the folder has none.",
            "spectral pretrain --model model-config --data text.jsonl --out model --epochs 10 --lr 3e-3 --warmup 50"
        )
    {
        Details = TrainingOptions.ResumeDetails;
        AddOptions([.. _training.Inputs, .. _training.Settings, _training.Shard]);
    }

    public override bool TakesRanks => true;

    public override void Execute(CommandContext context)
    {
        TrainerOptions settings = _training.Read(context);
        settings.RequireBase(keepsBase: false);
        _training.RequireRanks(context);
        using OutputFolder output = _training.Output(context, context.Get(_training.Model));
        using var inputs = new ModelInputs(context, context.Get(_training.Model), weightsOptional: true);
        RunRecords records = _training.Encode(context, inputs, settings);

        using var started = StartedRun.Begin(
            context,
            this,
            _training,
            output,
            records.Steps,
            _training.Model,
            _training.Data,
            _training.Eval
        );
        if (started is null)
            return;
        using CausalLanguageModel model = inputs.LoadToTrain(
            started.Device,
            started.Type,
            settings.Seed,
            _training.Shards(context)
        );
        var run = new TrainingRun(context, settings, output, started.Identity)
        {
            Title = $"Pretraining of {Path.GetFileName(output.FullPath)}",
            Settings = _training.Describe(context, model, records.Training.Length),
            SaveEvery = context.Get(_training.SaveEvery),
            KeepsCheckpoints = context.Get(_training.KeepCheckpoints),
            Logs = _training.Log.Read(context),
            Port = _training.Serve.Read(context),
            Save = folder => model.Save(folder, inputs.Folder.Directory),
            Json = result =>
            {
                JsonObject json = TrainingRun.JsonOf(
                    settings,
                    result,
                    model,
                    model.ParameterCount,
                    model.ParameterCount
                );
                json["out"] = output.FullPath;
                json["tensors"] = ModelTensors.For(model.Config).Count();
                return json;
            },
        };
        TrainingResult result = run.Train(model, records, started.Saved);
        context.Finish(
            run.Finished(result),
            terminal => run.Print(terminal, result, model.ParameterCount, model.ParameterCount)
        );
    }
}
