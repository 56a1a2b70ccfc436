namespace Spectral.Training.Objectives;

/// <summary>The loss of one answer with its slope, and its reward.</summary>
/// <param name="Loss">The loss.</param>
/// <param name="Slope">The derivative of the loss with respect to the answer's sum.</param>
/// <param name="Reward">The reward of the answer.</param>
/// <param name="IsRight">Whether the model is nearer to its label than to the other.</param>
internal readonly record struct SideTerm(double Loss, double Slope, double Reward, bool IsRight);
