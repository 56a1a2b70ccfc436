namespace Spectral.Cli.Options;

/// <summary>Says which records a loss takes.</summary>
internal enum RecordKind
{
    /// <summary>Texts and conversations, and no pairs.</summary>
    Texts,

    /// <summary>Pairs of a chosen and a rejected answer.</summary>
    Pairs,

    /// <summary>Pairs, or single answers with labels, but not both in one file.</summary>
    Answers,

    /// <summary>Whatever there is.</summary>
    Any,
}
