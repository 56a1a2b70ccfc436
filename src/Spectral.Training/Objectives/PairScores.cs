namespace Spectral.Training.Objectives;

/// <summary>What a loss on pairs says of a step or an evaluation beside its value, as means over the pairs.</summary>
/// <param name="ChosenReward">The reward of the chosen sides, as the loss defines it.</param>
/// <param name="RejectedReward">The reward of the rejected sides.</param>
/// <param name="Accuracy">The share of pairs whose chosen side has the larger reward, from 0 to 1.</param>
public sealed record PairScores(double ChosenReward, double RejectedReward, double Accuracy)
{
    /// <summary>The names of <see cref="Values"/>, as logs write them.</summary>
    public static IReadOnlyList<string> Names { get; } = ["chosen_reward", "rejected_reward", "reward_accuracy"];

    /// <summary>Returns the numbers in the order of <see cref="Names"/>.</summary>
    public IReadOnlyList<double> Values() => [ChosenReward, RejectedReward, Accuracy];
}
