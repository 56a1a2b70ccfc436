namespace Spectral.Training.Merging;

/// <summary>One input of a merge: a tuned model of the base, or an adapter for it.</summary>
/// <param name="Directory">
/// The folder of an adapter, with <c>adapter_config.json</c>, or of a whole checkpoint, with <c>config.json</c>.
/// </param>
/// <param name="Weight">The factor of the input's change; null: 1, or what the method computes.</param>
public sealed record MergeInput(string Directory, double? Weight = null);
