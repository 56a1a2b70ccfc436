using FsCheck;
using FsCheck.Fluent;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

/// <summary>A pattern that has seen much text is compiled, which must show in its speed alone.</summary>
public sealed class SplitPatternTests
{
    private const int Much = 1 << 18;

    [Test]
    public void MatchesAreTheSameBeforeAndAfterCompiling(
        [Values(TokenizerFiles.Gpt2, TokenizerFiles.Llama3, TokenizerFiles.Qwen2)] string expression
    )
    {
        var interpreted = SplitPattern.FromExpression(expression, "t");
        var compiled = SplitPattern.FromExpression(expression, "t");
        compiled.Matches(new string('a', Much));
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(500),
            Prop.ForAll(RandomText.Arbitrary, text => compiled.Matches(text).SequenceEqual(interpreted.Matches(text)))
        );
    }

    [Test]
    public void ACompiledPatternThatTakesExponentialTimeIsStopped()
    {
        var pattern = SplitPattern.FromExpression("(?:a|aa)+b|c", "t");
        pattern.Matches(new string('c', Much));
        Assert.That(
            () => pattern.Matches(new string('a', 100)),
            Throws.TypeOf<InputException>().With.Message.Contains("takes more than")
        );
    }

    [TestCase("ab", "abcabab", "0-2 3-5 5-7")]
    [TestCase("aa", "aaaaa", "0-2 2-4")]
    [TestCase("x", "abc", "")]
    public void FixedTextsAreFoundFromTheLeft(string literal, string text, string expected)
    {
        List<(int Start, int End)> matches = SplitPattern.FromLiteral(literal, "t").Matches(text);
        Assert.That(string.Join(' ', matches.Select(match => $"{match.Start}-{match.End}")), Is.EqualTo(expected));
    }
}
