using System.Globalization;
using Spectral.Training.Objectives;
using Spectral.Training.Settings;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Objectives;

/// <summary><c>docs/preference.md</c> has a row for each loss on pairs, and names all settings.</summary>
public sealed class PreferenceDocumentTests
{
    [Test]
    public void EveryLossOnPairsIsInTheDocument()
    {
        string document = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "preference.md"));
        foreach (LossMethod loss in LossMethods.All.Where(loss => loss.TakesPairs))
        {
            double beta = loss.Settings.Single(setting => setting.Name == LossMethod.Beta).Default;
            Assert.That(document, Does.Contain($"| `{loss.Name}` | {loss.Formula} | "));
            string row = document
                .Split('\n')
                .Single(line => line.StartsWith($"| `{loss.Name}` |", StringComparison.Ordinal));
            Assert.That(row, Does.Contain($"β {beta.ToString(CultureInfo.InvariantCulture)}"));
            foreach (Setting setting in loss.Settings)
                Assert.That(document, Does.Contain($"loss.{setting.Name}=X"));
        }
    }

    [Test]
    public void EveryLossSaysWhatItIsForAndWhereItIsFrom() => GeneratedDocument.VerifyDescriptions(LossMethods.All);
}
