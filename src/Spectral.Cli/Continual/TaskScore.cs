namespace Spectral.Cli.Continual;

/// <summary>What a model reaches on the held-out records of a task.</summary>
/// <param name="Loss">The mean loss over the tokens that carry loss.</param>
/// <param name="ExactMatch">The share of records that are answered exactly; null: none has a completion.</param>
internal sealed record TaskScore(double Loss, double? ExactMatch);
