namespace Spectral.Training.Models;

/// <summary>The place of an expert's linear layer among the weights of all experts of its layer.</summary>
/// <param name="Parameter">The full name of the parameter that holds them.</param>
/// <param name="Expert">The number of the expert.</param>
/// <param name="IsUp">Whether it is the second half of the rows, after the gate.</param>
/// <param name="IsDown">Whether it is all rows; otherwise gate and up share the parameter.</param>
internal readonly record struct ExpertPlace(string Parameter, int Expert, bool IsUp, bool IsDown);
