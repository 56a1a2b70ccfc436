using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Evaluation;
using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Planning;
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
    private readonly PackingOption _packing = new();
    private readonly TrainOnOption _trainOn = new();
    private readonly DeviceOptions _device = new();

    public EvalCommand()
        : base(
            "eval",
            "Measures loss, perplexity and exact match on records.",
            "spectral eval --model base-model --adapter adapter --data eval.jsonl"
        ) =>
        AddOptions([
            _model,
            _adapter,
            _data,
            .. _evaluation.All,
            _packing.Option,
            _trainOn.Option,
            .. _device.WithTuning,
        ]);

    public override void Execute(CommandContext context)
    {
        _evaluation.SaveMemory(context);
        using var inputs = new ModelInputs(context, context.Get(_model));
        ExpertFolder? experts = inputs.CheckExperts(context, context.Get(_adapter));
        EncodedRecord[] records = _evaluation.Encode(
            context,
            inputs,
            context.Get(_data),
            _trainOn.Read(context),
            context.Get(_packing.Option)
        );
        using Device computing = _device.Open(context);
        DType type = _device.TypeOn(computing, context);
        MemorySavings.Explain(
            context,
            () => experts is null ? Plan(context, inputs, records, computing, type) : null,
            () => Evaluate(context, inputs, experts, records, computing, type)
        );
    }

    private void Evaluate(
        CommandContext context,
        ModelInputs inputs,
        ExpertFolder? experts,
        EncodedRecord[] records,
        Device computing,
        DType type
    )
    {
        using CausalLanguageModel loaded = inputs.Load(computing, type);
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

    /// <summary>Plans the evaluation of the longest records, as it is and with options that may need less.</summary>
    private (Func<long> Peak, IEnumerable<(string Option, Func<long> Peak)> Others) Plan(
        CommandContext context,
        ModelInputs inputs,
        EncodedRecord[] records,
        Device device,
        DType type
    )
    {
        int batch = context.Get(_evaluation.Batch);
        EncodedRecord[] longest = [.. records.OrderByDescending(record => record.Tokens.Length).Take(batch)];
        int length = longest[0].Tokens.Length;
        return (Peak(batch, length, type), Others());

        IEnumerable<(string, Func<long>)> Others()
        {
            if (batch > 1)
                yield return ($"--batch {batch / 2}", Peak(batch / 2, length, type));
            if (length > 2)
                yield return ($"--max-length {length / 2}", Peak(batch, length / 2, type));
            if (type == DType.F32)
                yield return ("--dtype bf16", Peak(batch, length, DType.BF16));
        }

        Func<long> Peak(int rows, int tokens, DType chosen) =>
            () =>
                MemoryPlanner.Peak(
                    device,
                    inputs.Folder.Config,
                    chosen,
                    model =>
                    {
                        using Adapter? attached = context.Get(_adapter) is { } folder
                            ? Adapter.Load(model, folder)
                            : null;
                        Evaluator.Evaluate(model, [.. longest.Select(record => Cut(record, tokens))], rows, true);
                    }
                );
    }

    private static EncodedRecord Cut(EncodedRecord record, int length)
    {
        int removed = Math.Max(0, record.Tokens.Length - length);
        return record with
        {
            Tokens = record.Tokens[removed..],
            PromptLength = Math.Max(1, record.PromptLength - removed),
            LossFrom = Math.Max(1, record.LossFrom - removed),
            Learns = record.Learns?.Skip(removed).ToArray(),
        };
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
        int? packTo = _packing.Length(context, _evaluation.MaxLength);
        CancellationToken cancellation = context.Cancellation;
        return experts is null
            ? new RoutedEvaluation(Evaluator.Evaluate(model, records, batch, true, progress, packTo, cancellation), [])
            : RoutedEvaluator.Evaluate(model, experts, records, batch, true, progress, packTo, cancellation);
    }
}
