using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.LlamaCpp.Tests;

/// <summary>Logits of llama.cpp beside those of this project.</summary>
internal static class Comparison
{
    /// <summary>
    /// What sums in another order cost, as a share of the largest logit; five times the most that was measured (4e-6).
    /// </summary>
    public const double Sums = 2e-5;

    /// <summary>
    /// What ggml's GELU costs, which it looks up in a table of halves: 11 bits in each layer (7e-4 was measured).
    /// </summary>
    public const double HalfTable = 2e-3;

    /// <summary>Tokens of any model here: some of them twice, and more than the windows hold.</summary>
    public static readonly int[] Prompt = [5, 250, 17, 99, 3, 42, 42, 128, 7, 200, 61, 0, 88, 19, 230, 77];

    /// <summary>Returns what rounding may cost a model in F32, as a share of the largest logit.</summary>
    public static double BoundOf(ModelConfig config) => config.Activation == Activation.Silu ? Sums : HalfTable;

    /// <summary>Computes the logits after each token with this project's kernels, [n, V].</summary>
    public static float[][] Logits(CausalLanguageModel model, int[] tokens)
    {
        // Rows that predict a token carry loss; the last one predicts a token that does not matter.
        EncodedRecord record = new([.. tokens, 0], 1, 1, false);
        return [.. Losses.Logits(model, Batch.Create([record])).Chunk(model.Config.VocabularySize)];
    }

    /// <summary>Fails unless all logits are within a share of the largest.</summary>
    public static void Verify(float[][] actual, float[][] expected, double bound)
    {
        double largest = expected.SelectMany(row => row).Max(value => Math.Abs((double)value));
        double worst = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.That(actual[i], Has.Length.EqualTo(expected[i].Length));
            for (int j = 0; j < expected[i].Length; j++)
            {
                double error = Math.Abs((double)actual[i][j] - expected[i][j]) / largest;
                worst = Math.Max(worst, error);
                if (!(error <= bound))
                    Assert.Fail($"logit {j} after token {i} is {actual[i][j]}, expected {expected[i][j]}");
            }
        }
        TestContext.Out.WriteLine($"off by {worst:G3} of the largest logit, at most {bound:G3}");
    }

    /// <summary>Fails if no logit is off by more than a share of the largest: that a change shows.</summary>
    public static void VerifyDifferent(float[][] actual, float[][] other, double least)
    {
        double largest = other.SelectMany(row => row).Max(value => Math.Abs((double)value));
        double most = actual.Zip(other, (x, y) => x.Zip(y, (a, b) => Math.Abs((double)a - b)).Max()).Max();
        Assert.That(most / largest, Is.GreaterThan(least));
    }
}
