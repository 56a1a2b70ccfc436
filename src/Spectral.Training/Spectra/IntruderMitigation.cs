using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Merging;
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
    private readonly Dictionary<string, Action<float[]>> _corrections = new(StringComparer.Ordinal);

    /// <summary>The matrices with intruders that were collected, in order.</summary>
    public IReadOnlyList<MitigatedMatrix> Matrices => _matrices;

    /// <summary>Checks that intruders of these layers can be told and scaled.</summary>
    /// <exception cref="InputException">
    /// A layer would be decomposed in part only, or shares its weight with another one.
    /// </exception>
    public static void Require(ModelFolder tuned, IEnumerable<LinearSpec> layers, SpectraOptions spectra)
    {
        ModelFamily family = tuned.Config.Family;
        foreach (LinearSpec layer in layers)
        {
            if (!spectra.IsExact(layer.Outputs, layer.Inputs))
            {
                throw new InputException(
                    $"{layer.Weight} [{layer.Outputs}, {layer.Inputs}]: the randomized SVD leaves out base vectors that "
                        + "an intruder may resemble; to scale intruders, expected the exact SVD"
                );
            }

            if (tuned.Config.TieWordEmbeddings && (layer.Name == family.Head || layer.Name == family.Embedding))
            {
                throw new InputException(
                    $"{layer.Weight}: is shared by embedding and head in {tuned.Directory}; to scale intruders, "
                        + "expected targets without these layers"
                );
            }
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
        _corrections.Add(matrix.Name, weight => Add(weight, left.Transposed().Times(right)));
    }

    /// <summary>
    /// Writes the tuned model with its intruders scaled. All other tensors are those of the tuned model, or of the
    /// merged adapter.
    /// </summary>
    /// <exception cref="InputException">A value is too large for the stored type.</exception>
    public void Write(
        ModelFolder tuned,
        string? adapterDirectory,
        string directory,
        Device device,
        CancellationToken cancellation
    )
    {
        if (adapterDirectory is not null)
        {
            Merger.Merge(tuned, adapterDirectory, directory, device, cancellation, type: null, _corrections);
            return;
        }
        var tensors = new List<TensorToWrite>();
        foreach (string name in tuned.TensorNames.Order(StringComparer.Ordinal))
        {
            SafetensorsTensor source = tuned[name];
            TensorToWrite tensor = _corrections.TryGetValue(name, out Action<float[]>? correct)
                ? TensorToWrite.Floats(name, source.Type, source.Shape, () => Corrected(source.ToFloats(), correct))
                : TensorToWrite.Copy(source, name);
            tensors.Add(
                tensor with
                {
                    Write = stream =>
                    {
                        cancellation.ThrowIfCancellationRequested();
                        tensor.Write(stream);
                    },
                }
            );
        }
        SafetensorsWriter.Write(
            Path.Combine(directory, "model.safetensors"),
            tensors,
            new Dictionary<string, string> { ["format"] = "pt" }
        );
        ConfigCopy.Write(tuned.Directory, directory, type: null, isUntied: tuned.IsUntied);
        ModelCompanions.Copy(tuned.Directory, directory);
    }

    private static float[] Corrected(float[] weight, Action<float[]> correct)
    {
        correct(weight);
        return weight;
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
