namespace Spectral.Training.Chat.Values;

/// <summary>What a view of a dict shows.</summary>
internal enum MappingPart
{
    /// <summary>The keys.</summary>
    Keys,

    /// <summary>The values.</summary>
    Values,

    /// <summary>Pairs of key and value.</summary>
    Items,
}
