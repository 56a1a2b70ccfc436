using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

/// <summary>
/// Accuracy by the likelihood of choices, against sums of log-probabilities of a model in double that runs one choice
/// at a time.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ChoiceScorerTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void TheMostLikelyChoiceIsTheAnswer([Values(1, 3, 64)] int batch)
    {
        ModelConfig config = TinyModels.Llama;
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        var reference = new ReferenceModel(config, TinyModels.Values(model.Trainable!));
        var random = new Random(4);
        EncodedRecord[] questions = [.. Enumerable.Range(0, 37).Select(_ => Question(random, config))];
        EncodedRecord[] records = [.. TinyModels.Records(3, config, random), .. questions];

        EvaluationResult result = Evaluator.Evaluate(model, records, batch);

        (int right, int rightByCharacter, int apart) = (0, 0, 0);
        foreach (EncodedRecord question in questions)
        {
            double[] sums = [.. question.Choices!.Select(choice => -reference.LossSum(Batch.Create([choice.Record])))];
            double[] means = [.. sums.Zip(question.Choices!, (sum, choice) => sum / choice.Characters)];
            (int best, int bestMean) = (Array.IndexOf(sums, sums.Max()), Array.IndexOf(means, means.Max()));
            right += best == question.Answer ? 1 : 0;
            rightByCharacter += bestMean == question.Answer ? 1 : 0;
            apart += best == bestMean ? 0 : 1;
        }

        Assert.That(apart, Is.GreaterThan(5), "both ways should often disagree");
        Assert.That(
            result.Metrics!.Select(metric => metric.Name),
            Is.EqualTo(new[] { "accuracy", "accuracy_by_character" })
        );
        Assert.That(result.Metrics![0].Value, Is.EqualTo(right / 37.0).Within(1e-12));
        Assert.That(result.Metrics[1].Value, Is.EqualTo(rightByCharacter / 37.0).Within(1e-12));
    }

    [Test]
    public void RecordsWithoutChoicesHaveNoAccuracy()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        EncodedRecord[] records = TinyModels.Records(3, TinyModels.Llama, new Random(4));
        Assert.That(Evaluator.Evaluate(model, records).Metrics, Is.Null);
    }

    /// <summary>Choices of one to six tokens, whose characters say little about their tokens.</summary>
    private static EncodedRecord Question(Random random, ModelConfig config)
    {
        int[] prompt = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(config.VocabularySize))];
        EncodedChoice[] choices =
        [
            .. Enumerable
                .Range(0, random.Next(2, 5))
                .Select(_ =>
                {
                    int[] choice =
                    [
                        .. Enumerable.Range(0, random.Next(1, 7)).Select(_ => random.Next(config.VocabularySize)),
                    ];
                    return new EncodedChoice(
                        new EncodedRecord([.. prompt, .. choice], prompt.Length, prompt.Length, false),
                        random.Next(1, 12)
                    );
                }),
        ];
        int answer = random.Next(choices.Length);
        return choices[answer].Record with { Choices = choices, Answer = answer };
    }
}
