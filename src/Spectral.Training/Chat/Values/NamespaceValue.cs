namespace Spectral.Training.Chat.Values;

/// <summary>Jinja's namespace: an object whose attributes a template may set, also from within loops.</summary>
internal sealed class NamespaceValue(Mapping attributes)
{
    /// <summary>The attributes.</summary>
    public Mapping Attributes { get; } = attributes;
}
