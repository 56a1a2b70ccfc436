using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// QR-LoRA: the frozen factors are a column-pivoted QR decomposition of the weight, stopped after r columns.
/// </summary>
internal sealed class QrLoraMethod : AdapterMethod
{
    private const string Q = "qr_Q";
    private const string T = "qr_R";

    public override string Name => "qr-lora";
    public override string Formula =>
        "W + Q_r·diag(lambda)·T_r·Πᵀ, W·Π = Q·T its pivoted QR decomposition, lambda from zero";
    public override string Source => "QR-LoRA, 2025";
    public override string Use => "r numbers a layer like svfit, from a decomposition cheaper than the SVD.";
    public override bool IsPublishedForm => false;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        return new AdapterForm
        {
            Terms =
            [
                new(layer.Frozen(Q, (layer.Out, rank)), layer.Frozen(T, (rank, layer.In)))
                {
                    Middle = layer.Trained("qr_lambda", rank),
                },
            ],
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            (float[] q, float[] t) = Decompose(
                start.Weight.ToArray(),
                start.Module.Out,
                start.Module.In,
                start.Options.Rank
            );
            start[Q].CopyFrom(q);
            start[T].CopyFrom(t);
            start.Release();
        }
    }

    /// <summary>
    /// Runs r steps of Gram-Schmidt in F64 on the host, each with the longest remaining column: r·out·in products, each
    /// done twice for orthogonality.
    /// </summary>
    internal static (float[] Q, float[] T) Decompose(float[] weight, int rows, int columns, int rank)
    {
        double[] left = Array.ConvertAll(weight, value => (double)value);
        (float[] q, float[] t) = (new float[rows * rank], new float[rank * columns]);
        double[][] basis = new double[rank][];
        for (int step = 0; step < rank; step++)
        {
            double[] direction = Column(left, Longest(left, rows, columns));
            for (int earlier = 0; earlier < step; earlier++)
                Remove(direction, basis[earlier]);
            double length = Math.Sqrt(direction.Sum(value => value * value));
            basis[step] = [.. direction.Select(value => length > 0 ? value / length : 0)];
            for (int i = 0; i < rows; i++)
                q[i * rank + step] = (float)basis[step][i];
            double[] row = new double[columns];
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < columns; j++)
                    row[j] += basis[step][i] * left[i * columns + j];
            }

            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < columns; j++)
                    left[i * columns + j] -= basis[step][i] * row[j];
            }

            for (int j = 0; j < columns; j++)
                t[step * columns + j] = (float)row[j];
        }
        return (q, t);

        double[] Column(double[] matrix, int column) =>
            [.. Enumerable.Range(0, rows).Select(i => matrix[i * columns + column])];
    }

    private static int Longest(double[] matrix, int rows, int columns)
    {
        double[] squares = new double[columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                squares[j] += matrix[i * columns + j] * matrix[i * columns + j];
        }

        return Array.IndexOf(squares, squares.Max());
    }

    private static void Remove(double[] vector, double[] direction)
    {
        double along = vector.Zip(direction, (a, b) => a * b).Sum();
        for (int i = 0; i < vector.Length; i++)
            vector[i] -= along * direction[i];
    }
}
