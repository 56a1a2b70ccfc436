namespace Spectral.Training.Chat.Nodes;

/// <summary>How execution goes on behind a statement.</summary>
internal enum Flow
{
    /// <summary>With the next statement.</summary>
    Next,

    /// <summary>With the next item of the loop.</summary>
    Continue,

    /// <summary>Behind the loop.</summary>
    Break,
}
