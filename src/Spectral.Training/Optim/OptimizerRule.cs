namespace Spectral.Training.Optim;

/// <summary>What an optimizer does in each step, for parameters that it knows.</summary>
/// <param name="Update">
/// Changes masters and state on the device, after <see cref="Kernels.Ops.StepState"/> was advanced. It only launches
/// kernels, and each that writes masters or state leaves them alone if the step is skipped.
/// </param>
internal sealed record OptimizerRule(Action Update)
{
    /// <summary>
    /// Replaces the values in the masters by the average that is evaluated and saved. The masters are brought back from
    /// a copy afterwards. Null: the masters are what is evaluated.
    /// </summary>
    public Action? WriteAverage { get; init; }

    /// <summary>
    /// Changes the complete gradients before their norm is measured, such as those of parameters that the rule keeps as
    /// they are. It only launches kernels.
    /// </summary>
    public Action? Complete { get; init; }

    /// <summary>How the loss is measured instead of backward; null: by backward.</summary>
    public LossProbes? Probes { get; init; }
}
