using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>A literal.</summary>
internal sealed class Constant(Place place, object? value) : Expression(place)
{
    protected override object? Compute(Scope scope) => value;
}
