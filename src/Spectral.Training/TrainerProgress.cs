namespace Spectral.Training;

/// <summary>How far a run has come: what its result needs besides the weights.</summary>
public sealed record TrainerProgress
{
    /// <summary>Steps made, skipped ones included.</summary>
    public int Step { get; init; }

    /// <summary>Steps that updated nothing, because loss or gradient norm was not finite.</summary>
    public int Skipped { get; init; }

    /// <summary>Those at the end, in a row.</summary>
    public int SkippedInARow { get; init; }

    /// <summary>Loss of the last step that was not skipped; null before it.</summary>
    public double? Loss { get; init; }

    /// <summary>Tokens processed, padding not counted.</summary>
    public long Tokens { get; init; }

    /// <summary>Time in optimizer steps: evaluation and callbacks excluded.</summary>
    public double Seconds { get; init; }

    /// <summary>Evaluations so far, in order; step 0 is the one before training.</summary>
    public IReadOnlyList<StepEvaluation> Evaluations { get; init; } = [];

    /// <summary>After one step more.</summary>
    internal TrainerProgress After(in StepReport report) =>
        this with
        {
            Step = report.Step,
            Skipped = Skipped + (report.Skipped ? 1 : 0),
            SkippedInARow = report.Skipped ? SkippedInARow + 1 : 0,
            Loss = report.Skipped ? Loss : report.Loss,
            Tokens = Tokens + report.Tokens,
        };

    /// <summary>What a run that ends here has come to.</summary>
    internal TrainingResult ToResult() =>
        new(
            Step,
            Loss ?? double.NaN,
            Tokens,
            Seconds,
            Evaluations.FirstOrDefault(made => made.Step == 0)?.Result,
            Evaluations.Count > 0 ? Evaluations[^1].Result : null,
            Skipped
        );

    /// <summary>Whether the model was evaluated as it is now.</summary>
    internal bool IsEvaluated => Evaluations.Count > 0 && Evaluations[^1].Step == Step;
}
