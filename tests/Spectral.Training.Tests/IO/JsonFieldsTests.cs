using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Tests.IO;

public sealed class JsonFieldsTests
{
    /// <summary>Keys come from files, too, as module names in a rank pattern do.</summary>
    [TestCase(5000, "k")]
    [TestCase(1, "a\nb")]
    public void AKeyOfAnyKindStaysInALine(int times, string part)
    {
        string key = string.Concat(Enumerable.Repeat(part, times));
        using var document = JsonDocument.Parse(JsonSerializer.Serialize(new Dictionary<string, int> { [key] = 0 }));
        JsonFields fields = new(document.RootElement, "config.json");
        InputException error = Assert.Throws<InputException>(() => fields.RequiredInteger(key, 1, 8))!;
        Assert.That(error.Message, Has.Length.LessThan(200).And.Not.Contain("\n"));
        Assert.That(error.Message, Does.EndWith("is 0, expected a whole number from 1 to 8"));
    }
}
