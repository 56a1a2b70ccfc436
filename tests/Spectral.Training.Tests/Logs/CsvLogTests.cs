using System.Globalization;
using Spectral.Training.Logs;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Logs;

public sealed class CsvLogTests : FolderTest
{
    [SetUp]
    public void UseDecimalCommas()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        CultureInfo.CurrentCulture = culture;
    }

    [TearDown]
    public void UseDecimalPoints() => CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;

    [Test]
    public void EachStepAndEvaluationIsALine()
    {
        string path = folder.File("log.csv");
        using (CsvLog log = new(path))
        {
            log.OnEvaluation(0, new EvaluationResult(3.5, 10, null, 4));
            log.OnStep(new StepReport(1, 2.5, 1e-3, 0.1, 100, 1234.5));
            log.OnStep(new StepReport(2, double.NaN, 5e-4, double.PositiveInfinity, 7, 1200, Skipped: true));
            Assert.That(File.ReadAllText(path), Does.EndWith("\n2,,0.0005,,7,1200,,\n"), "flushed line by line");
            log.OnEvaluation(2, new EvaluationResult(1.0 / 3, 10, 0.25, 4));
        }

        Assert.That(
            File.ReadAllText(path),
            Is.EqualTo(
                "step,loss,lr,grad_norm,tokens,tokens_per_second,eval_loss,exact_match\n"
                    + "0,,,,,,3.5,\n"
                    + "1,2.5,0.001,0.1,100,1234.5,,\n"
                    + "2,,0.0005,,7,1200,,\n"
                    + "2,,,,,,0.3333333333333333,0.25\n"
            )
        );
        Assert.That(
            double.Parse("0.3333333333333333", CultureInfo.InvariantCulture),
            Is.EqualTo(1.0 / 3),
            "no digit is lost"
        );
    }

    [Test]
    public void ARunOnPairsHasColumnsForTheirRewards()
    {
        string path = folder.File("log.csv");
        using (CsvLog log = new(path, hasPairs: true))
        {
            log.OnStep(new StepReport(1, 2.5, 1e-3, 0.1, 100, 1234.5) { PairScores = new(0.5, -1.25, 0.75) });
            log.OnEvaluation(1, new EvaluationResult(3.5, 10, null, 4) { PairScores = new(1, 2, 0) });
        }

        Assert.That(
            File.ReadAllText(path),
            Is.EqualTo(
                "step,loss,lr,grad_norm,tokens,tokens_per_second,eval_loss,exact_match,"
                    + "chosen_reward,rejected_reward,reward_accuracy,"
                    + "eval_chosen_reward,eval_rejected_reward,eval_reward_accuracy\n"
                    + "1,2.5,0.001,0.1,100,1234.5,,,0.5,-1.25,0.75,,,\n"
                    + "1,,,,,,3.5,,,,,1,2,0\n"
            )
        );
    }
}
