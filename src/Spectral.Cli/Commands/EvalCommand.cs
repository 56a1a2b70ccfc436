using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Evaluation;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Routing;

namespace Spectral.Cli.Commands;

internal sealed class EvalCommand : SpectralCommand
{
    private readonly Option<string> _model = OptionTypes.RequiredPath(
        "--model",
        "Model folder in Hugging Face layout.",
        "DIR"
    );
    private readonly Option<string?> _adapter = OptionTypes.Path(
        "--adapter",
        "Adapter to attach, or a folder of experts (spectral merge --method auto-flexswitch).",
        "DIR"
    );
    private readonly Option<string> _data = OptionTypes.RequiredPath(
        "--data",
        "Records: a file, or a folder of files.",
        "FILE"
    );
    private readonly EvaluationOptions _evaluation = new();
    private readonly TrainOnOption _trainOn = new();
    private readonly DeviceOptions _device = new();

    public EvalCommand()
        : base(
            "eval",
            "Measures loss, perplexity and exact match on records.",
            "spectral eval --model base-model --adapter adapter --data eval.jsonl"
        ) => AddOptions([_model, _adapter, _data, .. _evaluation.All, _trainOn.Option, .. _device.WithTuning]);

    public override void Execute(CommandContext context)
    {
        _evaluation.SaveMemory(context);
        using var inputs = new ModelInputs(context, context.Get(_model));
        ExpertFolder? experts = inputs.CheckExperts(context, context.Get(_adapter));
        EncodedRecord[] records = _evaluation.Encode(context, inputs, context.Get(_data), _trainOn.Read(context));
        using Device computing = _device.Open(context);
        using CausalLanguageModel loaded = inputs.Load(computing, _device.TypeOn(computing, context));
        using Adapter? attached =
            experts is null && context.Get(_adapter) is { } folder ? Adapter.Load(loaded, folder) : null;
        RoutedEvaluation scores = context.Terminal.Track(
            "evaluating",
            records.Length,
            progress => Measure(context, loaded, experts, records, new RecordsDone(progress))
        );
        EvaluationResult measured = scores.Result;
        var result = new JsonObject
        {
            ["loss"] = JsonOutput.Number(measured.Loss),
            ["perplexity"] = JsonOutput.Number(measured.Perplexity),
            ["tokens"] = measured.Tokens,
            ["exact_match"] = JsonOutput.Number(measured.ExactMatch),
            ["records"] = measured.Records,
            ["variants"] = JsonOutput.Array(computing.Variants.All.Select(use => use.ToString())),
        };
        if (experts is not null)
            result["experts"] = ExpertScores.Json(scores);
        context.Finish(
            result,
            terminal =>
            {
                var rows = new List<(string, string)>
                {
                    ("loss", measured.Loss.ToString("0.0000", CultureInfo.InvariantCulture)),
                    ("perplexity", measured.Perplexity.ToString("0.000", CultureInfo.InvariantCulture)),
                    ("tokens", measured.Tokens.ToString("N0", CultureInfo.InvariantCulture)),
                    ("records", measured.Records.ToString("N0", CultureInfo.InvariantCulture)),
                };
                if (measured.ExactMatch is { } match)
                    rows.Add(("exact match", (100 * match).ToString("0.0", CultureInfo.InvariantCulture) + " %"));
                terminal.Table([.. rows]);
                if (experts is not null)
                    ExpertScores.Print(terminal, scores);
            }
        );
    }

    private RoutedEvaluation Measure(
        CommandContext context,
        CausalLanguageModel model,
        ExpertFolder? experts,
        EncodedRecord[] records,
        RecordsDone progress
    )
    {
        int batch = context.Get(_evaluation.Batch);
        CancellationToken cancellation = context.Cancellation;
        return experts is null
            ? new RoutedEvaluation(Evaluator.Evaluate(model, records, batch, true, progress, cancellation), [])
            : RoutedEvaluator.Evaluate(model, experts, records, batch, true, progress, cancellation);
    }
}
