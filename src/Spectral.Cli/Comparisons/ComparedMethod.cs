using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Training.Adapters;
using Spectral.Training.Optim;

namespace Spectral.Cli.Comparisons;

/// <summary>A method as it takes part in a comparison.</summary>
/// <param name="Facts">The method and what it costs on the model.</param>
/// <param name="Options">Its settings, with the rank that the budget gave it.</param>
/// <param name="HasRank">Whether the number of scalars it trains depends on the rank.</param>
/// <param name="Optimizer">The optimizer that trains it.</param>
/// <param name="Name">The name in tables: that of the method, and of the optimizer if there are several.</param>
internal sealed record ComparedMethod(
    MethodFacts Facts,
    AdapterOptions Options,
    bool HasRank,
    OptimizerChoice Optimizer,
    string Name
)
{
    public AdapterMethod Method => Facts.Method;
}

/// <summary>A method and the results of its finished runs.</summary>
internal sealed record MethodSummary(ComparedMethod Compared, IReadOnlyList<FinishedRun> Runs)
{
    public Spread? EvalLoss { get; } = Spread.Of(Runs.Select(run => run.EvalLoss));

    public Spread? ExactMatch { get; } = Spread.Of(Runs.Select(run => run.ExactMatch));

    /// <summary>
    /// Trainable parameters: the mean of the runs, which differ if a method distributes its ranks by data; before the
    /// first run, the number that the method's form gives.
    /// </summary>
    public long Trainable { get; } =
        Runs.Count == 0 ? Compared.Facts.Trainable : (long)Math.Round(Runs.Average(run => run.Trainable));

    /// <summary>The median time of a step, over the steady steps of all runs.</summary>
    public double? StepSeconds { get; } = Median([.. Runs.SelectMany(run => run.SteadySeconds)]);

    /// <summary>The largest peak memory of the runs, in bytes.</summary>
    public long? PeakMemory { get; } = Runs.Max(run => (long?)run.PeakMemory);

    public int Diverged => Runs.Count(run => run.Divergence is not null);

    public JsonObject ToJson() =>
        new()
        {
            ["method"] = Compared.Method.Name,
            ["optimizer"] = Compared.Optimizer.Name,
            ["rank"] = Compared.HasRank ? Compared.Options.Rank : null,
            ["alpha"] = Compared.Options.Alpha,
            ["trainable_parameters"] = Trainable,
            ["runs"] = Runs.Count,
            ["diverged"] = Diverged,
            ["eval_loss"] = EvalLoss?.ToJson(),
            ["exact_match"] = ExactMatch?.ToJson(),
            ["step_seconds"] = JsonOutput.Number(StepSeconds),
            ["peak_memory_bytes"] = PeakMemory,
            ["mergeable"] = Compared.Facts.IsMergeable,
        };

    /// <summary>Returns the median of some numbers, which it sorts; null if there are none.</summary>
    public static double? Median(double[] values)
    {
        if (values.Length == 0)
            return null;
        Array.Sort(values);
        return (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
    }
}
