namespace Spectral.Training.Chat.Values;

/// <summary>A pair that the filter groupby makes: a tuple whose items also have names.</summary>
internal sealed class GroupTuple(object? grouper, List<object?> list)
{
    /// <summary>The value that the items have in common, and the items.</summary>
    public object?[] Items { get; } = [grouper, list];
}
