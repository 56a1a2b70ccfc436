namespace Spectral.Training.Models;

/// <summary>A loss that is a function of many token losses, with its derivatives.</summary>
/// <param name="Loss">The value of the loss.</param>
/// <param name="Groups">Its derivatives with respect to the token losses, in the order of these.</param>
internal sealed record RowFactors(double Loss, IReadOnlyList<RowGroup> Groups);
