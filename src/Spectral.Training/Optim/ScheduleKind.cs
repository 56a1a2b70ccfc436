namespace Spectral.Training.Optim;

/// <summary>How the learning rate changes after warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>The rate stays at the base rate.</summary>
    Constant,

    /// <summary>The rate falls linearly towards zero.</summary>
    Linear,

    /// <summary>The rate falls along half a cosine towards zero.</summary>
    Cosine,
}
