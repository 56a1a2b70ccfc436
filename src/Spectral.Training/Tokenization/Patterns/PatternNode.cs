namespace Spectral.Training.Tokenization.Patterns;

/// <summary>A part of a parsed expression. All sets and texts are in code points.</summary>
internal abstract record PatternNode
{
    /// <summary>What the part consists of; nothing for characters and anchors.</summary>
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

    /// <summary>A fixed text, letter case ignored or not.</summary>
    public sealed record Text(int[] Codes, bool IgnoreCase) : PatternNode;

    /// <summary>One code point of a set.</summary>
    public sealed record Class(CodeSet Set) : PatternNode;

    /// <summary>One part after the other; none for the empty text.</summary>
    public sealed record Sequence(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>The first of several that leads to a match.</summary>
    public sealed record Alternatives(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>A part several times; <paramref name="Maximum"/> is null without an upper limit.</summary>
    public sealed record Repeat(PatternNode Part, int Minimum, int? Maximum, bool Greedy) : PatternNode;

    /// <summary>
    /// A part in parentheses, capturing or with options, whose text is not joined to the text beside it.
    /// </summary>
    public sealed record Group(PatternNode Part, bool Captures = false) : PatternNode;

    /// <summary>A part that is not tried in another way once it has matched.</summary>
    public sealed record Atomic(PatternNode Part) : PatternNode;

    /// <summary>A condition on what follows, or on what precedes.</summary>
    public sealed record Look(PatternNode Part, bool Behind, bool Negative) : PatternNode;

    /// <summary>A condition on the place, as the sign in an expression writes it.</summary>
    public sealed record Anchor(char Sign) : PatternNode;
}
