namespace Spectral.Training.Data;

/// <summary>A label as a record has it: the name of a class, or a number.</summary>
/// <param name="Name">The name; null: it is a number.</param>
/// <param name="Number">The number of a class from 0, or the number that a model should give.</param>
public readonly record struct ClassLabel(string? Name, double Number);
