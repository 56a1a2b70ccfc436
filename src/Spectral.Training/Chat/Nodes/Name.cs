using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>The value of a name.</summary>
internal sealed class Name(Place place, string text) : Expression(place)
{
    /// <summary>The name.</summary>
    public string Text { get; } = text;

    protected override object? Compute(Scope scope) => scope.Get(Text);
}
