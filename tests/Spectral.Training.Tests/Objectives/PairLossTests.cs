using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.Objectives;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Objectives;

/// <summary>The arithmetic of each loss on pairs.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PairLossTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Vocabulary = 5;

    private static readonly Dictionary<string, double> NoSettings = [];

    // Of TRL's definitions (dpo_trainer, cpo_trainer with loss_type simpo, orpo_trainer, kto_trainer) on the logits
    // below, written out in Python's doubles: log_softmax, gather, sum or mean, then each trainer's loss.
    [TestCase("dpo", "beta=0.3", 0.7595147970916691, 0.210246060089887, 0.3388494324689672)]
    [TestCase("dpo", "beta=0.3 label-smoothing=0.2", 0.7337941226158532, 0.210246060089887, 0.3388494324689672)]
    [TestCase("simpo", "beta=0.3 gamma=0.4", 1.0100749654321974, -0.5243914624726164, -0.36717463666221195)]
    [TestCase("orpo", "beta=0.3", 2.075128809204905, -0.5243914624726164, -0.36717463666221195)]
    [TestCase(
        "kto",
        "beta=0.3 desirable-weight=0.75 undesirable-weight=1.5",
        0.5990267218151778,
        0.210246060089887,
        0.3388494324689672
    )]
    public void TheValueIsThatOfTrlOnFixedLogits(
        string name,
        string settings,
        double loss,
        double chosenReward,
        double rejectedReward
    )
    {
        (double chosen, double rejected) = (Sum(1, [1, 4, 0]), Sum(2, [2, 3]));
        (double ofBase, double otherOfBase) = (Sum(3, [1, 4, 0]), Sum(4, [2, 3]));
        PairTerm term = Method(name)
            .Term(new(chosen, 3, ofBase), new(rejected, 2, otherOfBase), 0.25, Values(name, settings));
        Assert.Multiple(() =>
        {
            Assert.That(term.Loss, Is.EqualTo(loss).Within(1e-6));
            Assert.That(term.ChosenReward, Is.EqualTo(chosenReward).Within(1e-6));
            Assert.That(term.RejectedReward, Is.EqualTo(rejectedReward).Within(1e-6));
        });
    }

    /// <summary>TRL's loss of unequal numbers of answers, with its weights, and which of them are right.</summary>
    [TestCase(-4.0, -3.0, true, 0.75)]
    [TestCase(-2.5, -3.0, true, 0.75)]
    [TestCase(-4.0, -3.0, false, 1.5)]
    [TestCase(-2.5, -3.0, false, 1.5)]
    public void AnAnswerIsJudgedByItself(double sum, double ofBase, bool isGood, double weight)
    {
        const double Beta = 0.3;
        const double Divergence = 0.25;
        Func<string, double> setting = Values("kto", "beta=0.3 desirable-weight=0.75 undesirable-weight=1.5");
        double gain = sum - ofBase;
        double inside = isGood ? gain - Divergence : Divergence - gain;
        double right = 1 / (1 + Math.Exp(-Beta * inside));
        SideTerm term = Method("kto").Judge(new(sum, 3, ofBase), isGood, Divergence, setting);
        double step = 1e-6;
        double above = Method("kto").Judge(new(sum + step, 3, ofBase), isGood, Divergence, setting).Loss;
        Assert.Multiple(() =>
        {
            Assert.That(term.Loss, Is.EqualTo(weight * (1 - right)).Within(1e-12));
            Assert.That(term.Reward, Is.EqualTo(Beta * gain).Within(1e-12));
            Assert.That(term.Slope, Is.EqualTo((above - term.Loss) / step).Within(1e-6));
            Assert.That(term.IsRight, Is.EqualTo(right > 0.5));
        });
    }

    [Test]
    public void SlopesAreThoseOfDifferences(
        [Values("dpo", "kto", "orpo", "simpo")] string name,
        [Values(-9.0, -1.5, -1e-4)] double chosen,
        [Values(-12.0, -0.7)] double rejected
    )
    {
        Func<string, double> setting = Values(name, name == "dpo" ? "label-smoothing=0.1" : "beta=0.7");
        PairTerm term = Term(chosen, rejected);
        double step = 1e-5 * Math.Min(1, -chosen);
        double ofChosen = (Term(chosen + step, rejected).Loss - Term(chosen - step, rejected).Loss) / (2 * step);
        double ofRejected = (Term(chosen, rejected + 1e-6).Loss - Term(chosen, rejected - 1e-6).Loss) / 2e-6;
        Assert.Multiple(() =>
        {
            Assert.That(term.ChosenSlope, Is.EqualTo(ofChosen).Within(1e-6 * (1 + Math.Abs(ofChosen))));
            Assert.That(term.RejectedSlope, Is.EqualTo(ofRejected).Within(1e-7));
        });

        PairTerm Term(double own, double other) =>
            Method(name).Term(new(own, 4, -3.5), new(other, 3, -2.5), 0.4, setting);
    }

    [Test]
    public void SumsFarApartGiveFiniteLossesAndSlopes(
        [Values("dpo", "kto", "orpo", "simpo")] string name,
        [Values(-1e5, -1e-3, 0)] double chosen,
        [Values(-1e5, -1e-3, 0)] double rejected
    )
    {
        PairTerm term = Method(name).Term(new(chosen, 2, -50), new(rejected, 2, -60), 0, Values(name, ""));
        Assert.Multiple(() =>
        {
            Assert.That(double.IsFinite(term.Loss), $"{term}");
            Assert.That(double.IsFinite(term.ChosenSlope) && term.ChosenSlope <= 0, $"{term}");
            Assert.That(double.IsFinite(term.RejectedSlope) && term.RejectedSlope >= 0, $"{term}");
        });
    }

    [Test]
    public void SettingsAreThoseOfTheirLoss()
    {
        Assert.That(() => Method("dpo").Check(new Dictionary<string, double> { ["gamma"] = 1 }), Refuses("dpo: beta"));
        Assert.That(() => Method("dpo").Check(new Dictionary<string, double> { ["beta"] = 0 }), Refuses("beta=0"));
        Assert.That(() => LossMethods.Find("ppo"), Refuses("known: cross-entropy, dpo, kto, orpo, simpo"));
        Assert.That(new LossChoice("dpo"), Is.EqualTo(new LossChoice("dpo")));
        Assert.That(
            new LossChoice("dpo") { Settings = new Dictionary<string, double> { ["beta"] = 1 } },
            Is.Not.EqualTo(new LossChoice("dpo"))
        );

        static NUnit.Framework.Constraints.Constraint Refuses(string what) =>
            Throws.TypeOf<Spectral.Training.IO.InputException>().With.Message.Contains(what);
    }

    private static PairLossMethod Method(string name) => (PairLossMethod)LossMethods.Find(name);

    private static Func<string, double> Values(string name, string settings)
    {
        var given = settings
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(setting => setting.Split('='))
            .ToDictionary(
                pair => pair[0],
                pair => double.Parse(pair[1], System.Globalization.CultureInfo.InvariantCulture)
            );
        return setting => Method(name).ValueOf(setting, given.Count > 0 ? given : NoSettings);
    }

    /// <summary>The sum of log-probabilities under fixed logits, as a batch of one row gives it.</summary>
    private double Sum(int seed, int[] targets)
    {
        float[] values =
        [
            .. Enumerable
                .Range(0, targets.Length * Vocabulary)
                .Select(i => (((seed * 7) + (i / Vocabulary * 5) + (i % Vocabulary * 3)) % 11 - 5) / 4f),
        ];
        using var logits = Tensor.From(Device, values, (targets.Length, Vocabulary));
        using var ids = Tensor.From(Device, targets, targets.Length);
        using var losses = Tensor.Empty(Device, targets.Length);
        CrossEntropy.Run(logits, ids, losses, null, 1);
        var batch = Batch.Create([new EncodedRecord([0, .. targets], 1, 1, false)]);
        return RowSums.Of(batch, losses.ToArray()).Values[0];
    }
}
