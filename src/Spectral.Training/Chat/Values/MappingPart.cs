namespace Spectral.Training.Chat.Values;

/// <summary>What a view of a dict shows.</summary>
internal enum MappingPart
{
    /// <summary>The keys of the dict, in their order.</summary>
    Keys,

    /// <summary>The values of the dict, in the order of its keys.</summary>
    Values,

    /// <summary>Pairs of key and value.</summary>
    Items,
}
