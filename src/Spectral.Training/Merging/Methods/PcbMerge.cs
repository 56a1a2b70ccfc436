using System.Numerics.Tensors;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class PcbMerge : OneModelMerge
{
    private const string Ratio = "ratio";
    private const string Lambda = "lambda";
    private const double Clipped = 0.0001;
    private const float LeastDivisor = 1e-12f;

    public override string Name => "pcb";

    public override string Formula =>
        "∣τ̂_i∣ = ∣τ_i∣ clipped to its quantiles 0.0001 and 0.9999; β_i = exp(N minmax(∣τ̂_i∣)²) tanh(τ_i ∘ Σ τ_j); "
        + "s_i = minmax(max(β_i, quantile 1 − ratio)); θ = θ0 + λ Σ s_i τ̂_i / Σ s_i";

    public override string Source =>
        "Du et al., \"Parameter Competition Balancing for Model Merging\", 2024, arXiv 2410.02396";

    public override string Use =>
        "Lets entries compete within an input and between inputs, and keeps a small share of them. Quantiles, minima "
        + "and maxima are those of the whole flattened model, so that the inputs are read five times.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Ratio, 0.1, 0.0001, 1, "Share of entries of each input that take part."),
        new(Lambda, 1.2, 0, 10, "Factor λ of the merged change."),
    ];

    internal override int Scans(MergeRun run) => 4;

    internal override TensorMerge Begin(MergeRun run)
    {
        Scale[] magnitudes = Magnitudes(run);
        Scale[] scores = Scores(run, magnitudes);
        float lambda = (float)run.Setting(Lambda);
        return _ =>
            (piece, result) =>
            {
                float[][] changes = piece.Changes();
                float[] totals = Totals(piece, changes);
                for (int i = 0; i < result.Length; i++)
                {
                    float sum = 0;
                    float divisor = 0;
                    for (int input = 0; input < changes.Length; input++)
                    {
                        float change = changes[input][i];
                        float scale = scores[input].Of(Score(change, totals[i], magnitudes[input], changes.Length));
                        sum += scale * MathF.Sign(change) * magnitudes[input].Clip(MathF.Abs(change));
                        divisor += scale;
                    }
                    result[i] = lambda * sum / MathF.Max(divisor, LeastDivisor);
                }
                piece.AddBase(result);
            };
    }

    private static Scale[] Magnitudes(MergeRun run)
    {
        long count = run.Count;
        // Counted from the largest; the published code counts from the smallest, from 0.
        long least = count - (long)(count * Clipped);
        long most = count - Math.Max(0, (long)(count * (1 - Clipped)) - 1);
        OrderStatistics[] found = [.. run.Weights.Select(_ => new OrderStatistics(ofMagnitudes: true, least, most))];
        run.ScanChanges((piece, input) => found[input].CountFirst(piece.Change(input)));
        foreach (OrderStatistics one in found)
            one.EndFirst();
        run.ScanChanges((piece, input) => found[input].CountSecond(piece.Change(input)));
        return [.. found.Select(one => new Scale(one.Result().Value, one.Result(1).Value))];
    }

    private static Scale[] Scores(MergeRun run, Scale[] magnitudes)
    {
        long least = Math.Max(1, run.Count - (long)(run.Count * (1 - run.Setting(Ratio))));
        OrderStatistics[] found = [.. run.Weights.Select(_ => new OrderStatistics(ofMagnitudes: false, least, 1))];
        run.ScanChanges((piece, input) => found[input].CountFirst(Of(piece, input)));
        foreach (OrderStatistics one in found)
            one.EndFirst();
        run.ScanChanges((piece, input) => found[input].CountSecond(Of(piece, input)));
        return [.. found.Select(one => new Scale(one.Result().Value, one.Result(1).Value))];

        float[] Of(MergePiece piece, int input)
        {
            float[][] changes = piece.Changes();
            float[] totals = Totals(piece, changes);
            for (int i = 0; i < totals.Length; i++)
                totals[i] = Score(changes[input][i], totals[i], magnitudes[input], changes.Length);
            return totals;
        }
    }

    private static float[] Totals(MergePiece piece, float[][] changes)
    {
        float[] totals = new float[piece.Length];
        foreach (float[] change in changes)
            TensorPrimitives.Add(totals, change.AsSpan(0, piece.Length), totals);
        return totals;
    }

    private static float Score(float change, float total, Scale magnitudes, int inputs)
    {
        float within = magnitudes.Of(MathF.Abs(change));
        return MathF.Exp(inputs * within * within) * MathF.Tanh(change * total);
    }

    /// <summary>Clips numbers to a range and maps the range to 0 … 1.</summary>
    private readonly record struct Scale(float Least, float Most)
    {
        public float Clip(float value) => Math.Clamp(value, Least, Most);

        // In an input without a change all values are equal; none of them then competes.
        public float Of(float value) => Most > Least ? (Clip(value) - Least) / (Most - Least) : 0;
    }
}
