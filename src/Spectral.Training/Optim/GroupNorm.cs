namespace Spectral.Training.Optim;

/// <summary>The norm of the gradients of one group in a step, and how far it may go.</summary>
/// <param name="Group">The name of the group.</param>
/// <param name="Norm">The L2 norm before clipping.</param>
/// <param name="MaxNorm">The largest norm that the optimizer gets; 0: the group is not clipped.</param>
public sealed record GroupNorm(string Group, double Norm, double MaxNorm)
{
    /// <summary>Whether the group's gradients were scaled down.</summary>
    public bool IsClipped => MaxNorm > 0 && Norm > MaxNorm;
}
