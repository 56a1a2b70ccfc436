using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Scales the intruder dimensions of a tuned model down: W1 + (λ − 1) Σ σ_i u_i v_iᵀ over the intruders i of W1, which
/// multiplies their singular values by λ and leaves everything else (Shuttleworth et al., arXiv 2410.21228).
/// </summary>
internal sealed class IntruderMitigation(MitigationOptions options)
{
    private readonly List<MitigatedMatrix> _matrices = [];

    /// <summary>What is to be changed in the tuned model.</summary>
    public WeightCorrections Corrections { get; } = new();

    /// <summary>The matrices with intruders that were collected, in order.</summary>
    public IReadOnlyList<MitigatedMatrix> Matrices => _matrices;

    /// <summary>Checks that intruders of these layers can be told.</summary>
    /// <exception cref="InputException">A layer would be decomposed in part only.</exception>
    public static void Require(IEnumerable<LinearSpec> layers, SpectraOptions spectra)
    {
        if (layers.FirstOrDefault(layer => !spectra.IsExact(layer.Outputs, layer.Inputs)) is { } layer)
        {
            throw new InputException(
                $"{layer.Weight} [{layer.Outputs}, {layer.Inputs}]: the randomized SVD leaves out base vectors that an "
                    + "intruder may resemble; to scale intruders, expected the exact SVD"
            );
        }
    }

    /// <summary>Keeps what is needed to scale the intruders of a matrix: their triplets.</summary>
    public void Collect(MatrixSpectra matrix, Triplets tuned)
    {
        int[] intruders =
        [
            .. Enumerable
                .Range(0, Math.Min(options.Searched, tuned.Count))
                .Where(i => matrix.Vectors.BestLeft[i] < options.Threshold),
        ];
        if (intruders.Length == 0)
            return;
        double[] values = [.. intruders.Select(i => tuned.Values[i])];
        double correction = (1 - options.Factor) * Math.Sqrt(values.Sum(value => value * value));
        _matrices.Add(
            new MitigatedMatrix(
                matrix.Name,
                [.. intruders.Select(i => i + 1)],
                values,
                correction / matrix.Norms.Change
            )
        );
        var left = new HostMatrix(
            intruders.Length,
            matrix.Out,
            [.. intruders.SelectMany(i => Scaled(tuned.Left.Row(i), (options.Factor - 1) * tuned.Values[i]))]
        );
        var right = new HostMatrix(
            intruders.Length,
            matrix.In,
            [.. intruders.SelectMany(i => tuned.Right.Row(i).ToArray())]
        );
        Corrections.Add(matrix.Name, weight => Add(weight, left.Transposed().Times(right)));
    }

    private static double[] Scaled(ReadOnlySpan<double> row, double factor)
    {
        double[] scaled = row.ToArray();
        for (int i = 0; i < scaled.Length; i++)
            scaled[i] *= factor;
        return scaled;
    }

    // In double, so that the sum is rounded once.
    private static void Add(float[] weight, HostMatrix correction)
    {
        for (int i = 0; i < weight.Length; i++)
            weight[i] = (float)(weight[i] + correction.Values[i]);
    }
}
