namespace Spectral.Training;

/// <summary>The progress of a run: everything besides the weights that its result needs.</summary>
public sealed record TrainerProgress
{
    /// <summary>The number of steps made, including skipped ones.</summary>
    public int Step { get; init; }

    /// <summary>
    /// The number of steps that updated nothing because the loss or the gradient norm was not finite.
    /// </summary>
    public int Skipped { get; init; }

    /// <summary>The number of skipped steps at the end, in a row.</summary>
    public int SkippedInARow { get; init; }

    /// <summary>The loss of the last step that was not skipped; null before the first one.</summary>
    public double? Loss { get; init; }

    /// <summary>The number of tokens processed, without padding.</summary>
    public long Tokens { get; init; }

    /// <summary>The time in optimizer steps in seconds, without evaluation and callbacks.</summary>
    public double Seconds { get; init; }

    /// <summary>The evaluations so far, in order. Step 0 is the one before training.</summary>
    public IReadOnlyList<StepEvaluation> Evaluations { get; init; } = [];

    /// <summary>Returns the progress after one more step.</summary>
    internal TrainerProgress After(in StepReport report) =>
        this with
        {
            Step = report.Step,
            Skipped = Skipped + (report.Skipped ? 1 : 0),
            SkippedInARow = report.Skipped ? SkippedInARow + 1 : 0,
            Loss = report.Skipped ? Loss : report.Loss,
            Tokens = Tokens + report.Tokens,
        };

    /// <summary>Returns the result of a run that ends here.</summary>
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

    /// <summary>Whether the model was evaluated after the last step.</summary>
    internal bool IsEvaluated => Evaluations.Count > 0 && Evaluations[^1].Step == Step;
}
