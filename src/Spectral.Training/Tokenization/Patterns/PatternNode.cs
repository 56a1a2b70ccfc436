namespace Spectral.Training.Tokenization.Patterns;

/// <summary>A part of a parsed expression. All sets and texts consist of code points.</summary>
internal abstract record PatternNode
{
    /// <summary>The direct parts; empty for characters and anchors.</summary>
    public IEnumerable<PatternNode> Parts =>
        this switch
        {
            Sequence all => all.Items,
            Alternatives any => any.Items,
            Repeat repeat => [repeat.Part],
            Group group => [group.Part],
            Atomic atomic => [atomic.Part],
            Look look => [look.Part],
            _ => [],
        };

    /// <summary>A fixed text, with or without case ignored.</summary>
    public sealed record Text(int[] Codes, bool IgnoreCase) : PatternNode;

    /// <summary>One code point from a set.</summary>
    public sealed record Class(CodeSet Set) : PatternNode;

    /// <summary>Several parts in sequence; none stands for the empty text.</summary>
    public sealed record Sequence(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>Several alternatives, of which the first that leads to a match counts.</summary>
    public sealed record Alternatives(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>A repeated part; <paramref name="Maximum"/> is null if there is no upper limit.</summary>
    public sealed record Repeat(PatternNode Part, int Minimum, int? Maximum, bool Greedy) : PatternNode;

    /// <summary>A part in parentheses, capturing or with options. Its text is not joined with adjacent text.</summary>
    public sealed record Group(PatternNode Part, bool Captures = false) : PatternNode;

    /// <summary>A part that is not retried in another way once it has matched.</summary>
    public sealed record Atomic(PatternNode Part) : PatternNode;

    /// <summary>A condition on the text that follows or precedes.</summary>
    public sealed record Look(PatternNode Part, bool Behind, bool Negative) : PatternNode;

    /// <summary>A condition on the position, by its sign in an expression.</summary>
    public sealed record Anchor(char Sign) : PatternNode;
}
