namespace Spectral.Training.Objectives;

/// <summary>The loss of one pair with its slopes, and the rewards of its sides.</summary>
/// <param name="Loss">The loss.</param>
/// <param name="ChosenSlope">The derivative of the loss with respect to the chosen side's sum.</param>
/// <param name="RejectedSlope">The derivative with respect to the rejected side's sum.</param>
/// <param name="ChosenReward">The reward of the chosen side.</param>
/// <param name="RejectedReward">The reward of the rejected side.</param>
internal readonly record struct PairTerm(
    double Loss,
    double ChosenSlope,
    double RejectedSlope,
    double ChosenReward,
    double RejectedReward
);
