namespace Spectral.Training.Forgetting;

/// <summary>A checkpoint of a run.</summary>
/// <param name="Step">The number of steps made.</param>
/// <param name="Loss">The mean loss per token on old data.</param>
/// <param name="Forgetting">The loss minus that of the base model on the same data.</param>
/// <param name="Update">The size of the update relative to the base, ‖Δ‖_F / ‖W0‖_F over the adapted layers.</param>
/// <param name="TaskLoss">The mean loss on the data of the new task; null if there are none.</param>
public sealed record ForgettingPoint(int Step, double Loss, double Forgetting, double Update, double? TaskLoss);
