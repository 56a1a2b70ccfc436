namespace Spectral.Training.Placement.Search;

/// <summary>A finished run of a search.</summary>
/// <param name="Candidate">The configuration.</param>
/// <param name="Steps">The number of training steps.</param>
/// <param name="Loss">The loss on validation records; null: the run diverged.</param>
/// <param name="Trainable">The number of trainable parameters.</param>
internal sealed record FinishedTrial(Candidate Candidate, int Steps, double? Loss, long Trainable);
