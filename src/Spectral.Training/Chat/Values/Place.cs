namespace Spectral.Training.Chat.Values;

/// <summary>A place in a template: line and column, counted from 1.</summary>
internal readonly record struct Place(int Line, int Column);
