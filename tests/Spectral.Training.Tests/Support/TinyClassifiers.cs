using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Support;

/// <summary>Small models with heads for classes or a number, and records for them.</summary>
internal static class TinyClassifiers
{
    /// <summary>An encoder with a pooler beside the head, and embeddings of two kinds of tokens.</summary>
    public static ModelConfig Bert { get; } =
        TinyModels.Llama with
        {
            ModelType = "bert",
            HiddenSize = 12,
            Heads = 3,
            KeyValueHeads = 3,
            HeadDimension = 4,
            MaxPositions = 17,
            Activation = Activation.Gelu,
            QueryKeyValueBias = true,
            OutputBias = true,
            MlpBias = true,
            RotaryLayers = [false, false],
            TokenTypes = 2,
            Classifier = Classes(3),
        };

    /// <summary>An encoder with the pooler in the head and positions behind that of the padding token.</summary>
    public static ModelConfig Roberta { get; } =
        Bert with
        {
            ModelType = "roberta",
            FirstPosition = 2,
            TokenTypes = 1,
            Activation = Activation.GeluTanh,
        };

    /// <summary>A decoder whose last token is read by a head for classes.</summary>
    public static ModelConfig Llama { get; } = TinyModels.Llama with { Classifier = Classes(3) };

    public static ModelConfig[] Encoders => [Bert, Roberta];

    public static ClassifierConfig Classes(int count, ClassifierKind kind = ClassifierKind.Sequence) =>
        new() { Kind = kind, Labels = [.. Enumerable.Range(0, count).Select(label => $"L{label}")] };

    public static ClassifierConfig Number => Classes(1) with { IsRegression = true };

    /// <summary>Records of unequal length with random tokens and labels, every second one a pair of texts.</summary>
    public static EncodedRecord[] Records(int count, ModelConfig config, Random random, int longest = 9) =>
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    int length = random.Next(3, longest + 1);
                    return new EncodedRecord(
                        [.. Enumerable.Range(0, length).Select(_ => random.Next(config.VocabularySize))],
                        length,
                        length,
                        false
                    )
                    {
                        SecondText = i % 2 == 1 && config.TokenTypes > 1 ? length / 2 : 0,
                        GivesNumber = config.Classifier!.IsRegression,
                        Labels = [.. Places(config, length).Select(at => Label(at, config.Classifier!, random))],
                    };
                }),
        ];

    private static IEnumerable<int> Places(ModelConfig config, int length) =>
        config switch
        {
            { Classifier.Kind: ClassifierKind.Tokens } => Enumerable.Range(1, length - 2),
            { ModelType: "llama" } => [length - 1],
            _ => [0],
        };

    private static TokenLabel Label(int at, ClassifierConfig classifier, Random random) =>
        classifier.IsRegression
            ? new TokenLabel(at, 0, (float)random.NextDouble() - 0.5f)
            : new TokenLabel(at, random.Next(classifier.Labels.Count));
}
