using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// Prepares a parsed expression for .NET: case-insensitive text becomes classes, and constructs that .NET and Oniguruma
/// match differently are refused.
/// </summary>
internal static class PatternRules
{
    /// <summary>Returns the expression without case-insensitive texts and without groups.</summary>
    /// <exception cref="PatternException">The pattern has a construct that is not translated.</exception>
    public static PatternNode Apply(PatternNode node) => Prepare(node, behind: null);

    /// <summary>Returns whether an expression can match the empty text.</summary>
    public static bool MayBeEmpty(PatternNode node) => Lengths(node).Minimum == 0;

    private static PatternNode Prepare(PatternNode node, PatternNode.Look? behind) =>
        node switch
        {
            PatternNode.Text { IgnoreCase: true } text => CaseFolding.Expand(
                text.Codes,
                singleOnly: behind is not null
            ),
            PatternNode.Sequence all => new PatternNode.Sequence([.. all.Items.Select(part => Prepare(part, behind))]),
            PatternNode.Alternatives any => new PatternNode.Alternatives([
                .. any.Items.Select(part => Prepare(part, behind)),
            ]),
            PatternNode.Repeat repeat => CheckedRepeat(repeat with { Part = Prepare(repeat.Part, behind) }),
            PatternNode.Group { Captures: true } when behind is { Negative: true } => throw new PatternException(
                "a capture in a negative look-behind"
            ),
            PatternNode.Group group => Prepare(group.Part, behind),
            PatternNode.Atomic when behind is not null => throw new PatternException(
                "an atomic group or possessive quantifier in a look-behind"
            ),
            PatternNode.Atomic atomic => new PatternNode.Atomic(Prepare(atomic.Part, behind)),
            PatternNode.Look when behind is not null => throw new PatternException("a look-around in a look-behind"),
            PatternNode.Look look => CheckedLook(look with { Part = Prepare(look.Part, look.Behind ? look : null) }),
            PatternNode.Anchor { Sign: 'z' or 'Z' } anchor when behind is not null => throw new PatternException(
                $"\\{anchor.Sign} in a look-behind"
            ),
            _ => node,
        };

    // Engines differ in when they stop repeating an empty match.
    private static PatternNode.Repeat CheckedRepeat(PatternNode.Repeat repeat) =>
        repeat.Maximum is 0 or 1 || Lengths(repeat.Part).Minimum > 0
            ? repeat
            : throw new PatternException("a repeated part that may be empty");

    // Oniguruma searches for the beginning of a part of variable length, and may overlook anchors in it.
    private static PatternNode.Look CheckedLook(PatternNode.Look look)
    {
        if (!look.Behind || !HasAnchor(look.Part))
            return look;
        IEnumerable<PatternNode> branches = look.Part is PatternNode.Alternatives any ? any.Items : [look.Part];
        return branches.All(branch => Lengths(branch) is var (minimum, maximum) && minimum == maximum)
            ? look
            : throw new PatternException("an anchor in a look-behind of no fixed length");
    }

    private static bool HasAnchor(PatternNode node) => node is PatternNode.Anchor || node.Parts.Any(HasAnchor);

    // Returns the smallest and the largest number of characters that a part matches.
    private static (long Minimum, long? Maximum) Lengths(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.Text text:
                return (text.Codes.Length, text.Codes.Length);
            case PatternNode.Class:
                return (1, 1);
            case PatternNode.Sequence all:
                return all
                    .Items.Select(Lengths)
                    .Aggregate(
                        (0L, (long?)0),
                        (sum, part) => (Math.Min(sum.Item1 + part.Minimum, int.MaxValue), sum.Item2 + part.Maximum)
                    );
            case PatternNode.Alternatives any:
                (long Minimum, long? Maximum)[] parts = [.. any.Items.Select(Lengths)];
                bool bounded = parts.All(part => part.Maximum is not null);
                return (parts.Min(part => part.Minimum), bounded ? parts.Max(part => part.Maximum) : null);
            case PatternNode.Repeat repeat:
                (long minimum, long? maximum) = Lengths(repeat.Part);
                return (Math.Min(minimum * repeat.Minimum, int.MaxValue), maximum == 0 ? 0 : maximum * repeat.Maximum);
            case PatternNode.Atomic atomic:
                return Lengths(atomic.Part);
            default:
                return (0, 0);
        }
    }
}
