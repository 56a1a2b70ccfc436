using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Spectral.Cli.Reports;
using Spectral.Training;

namespace Spectral.Cli.Live;

/// <summary>What the live page shows of a run. The trainer writes it, the server's threads read it.</summary>
/// <param name="title">The heading of the page.</param>
/// <param name="settings">The rows of its table of settings.</param>
internal sealed class LiveRun(string title, IReadOnlyList<(string Name, string Value)> settings) : ITrainerCallback
{
    private readonly Lock _lock = new();
    private readonly List<LossPoint> _steps = [];
    private readonly List<LossPoint> _evaluations = [];
    private StepReport? _last;
    private int _count;

    /// <inheritdoc/>
    public void OnStart(int steps)
    {
        lock (_lock)
            _count = steps;
    }

    /// <inheritdoc/>
    public void OnStep(StepReport report)
    {
        lock (_lock)
        {
            _steps.Add(new LossPoint(report.Step, report.Loss));
            _last = report;
        }
    }

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result)
    {
        lock (_lock)
            _evaluations.Add(new LossPoint(step, result.Loss));
    }

    /// <summary>Returns the page, in UTF-8.</summary>
    public byte[] Page()
    {
        lock (_lock)
            return Encoding.UTF8.GetBytes(Report().Render());
    }

    /// <summary>Returns what the page asks for again and again: <c>{"status", "chart"}</c>, in UTF-8.</summary>
    public byte[] Progress()
    {
        lock (_lock)
        {
            var progress = new JsonObject { ["status"] = Status(), ["chart"] = Report().LossChart() };
            return Encoding.UTF8.GetBytes(progress.ToJsonString());
        }
    }

    private HtmlReport Report() =>
        new()
        {
            Title = title,
            Summary = Status(),
            Settings = settings,
            Training = _steps,
            Evaluation = _evaluations,
            IsLive = true,
        };

    private string Status()
    {
        if (_last is not { } last)
            return "No step was made yet.";
        string held =
            _evaluations.Count > 0
                ? string.Create(CultureInfo.InvariantCulture, $", held-out loss {_evaluations[^1].Loss:0.0000}")
                : "";
        string loss = last.Skipped
            ? "skipped"
            : string.Create(CultureInfo.InvariantCulture, $"loss {last.Loss:0.0000}");
        string accuracy = last.PairScores is { } scores
            ? string.Create(CultureInfo.InvariantCulture, $", reward accuracy {100 * scores.Accuracy:0.0} %")
            : "";
        string load = last.Routers is { } routers
            ? string.Create(
                CultureInfo.InvariantCulture,
                $", router loss {routers.Loss:0.000}, busiest expert {routers.Largest:0.00} of an even load"
            )
            : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Step {last.Step} of {_count}: {loss}{accuracy}{load}{held}, {last.TokensPerSecond:N0} tokens/s."
        );
    }
}
