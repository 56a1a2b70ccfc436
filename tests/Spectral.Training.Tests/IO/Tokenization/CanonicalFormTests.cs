using System.Security.Cryptography;
using System.Text;

namespace Spectral.Training.Tests;

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
    public void Form_c(string text, string composed) => Assert.That(CanonicalForm.Compose(text), Is.EqualTo(composed));

    [TestCase("\u1EAD", "a\u0323\u0302")]
    [TestCase("\uD55C", "\u1112\u1161\u11AB")]
    public void Form_d(string text, string decomposed) => Assert.That(CanonicalForm.Decompose(text), Is.EqualTo(decomposed));

    // The digests are of what Python 3.11's unicodedata (Unicode 14) makes of the same texts: every code point of the first three planes alone, before and between marks.
    [TestCase(true, "0890aa38957a6f21201ff74e435f627446f83f45b0afb23ccea02ef70d7f11ff", TestName = "Form C of every code point agrees with an independent implementation")]
    [TestCase(false, "461afca36a8a493b73c63525371f0826cbc38dd9bd863f7369f295ad03186fee", TestName = "Form D of every code point agrees with an independent implementation")]
    public void Every_code_point_agrees_with_an_independent_implementation(bool compose, string digest)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int code = 0; code < 0x30000; code++)
        {
            if (code is >= 0xD800 and < 0xE000)
                continue;
            string character = char.ConvertFromUtf32(code);
            string text = $"{character} a{character}\u0301 {character}\u0323\u0302\u3099";
            hash.AppendData(Encoding.UTF8.GetBytes(compose ? CanonicalForm.Compose(text) : CanonicalForm.Decompose(text)));
        }
        Assert.That(Convert.ToHexStringLower(hash.GetHashAndReset()), Is.EqualTo(digest));
    }

    [Test]
    public void A_long_run_of_marks_is_not_quadratic()
    {
        string marks = string.Concat(Enumerable.Repeat("\u0301\u0323", 200_000));
        string composed = CanonicalForm.Compose(marks);
        Assert.That(composed, Is.EqualTo(new string('\u0323', 200_000) + new string('\u0301', 200_000)));
    }
}
