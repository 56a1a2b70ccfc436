using System.Text.Json;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Objectives;

namespace Spectral.Cli.Runs;

/// <summary>The steps in a log of JSON lines, for what follows a resumed run from its beginning.</summary>
internal static class LoggedRun
{
    /// <summary>Tells callbacks of all steps in a log and of the evaluations between them, in order.</summary>
    /// <param name="log">The file, cut to the steps that a checkpoint covers.</param>
    /// <param name="progress">The progress of the run, which has its evaluations.</param>
    /// <param name="callbacks">Whom to tell.</param>
    public static void Replay(string log, TrainerProgress progress, params ReadOnlySpan<ITrainerCallback> callbacks)
    {
        using var reader = new StreamReader(new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        int made = 0;
        for (StepReport? report = null; ; made = report.Value.Step)
        {
            foreach (StepEvaluation evaluation in progress.Evaluations.Where(evaluation => evaluation.Step == made))
            {
                foreach (ITrainerCallback callback in callbacks)
                    callback.OnEvaluation(evaluation.Step, evaluation.Result);
            }

            if (reader.ReadLine() is not { } line)
                return;
            report = Read(line);
            foreach (ITrainerCallback callback in callbacks)
                callback.OnStep(report.Value);
        }
    }

    private static StepReport Read(string line)
    {
        using var step = JsonDocument.Parse(line);
        JsonElement fields = step.RootElement;
        return new StepReport(
            fields.GetProperty("step").GetInt32(),
            Number("loss"),
            Number("lr"),
            Number("grad_norm"),
            fields.GetProperty("tokens").GetInt32(),
            Number("tokens_per_second")
        )
        {
            PairScores = fields.TryGetProperty(PairScores.Names[0], out _)
                ? new PairScores(Number(PairScores.Names[0]), Number(PairScores.Names[1]), Number(PairScores.Names[2]))
                : null,
            Routers = fields.TryGetProperty(RouterReport.Names[0], out _)
                ? new RouterReport(
                    Number(RouterReport.Names[0]),
                    Number(RouterReport.Names[1]),
                    Number(RouterReport.Names[2])
                )
                : null,
        };

        double Number(string name) =>
            fields.GetProperty(name) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : double.NaN;
    }
}
