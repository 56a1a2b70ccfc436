using Spectral.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// An encoder of BERT's kind with its head once more, in double and in plain loops from the formulas of Vaswani et al.
/// (2017) and Devlin et al. (2019): one text at a time, without batches or padding.
/// </summary>
internal sealed class ReferenceEncoder(ModelConfig config, IReadOnlyDictionary<string, double[]> weights)
{
    /// <summary>The dense change [out·in] of a module's weight, if it has an adapter.</summary>
    public Func<string, double[]?> WeightChange { get; init; } = _ => null;

    private readonly string _base = config.ModelType;

    /// <summary>The loss of each label of some records.</summary>
    public double[] Losses(IEnumerable<EncodedRecord> records) =>
        [.. records.SelectMany(record => record.Labels!.Zip(Outputs(record), Loss))];

    /// <summary>What the head gives at each label of a record.</summary>
    public double[][] Outputs(EncodedRecord record)
    {
        double[][] x = States(record);
        return [.. record.Labels!.Select(label => Head(x[label.Position]))];
    }

    private double Loss(TokenLabel label, double[] output)
    {
        if (config.Classifier!.IsRegression)
            return Math.Pow(output[0] - label.Value, 2);
        double most = output.Max();
        return most + Math.Log(output.Sum(value => Math.Exp(value - most))) - output[label.Class];
    }

    private double[] Head(double[] x)
    {
        if (config.Classifier!.Kind == ClassifierKind.Tokens)
            return Linear(x, "classifier");
        bool inHead = weights.ContainsKey("classifier.dense.weight");
        double[] pooled = Linear(x, inHead ? "classifier.dense" : $"{_base}.pooler.dense");
        return Linear([.. pooled.Select(Math.Tanh)], inHead ? "classifier.out_proj" : "classifier");
    }

    private double[][] States(EncodedRecord record)
    {
        string embeddings = $"{_base}.embeddings.";
        double[][] x = new double[record.Tokens.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            bool second = record.SecondText > 0 && t >= record.SecondText;
            x[t] = Norm(
                Sum(
                    Row(embeddings + "word_embeddings", record.Tokens[t]),
                    Row(embeddings + "position_embeddings", t + config.FirstPosition),
                    Row(embeddings + "token_type_embeddings", second ? 1 : 0)
                ),
                embeddings + "LayerNorm"
            );
        }

        for (int layer = 0; layer < config.Layers; layer++)
        {
            string prefix = $"{_base}.encoder.layer.{layer}.";
            double[][] attended = Attention(x, prefix + "attention.");
            for (int t = 0; t < x.Length; t++)
            {
                x[t] = Norm(Sum(x[t], attended[t]), prefix + "attention.output.LayerNorm");
                double[] raised = [.. Linear(x[t], prefix + "intermediate.dense").Select(Activated)];
                x[t] = Norm(Sum(x[t], Linear(raised, prefix + "output.dense")), prefix + "output.LayerNorm");
            }
        }

        return x;
    }

    private double[][] Attention(double[][] x, string prefix)
    {
        double[][] q = [.. x.Select(row => Linear(row, prefix + "self.query"))];
        double[][] k = [.. x.Select(row => Linear(row, prefix + "self.key"))];
        double[][] v = [.. x.Select(row => Linear(row, prefix + "self.value"))];
        int size = config.HeadDimension;
        double[][] mixed = [.. x.Select(row => new double[row.Length])];
        for (int head = 0; head < config.Heads * size; head += size)
        {
            for (int t = 0; t < x.Length; t++)
            {
                double[] scores = [.. k.Select(key => Dot(q[t], key, head, size) / Math.Sqrt(size))];
                double most = scores.Max();
                double total = scores.Sum(score => Math.Exp(score - most));
                for (int s = 0; s < x.Length; s++)
                {
                    for (int i = head; i < head + size; i++)
                        mixed[t][i] += Math.Exp(scores[s] - most) / total * v[s][i];
                }
            }
        }

        return [.. mixed.Select(row => Linear(row, prefix + "output.dense"))];
    }

    private static double Dot(double[] a, double[] b, int from, int count) =>
        Enumerable.Range(from, count).Sum(i => a[i] * b[i]);

    private double Activated(double x) =>
        config.Activation == Activation.Gelu
            ? x * NormalProbability.Of(x)
            : x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

    private double[] Row(string table, int row) =>
        weights[table + ".weight"].AsSpan(row * config.HiddenSize, config.HiddenSize).ToArray();

    private double[] Linear(double[] x, string name)
    {
        double[] weight = weights[name + ".weight"];
        double[]? change = WeightChange(name);
        double[] y = (double[])weights[name + ".bias"].Clone();
        for (int row = 0; row < y.Length; row++)
        {
            for (int i = 0; i < x.Length; i++)
                y[row] += (weight[row * x.Length + i] + (change?[row * x.Length + i] ?? 0)) * x[i];
        }

        return y;
    }

    private double[] Norm(double[] x, string name)
    {
        double mean = x.Average();
        double variance = x.Sum(value => (value - mean) * (value - mean)) / x.Length;
        double[] scale = weights[name + ".weight"];
        double[] shift = weights[name + ".bias"];
        return
        [
            .. x.Select(
                (value, i) => (value - mean) / Math.Sqrt(variance + config.RmsNormEpsilon) * scale[i] + shift[i]
            ),
        ];
    }

    private static double[] Sum(params double[][] rows) => [.. rows[0].Select((_, i) => rows.Sum(row => row[i]))];
}
