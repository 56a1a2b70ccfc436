using System.Security.Cryptography;
using System.Text;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

public sealed class CanonicalFormTests
{
    [TestCase("plain", "plain")]
    [TestCase("e\u0301", "\u00E9")]
    [TestCase("\u212B", "\u00C5", TestName = "Angstrom becomes A with ring")]
    [TestCase("a\u0323\u0302", "\u1EAD")]
    [TestCase("a\u0302\u0323", "\u1EAD", TestName = "marks are ordered first")]
    [TestCase("a\u0301\u0301", "\u00E1\u0301", TestName = "the second of equal marks is blocked")]
    [TestCase("\u1112\u1161\u11AB", "\uD55C")]
    [TestCase("\uD558\u11AB", "\uD55C")]
    [TestCase("\u0915\u093C", "\u0915\u093C", TestName = "excluded from composition")]
    [TestCase("\u0958", "\u0915\u093C")]
    [TestCase("\U00011099\U000110BA", "\U0001109A", TestName = "beyond U+FFFF")]
    [TestCase("\u0301a", "\u0301a")]
    public void FormC(string text, string composed) => Assert.That(CanonicalForm.Compose(text), Is.EqualTo(composed));

    [TestCase("\u1EAD", "a\u0323\u0302")]
    [TestCase("\uD55C", "\u1112\u1161\u11AB")]
    public void FormD(string text, string decomposed) =>
        Assert.That(CanonicalForm.Decompose(text), Is.EqualTo(decomposed));

    [TestCase("\uFB01\u00B2\u2460", "fi21")]
    [TestCase("\u1E9B\u0323", "\u1E69", TestName = "decomposed all the way, then composed")]
    [TestCase("\uFF76\uFF9E", "\u30AC", TestName = "half width")]
    public void FormKc(string text, string composed) =>
        Assert.That(CanonicalForm.Compose(text, compatible: true), Is.EqualTo(composed));

    [TestCase("\u32FF", TestName = "a compatible character of Unicode 12.1")]
    [TestCase("\U000105C9", TestName = "a letter with a mark of Unicode 16")]
    public void WhatIsNewerThanUnicode9Stays(string text) =>
        Assert.That(CanonicalForm.Decompose(text, compatible: true), Is.EqualTo(text));

    // The digests are of what the Rust core (npm package tokenizers 0.23.2) makes of the same texts: every code point
    // of the first three planes alone, before and between marks.
    [TestCase(
        true,
        false,
        "50c54287e34e64aa61d1d503e6101ee31bc1eb5b5469b6bc56cb207239861626",
        TestName = "Form C of all"
    )]
    [TestCase(
        false,
        false,
        "1ac1f81a85bf1a842ffa2bb015d07491ce0bfff734b5081686d54f7424cf49e1",
        TestName = "Form D of all"
    )]
    [TestCase(
        true,
        true,
        "3e8a91cd64492a97e31b6aab8c6344632b3bcf391c6c74be2cce285dc62bbea2",
        TestName = "Form KC of all"
    )]
    [TestCase(
        false,
        true,
        "a6a64ea7820b845bb1623c0b47baf0f4fcc4bfb8084dc1f26332e6ea54d547ec",
        TestName = "Form KD of all"
    )]
    public void EveryCodePointAgreesWithAnIndependentImplementation(bool compose, bool compatible, string digest)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int code = 0; code < 0x30000; code++)
        {
            if (code is >= 0xD800 and < 0xE000)
                continue;
            string character = char.ConvertFromUtf32(code);
            string text = $"{character} a{character}\u0301 {character}\u0323\u0302\u3099";
            string made = compose ? CanonicalForm.Compose(text, compatible) : CanonicalForm.Decompose(text, compatible);
            hash.AppendData(Encoding.UTF8.GetBytes(made));
        }
        Assert.That(Convert.ToHexStringLower(hash.GetHashAndReset()), Is.EqualTo(digest));
    }

    [Test]
    public void TextsTakenForComposedAlreadyAre()
    {
        // A character beyond U+FFFF at the end makes the whole text be composed, and does not take part in it itself.
        const string Beyond = "\U0001F600";
        for (int code = 0; code <= char.MaxValue; code++)
        {
            if (char.IsSurrogate((char)code))
                continue;
            foreach (string neighbour in (string[])["", "a", "\u1100", "\uAC00", "\u0915", "\u09C7"])
            {
                string text = $"{neighbour}{(char)code}{neighbour}";
                Assert.That(CanonicalForm.Compose(text) + Beyond, Is.EqualTo(CanonicalForm.Compose(text + Beyond)));
            }
        }
    }

    [Test]
    public void ALongRunOfMarksIsNotQuadratic()
    {
        string marks = string.Concat(Enumerable.Repeat("\u0301\u0323", 200_000));
        string composed = CanonicalForm.Compose(marks);
        Assert.That(composed, Is.EqualTo(new string('\u0323', 200_000) + new string('\u0301', 200_000)));
    }
}
