namespace Spectral.Training.Optim;

/// <summary>How the learning rate changes after warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Stays at the base rate.</summary>
    Constant,

    /// <summary>Falls linearly towards zero.</summary>
    Linear,

    /// <summary>Falls along half a cosine towards zero.</summary>
    Cosine,
}
