namespace Spectral.Training.Data;

/// <summary>What a model with a head for classes or a number should give at a token.</summary>
/// <param name="Position">The place of the token in its record.</param>
/// <param name="Class">The class, from 0; 0 for a number.</param>
/// <param name="Value">The number; 0 for a class.</param>
public readonly record struct TokenLabel(int Position, int Class, float Value = 0);
