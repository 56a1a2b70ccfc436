using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Cli.Reports;
using Spectral.Training;

namespace Spectral.Cli.Comparisons;

/// <summary>A finished run, of one method with one seed: a line of <c>runs.jsonl</c>.</summary>
internal sealed record FinishedRun
{
    public required ComparedMethod Compared { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>The number of trainable parameters.</summary>
    public required long Trainable { get; init; }

    /// <summary>The loss of each step.</summary>
    public required IReadOnlyList<LossPoint> Losses { get; init; }

    /// <summary>The time of each step, in seconds.</summary>
    public required IReadOnlyList<double> Seconds { get; init; }

    /// <summary>The evaluations on held-out records, and the steps after which they were made.</summary>
    public required IReadOnlyList<(int Step, EvaluationResult Result)> Evaluations { get; init; }

    /// <summary>
    /// The peak of device memory in bytes while the adapter was attached and trained, without evaluation.
    /// </summary>
    public required long PeakMemory { get; init; }

    /// <summary>The time to compute the adapter's initial values, in seconds.</summary>
    public required double AttachSeconds { get; init; }

    /// <summary>Why training ended early; null if it did not.</summary>
    public string? Divergence { get; init; }

    public double? EvalLoss => Divergence is null ? Evaluations[^1].Result.Loss : null;

    public double? ExactMatch => Divergence is null ? Evaluations[^1].Result.ExactMatch : null;

    /// <summary>
    /// The times of the steps after the first tenth (at least one step and at most twenty): the first steps also load
    /// kernels, fill the memory pool and compile host code.
    /// </summary>
    public IEnumerable<double> SteadySeconds =>
        Seconds.Skip(Seconds.Count < 2 ? 0 : Math.Clamp(Seconds.Count / 10, 1, 20));

    public JsonObject ToJson() =>
        new()
        {
            ["method"] = Compared.Method.Name,
            ["optimizer"] = Compared.Optimizer.Name,
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
