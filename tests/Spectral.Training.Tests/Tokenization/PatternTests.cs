using Spectral.Training.IO;
using Spectral.Training.Tokenization;
using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tests.Tokenization;

/// <summary>
/// What is not translated is refused by its name; what is, agrees with the Rust core in <see cref="CoreIdsTests"/>.
/// </summary>
public sealed class PatternTests
{
    [TestCase(@"(a)\1", "a back-reference")]
    [TestCase(@"(?<n>a)\k<n>", "a back-reference")]
    [TestCase(@"(?<n>a)\g<n>", "a call of a group")]
    [TestCase(@"\Ga", @"\G")]
    [TestCase(@"a\Kb", @"\K")]
    [TestCase(@"\X", @"\X")]
    [TestCase(@"\y", @"\y")]
    [TestCase("(?(?=a)b|c)", "a condition")]
    [TestCase("(?~a)", "an absent operator")]
    [TestCase("(?{x})", "a callout")]
    [TestCase("(*FAIL)", "a callout")]
    [TestCase("(?s).", "the option s")]
    [TestCase(@"(?W)\w", "the option W")]
    [TestCase(@"\p{Lv}", "the property Lv")]
    [TestCase(@"\p{Number 17}", "the property Number 17")]
    [TestCase("[[:letter:]]", "the class [:letter:]")]
    [TestCase("(?:a*)*", "a repeated part that may be empty")]
    [TestCase("(?:a|)+", "a repeated part that may be empty")]
    [TestCase("(?<=a++)b", "an atomic group or possessive quantifier in a look-behind")]
    [TestCase("(?<=(?=a))b", "a look-around in a look-behind")]
    [TestCase("(?<!(a))b", "a capture in a negative look-behind")]
    [TestCase(@"(?<=\w*\b)b", "an anchor in a look-behind of no fixed length")]
    [TestCase(@"(?<=\z)b", @"\z in a look-behind")]
    [TestCase("(?=a)*", "a quantifier behind an anchor or a look-around")]
    [TestCase("*a", "a quantifier without anything before it")]
    [TestCase("{2}a", "a quantifier without anything before it")]
    [TestCase("a{100001}", "a count above")]
    [TestCase("(a", "a parenthesis that is not closed")]
    [TestCase("a)", "a closing parenthesis without an opening one")]
    [TestCase("[a", "a class that is not closed")]
    [TestCase("[]", "an empty class")]
    [TestCase("[b-a]", "a range whose end comes before its start")]
    [TestCase(@"[\w-a]", "a range that begins with a class")]
    [TestCase(@"[a-\w]", "a range that ends in a class")]
    [TestCase("[a-[b]]", "a range that ends in a class")]
    [TestCase(@"\xE9", "an escape of a byte above 7F")]
    [TestCase(@"\x{110000}", "an escape that is no code point")]
    [TestCase(@"\x{D800}", "an escape that is no code point")]
    [TestCase(@"\u12", "an escape that is no code point")]
    [TestCase(@"\x{61 62}", "a sequence of code points")]
    [TestCase(@"\cA", "the control character")]
    [TestCase("a\\", "a backslash at the end")]
    public void RefusedByName(string expression, string says) =>
        Assert.That(
            () => SplitPattern.FromExpression(expression, "t"),
            Throws.TypeOf<InputException>().With.Message.StartsWith("t: the pattern ").And.Message.Contains(says)
        );

    [Test]
    public void HalfASurrogatePairIsRefused() =>
        Assert.That(
            () => SplitPattern.FromExpression("a\uD800", "t"),
            Throws.TypeOf<InputException>().With.Message.Contains("half of a surrogate pair")
        );

    [Test]
    public void TooDeepOrTooLongIsRefused()
    {
        Refused(new string('(', 5000), "levels");
        Refused(new string('[', 5000), "levels");
        Refused(new string('a', 20_000), "more than 10000 characters");
        Refused(string.Concat(Enumerable.Repeat(@"\p{L}", 1900)), "too long");

        static void Refused(string expression, string says) =>
            Assert.That(
                () => SplitPattern.FromExpression(expression, "t"),
                Throws.TypeOf<InputException>().With.Message.Contains(says)
            );
    }

    [Test]
    public void CharactersBeyondFFFFThatNoClassTellsApartShareAStandIn()
    {
        TranslatedPattern translated = PatternTranslator.Translate(@"\p{L}|[😀-🙏]");
        string folded = translated.StandIns.Fold("a𝒳𐐀😀🙏\U0001F64F\U000E0100", out int[]? positions).ToString();
        Assert.That(folded, Has.Length.EqualTo(7));
        Assert.That(
            (folded[1] == folded[2], folded[3] == folded[4], folded[2] == folded[3], folded[4] == folded[6]),
            Is.EqualTo((true, true, false, false))
        );
        Assert.That(positions, Is.EqualTo(new[] { 0, 1, 3, 5, 7, 9, 11, 13 }));
    }

    [Test]
    public void SetsAgreeWithSetsOfSingleCodePoints()
    {
        Random random = new(3);
        for (int trial = 0; trial < 200; trial++)
        {
            (CodeSet left, HashSet<int> leftCodes) = Draw(random);
            (CodeSet right, HashSet<int> rightCodes) = Draw(random);
            for (int code = 0; code < 60; code++)
            {
                (bool inLeft, bool inRight) = (leftCodes.Contains(code), rightCodes.Contains(code));
                Assert.That(left.Union(right).Contains(code), Is.EqualTo(inLeft || inRight));
                Assert.That(left.Intersect(right).Contains(code), Is.EqualTo(inLeft && inRight));
                Assert.That(left.Except(right).Contains(code), Is.EqualTo(inLeft && !inRight));
                Assert.That(left.Complement().Contains(code), Is.EqualTo(!inLeft));
            }
        }
    }

    private static (CodeSet Set, HashSet<int> Codes) Draw(Random random)
    {
        CodeSet set = CodeSet.Empty;
        HashSet<int> codes = [];
        for (int i = random.Next(5); i > 0; i--)
        {
            int first = random.Next(50);
            int last = first + random.Next(6);
            set = set.Union(CodeSet.Range(first, last));
            codes.UnionWith(Enumerable.Range(first, last - first + 1));
        }
        return (set, codes);
    }
}
