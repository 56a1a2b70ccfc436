using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Cli.Reports;
using Spectral.Training;

namespace Spectral.Cli.Comparisons;

/// <summary>One method trained with one seed: a line of <c>runs.jsonl</c>.</summary>
internal sealed record FinishedRun
{
    public required ComparedMethod Compared { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>Scalars trained.</summary>
    public required long Trainable { get; init; }

    /// <summary>Loss of each step.</summary>
    public required IReadOnlyList<LossPoint> Losses { get; init; }

    /// <summary>Time of each step.</summary>
    public required IReadOnlyList<double> Seconds { get; init; }

    /// <summary>What was measured on held-out records, by step.</summary>
    public required IReadOnlyList<(int Step, EvaluationResult Result)> Evaluations { get; init; }

    /// <summary>Device memory in use at most while the adapter was made and trained; evaluation is left out.</summary>
    public required long PeakMemory { get; init; }

    /// <summary>Time to compute the adapter's start values.</summary>
    public required double AttachSeconds { get; init; }

    /// <summary>Why training broke off; null when it did not.</summary>
    public string? Divergence { get; init; }

    public double? EvalLoss => Divergence is null ? Evaluations[^1].Result.Loss : null;

    public double? ExactMatch => Divergence is null ? Evaluations[^1].Result.ExactMatch : null;

    /// <summary>
    /// Times without the first tenth of the steps, at least one and at most twenty: those load kernels, fill the memory
    /// pool and compile what the host runs.
    /// </summary>
    public IEnumerable<double> SteadySeconds =>
        Seconds.Skip(Seconds.Count < 2 ? 0 : Math.Clamp(Seconds.Count / 10, 1, 20));

    public JsonObject ToJson() =>
        new()
        {
            ["method"] = Compared.Name,
            ["seed"] = Seed,
            ["rank"] = Compared.HasRank ? Compared.Options.Rank : null,
            ["alpha"] = Compared.Options.Alpha,
            ["trainable_parameters"] = Trainable,
            ["steps"] = Losses.Count,
            ["diverged"] = Divergence,
            ["final_loss"] = Losses.Count > 0 ? JsonOutput.Number(Losses[^1].Loss) : null,
            ["eval_loss"] = JsonOutput.Number(EvalLoss),
            ["exact_match"] = JsonOutput.Number(ExactMatch),
            ["step_seconds"] = JsonOutput.Number(MethodSummary.Median([.. SteadySeconds])),
            ["attach_seconds"] = JsonOutput.Number(AttachSeconds),
            ["peak_memory_bytes"] = PeakMemory,
            ["losses"] = new JsonArray([.. Losses.Select(point => JsonOutput.Number(point.Loss))]),
            ["evaluations"] = new JsonArray([
                .. Evaluations.Select(entry =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["step"] = entry.Step,
                            ["loss"] = JsonOutput.Number(entry.Result.Loss),
                            ["exact_match"] = JsonOutput.Number(entry.Result.ExactMatch),
                        }
                ),
            ]),
        };
}
