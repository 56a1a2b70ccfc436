namespace Spectral.Training.Models;

/// <summary>Rows of a linear layer's weight that belong together, with the same entries of its bias.</summary>
/// <param name="Linear">The layer.</param>
/// <param name="From">The first of the rows.</param>
/// <param name="Count">The number of rows.</param>
internal sealed record OutputRows(LinearSpec Linear, int From, int Count);
