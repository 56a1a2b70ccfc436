using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Runs;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Planning;

namespace Spectral.Cli.Commands;

internal sealed class FinetuneCommand : SpectralCommand
{
    private readonly AdapterCommandOptions _adapter = new(trains: true);
    private readonly TrainingOptions _training;
    private readonly AblationOption _ablate = new();
    private readonly QuantizeOption _quantize = new();

    public FinetuneCommand()
        : base(
            "finetune",
            "Trains an adapter on a model.",
            "spectral finetune --model base-model --data train.jsonl --eval eval.jsonl --out adapter",
            "spectral finetune --model base-model --data train.jsonl --out adapter --adapter lora --rank "
                + "16 --alpha 32 --epochs 1 --lr 1e-3"
        )
    {
        _training = new(
            "Model folder in Hugging Face layout.",
            "Folder for the adapter, its log and report.",
            _adapter.Settings.All
        );
        Details = TrainingOptions.ResumeDetails;
        AddOptions([
            .. _training.Inputs,
            .. _adapter.All,
            _ablate.Option,
            .. _quantize.All,
            .. _training.Settings,
            _training.Shard,
        ]);
    }

    public override bool TakesRanks => true;

    public override void Execute(CommandContext context)
    {
        TrainerOptions settings = _training.Read(context);
        _training.RequireRanks(context);
        string? start = context.Get(_adapter.InitAdapter);
        using OutputFolder output = _training.Output(context, context.Get(_training.Model), start);
        AdapterMethod method = _adapter.Method(context);
        AdapterOptions options = _adapter.Read(context);
        if (start is null)
        {
            settings.RequireSuits(method, options);
            method.RequireSuits(_quantize.Read(context));
        }

        using var inputs = new ModelInputs(
            context,
            context.Get(_training.Model),
            quantization: _quantize.Read(context),
            mayClassify: true
        );
        inputs.CheckAdapter(context, start);
        if (start is null)
        {
            UnusedAdapterOptions.Refuse(
                context,
                _adapter,
                MethodFacts.Of(method, AdapterTargets.Of(inputs.Folder.Config, method, options), options)
            );
            inputs.VirtualTokens = method.VirtualTokens(options);
        }

        RunRecords records = _training.Encode(context, inputs, settings);
        EncodedRecord[]? calibration = start is null ? _adapter.Calibration(context, inputs, method, _training) : null;

        using var started = StartedRun.Begin(
            context,
            this,
            _training,
            output,
            records.Steps,
            _training.Model,
            _training.Data,
            _training.Eval,
            _adapter.InitAdapter,
            _adapter.Previous,
            _adapter.CalibrationData,
            _ablate.Option
        );
        if (started is null)
            return;
        options = _adapter.Encode(context, options with { Seed = settings.Seed }, inputs.Tokenizer);
        MemorySavings.Explain(
            context,
            () =>
            {
                if (inputs.Folder.Config.Classifier is not null)
                    return null;
                var longest = PlannedRecords.Of(records.Training, settings);
                return new PlannedRun(inputs.Folder.Config, started.Type, settings, longest.Length)
                {
                    LossTokens = longest.LossTokens,
                    LongestRecord = longest.LongestRecord,
                    Quantization = inputs.Folder.Quantization,
                    Method = method,
                    Adapter = options,
                    CalibrationRecords = context.Get(_adapter.CalibrationRecords),
                    InitAdapter = start,
                    Ranks = context.Ranks.Count,
                    Shards = context.Get(_training.Shard),
                    Evaluation = records.Evaluation is { } evaluated ? PlannedRecords.Of(evaluated, settings) : null,
                };
            },
            started.Device,
            Train
        );

        void Train()
        {
            using CausalLanguageModel model = inputs.Load(started.Device, started.Type, _training.Shards(context));
            using DirectionAblation? ablation = _ablate.Load(context, model);
            var run = new AdapterRun(context, _training, _adapter);
            using Adapter attached = run.Attach(
                model,
                method,
                options,
                start,
                calibration ?? records.Training,
                settings,
                started.Saved
            );
            if (start is not null)
                InitAdapterConflicts.Refuse(context, _adapter, model.Config, attached, inputs.Tokenizer);
            model.Ablation = ablation;
            TrainingRun training = run.Of(
                model,
                attached,
                settings,
                output,
                started.Identity,
                $"{attached.Method.Name} on {Path.GetFileName(inputs.Folder.Directory)}",
                [
                    _training.DescribeData(context, records.Training.Length),
                    .. ablation is null ? [] : new[] { ("ablate", context.Get(_ablate.Option)!) },
                ]
            );
            TrainingResult result = training.Train(model, records, started.Saved);
            context.Finish(
                training.Finished(result),
                terminal => training.Print(terminal, result, attached.TrainableCount, AdapterRun.Total(model, attached))
            );
        }
    }
}
