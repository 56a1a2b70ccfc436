using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>An error of a template that does not parse.</summary>
internal sealed class SyntaxError(Place place, string message) : Exception(message)
{
    /// <summary>Where it is.</summary>
    public Place Place { get; } = place;
}
