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
using Spectral.Training.IO;
using Spectral.Training.Metrics;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
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
    private readonly AdaptersOption _adapters = new(
        "Adapter to attach, or a folder of experts (spectral merge --method auto-flexswitch). Given several times, "
            + "each record names one of them (\"adapter\": the folder's name, or NAME) or is for the base."
    );
    private readonly Option<string> _data = OptionTypes.RequiredPath(
        "--data",
        "Records: a file, or a folder of files.",
        "FILE"
    );
    private readonly EvaluationOptions _evaluation = new();
    private readonly PackingOption _packing = new();
    private readonly TrainOnOption _trainOn = new();
    private readonly QuantizeOption _quantize = new();
    private readonly DeviceOptions _device = new();
    private readonly SettingsOption _settings = new(LossOption.SettingsHelp, LossOption.Group);
    private readonly LossOption _loss;

    public EvalCommand()
        : base(
            "eval",
            "Measures loss and exact match, accuracy of answers and classes, or rewards on pairs.",
            "spectral eval --model base-model --adapter adapter --data eval.jsonl",
            "spectral eval --model base-model --adapter adapter --data pairs.jsonl --loss dpo",
            "spectral eval --model bert --adapter adapter --data labelled-texts.jsonl",
            "spectral eval --model base-model --adapter fr=french --adapter law=legal --data mixed.jsonl"
        )
    {
        _loss = new LossOption(_settings);
        AddOptions([
            _model,
            _adapters.Option,
            _data,
            .. _loss.All,
            _settings.Option,
            .. _evaluation.All,
            _packing.Option,
            _trainOn.Option,
            .. _quantize.All,
            .. _device.WithTuning,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        _evaluation.SaveMemory(context);
        LossChoice loss = ReadLoss(context);
        using var inputs = new ModelInputs(
            context,
            context.Get(_model),
            quantization: _quantize.Read(context),
            mayClassify: true
        );
        string? single = _adapters.Single(context);
        IReadOnlyList<(string Name, string Directory)>? set = _adapters.Set(context);
        ExpertFolder? experts = inputs.CheckExperts(context, single);
        inputs.CheckSet(context, set ?? []);
        EncodedRecord[] records = _evaluation.Encode(
            context,
            inputs,
            context.Get(_data),
            _trainOn.Read(context),
            context.Get(_packing.Option),
            _loss.Takes(context),
            set is null ? null : [.. set.Select(adapter => adapter.Name)]
        );
        if ((experts is not null || set is not null) && _loss.TakesPairs(context))
        {
            throw new InputException(
                experts is null
                    ? $"several adapters, expected one with --loss {loss.Name}"
                    : $"{single}: a folder of experts, expected one adapter with --loss {loss.Name}"
            );
        }

        using Device computing = _device.Open(context);
        DType type = _device.TypeOn(computing, context);
        MemorySavings.Explain(
            context,
            () =>
                experts is null && set is null && inputs.Folder.Config.Classifier is null
                    ? Plan(context, inputs, records, loss, computing, type)
                    : null,
            () => Evaluate(context, inputs, experts, set, records, loss, computing, type)
        );
    }

    private void Evaluate(
        CommandContext context,
        ModelInputs inputs,
        ExpertFolder? experts,
        IReadOnlyList<(string Name, string Directory)>? set,
        EncodedRecord[] records,
        LossChoice loss,
        Device computing,
        DType type
    )
    {
        using CausalLanguageModel loaded = inputs.Load(computing, type);
        using AdapterSet? several = set is null ? null : AdaptersOption.Attach(loaded, set);
        using Adapter? attached =
            experts is null && _adapters.Single(context) is { } folder ? Adapter.Load(loaded, folder) : null;
        (EvaluationResult measured, ScoresByAdapter? parts) = context.Terminal.Track(
            "evaluating",
            records.Length,
            progress => Measure(context, loaded, experts, several, records, loss, new RecordsDone(progress))
        );
        var result = new JsonObject
        {
            ["loss"] = JsonOutput.Number(measured.Loss),
            ["perplexity"] = JsonOutput.Number(measured.HasPerplexity ? measured.Perplexity : null),
            ["tokens"] = measured.Tokens,
            ["exact_match"] = JsonOutput.Number(measured.ExactMatch),
            ["records"] = measured.Records,
            ["variants"] = JsonOutput.Array(computing.Variants.All.Select(use => use.ToString())),
        };
        foreach ((string name, double value) in Rewards(measured))
            result[name] = JsonOutput.Number(value);
        foreach (MetricValue metric in measured.Metrics ?? [])
            result[metric.Name] = JsonOutput.Number(metric.Value);
        parts?.AddTo(result);
        context.Finish(
            result,
            terminal =>
            {
                var rows = new List<(string, string)> { ("loss", Text(measured.Loss, "0.0000")) };
                if (measured.HasPerplexity)
                    rows.Add(("perplexity", Text(measured.Perplexity, "0.000")));
                foreach ((string name, double value) in Rewards(measured))
                    rows.Add((name.Replace('_', ' '), Text(value, "0.0000")));
                rows.Add((measured.IsOfLabels ? "labels" : "tokens", Text(measured.Tokens, "N0")));
                rows.Add(("records", Text(measured.Records, "N0")));
                if (measured.ExactMatch is { } match)
                    rows.Add(("exact match", Text(100 * match, "0.0") + " %"));
                foreach (MetricValue metric in measured.Metrics ?? [])
                    rows.Add((metric.Name.Replace('_', ' '), Text(metric.Value, "0.0000")));
                terminal.Table([.. rows]);
                parts?.Print(terminal);
            }
        );
    }

    /// <summary>Plans the evaluation of the longest records, as it is and with options that may need less.</summary>
    private (Func<long> Peak, IEnumerable<(string Option, Func<long> Peak)> Others) Plan(
        CommandContext context,
        ModelInputs inputs,
        EncodedRecord[] records,
        LossChoice loss,
        Device device,
        DType type
    )
    {
        int batch = context.Get(_evaluation.Batch);
        EncodedRecord[] longest = [.. records.OrderByDescending(record => record.Longest).Take(batch)];
        int length = longest[0].Longest;
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
                    inputs.Folder.Quantization,
                    model =>
                    {
                        using Adapter? attached = _adapters.Single(context) is { } folder
                            ? Adapter.Load(model, folder)
                            : null;
                        Evaluator.Evaluate(model, [.. longest.Select(record => Cut(record, tokens))], loss, rows);
                    }
                );
    }

    /// <summary>Reads the loss, and refuses options that say nothing about it.</summary>
    private LossChoice ReadLoss(CommandContext context)
    {
        _settings.RequireGroups(context);
        LossChoice loss = _loss.Read(context);
        _loss.RefuseUnused(context, _trainOn);
        if (_loss.TakesPairs(context) && context.Get(_packing.Option))
        {
            throw new InputException(
                $"--loss {loss.Name} takes pairs, whose sides are rows of their own: expected no --packing"
            );
        }

        return loss;
    }

    private static IEnumerable<(string Name, double Value)> Rewards(EvaluationResult measured) =>
        measured.PairScores is { } scores ? PairScores.Names.Zip(scores.Values()) : [];

    private static string Text(double value, string form) => value.ToString(form, CultureInfo.InvariantCulture);

    private static EncodedRecord Cut(EncodedRecord record, int length)
    {
        int removed = Math.Max(0, record.Tokens.Length - length);
        return record with
        {
            Tokens = record.Tokens[removed..],
            PromptLength = Math.Max(1, record.PromptLength - removed),
            LossFrom = Math.Max(1, record.LossFrom - removed),
            Learns = record.Learns?.Skip(removed).ToArray(),
            Rejected = record.Rejected is { } rejected ? Cut(rejected, length) : null,
        };
    }

    private (EvaluationResult Result, ScoresByAdapter? Parts) Measure(
        CommandContext context,
        CausalLanguageModel model,
        ExpertFolder? experts,
        AdapterSet? several,
        EncodedRecord[] records,
        LossChoice loss,
        RecordsDone progress
    )
    {
        int batch = context.Get(_evaluation.Batch);
        int? packTo = _packing.Length(context, _evaluation.MaxLength);
        CancellationToken cancellation = context.Cancellation;
        if (several is not null)
        {
            AdapterScores scores = Evaluator.Evaluate(
                model,
                several,
                records,
                batch,
                true,
                progress,
                packTo,
                cancellation
            );
            return (scores.Result, ScoresByAdapter.Of(scores, several));
        }

        if (experts is null)
            return (Evaluator.Evaluate(model, records, loss, batch, progress, packTo, cancellation), null);
        RoutedEvaluation routed = RoutedEvaluator.Evaluate(
            model,
            experts,
            records,
            batch,
            true,
            progress,
            packTo,
            cancellation
        );
        return (routed.Result, ScoresByAdapter.Of(routed));
    }
}
