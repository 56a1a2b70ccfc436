using System.Globalization;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;
using Spectral.Training.Packing;
using Spectral.Training.Settings;

namespace Spectral.Training.Compression.Methods;

/// <summary>Delta-CoMe: the singular triplets of each change in fewer bits the smaller their values are.</summary>
internal sealed class DeltaComeCompression : CompressionMethod
{
    private const string Bits = "bits";
    private const string Damping = "damping";

    /// <summary>How many triplets have entries of how many bits; the last band takes what the budget leaves.</summary>
    private static readonly (int Bits, int Count)[] Bands = [(8, 2), (3, 32), (2, int.MaxValue)];

    public override string Name => "delta-come";

    public override string Formula =>
        "ΔW = U Σ Vᵀ; u_i √σ_i and v_i √σ_i in 8 bits for i ≤ 2, in 3 for i ≤ 34, then in 2 as far as the budget goes: "
        + "x = norm · s (code − 2^(b−1) + ½), one s per 128 entries";

    public override string Source =>
        "Ping et al., \"Delta-CoMe: Training-Free Delta-Compression with Mixed-Precision for Large Language Models\", "
        + "2024, arXiv 2406.08903";

    public override string Use =>
        "Stores the change of a whole tuned checkpoint in a bit per weight, or as many as are given. The change of "
        + "every linear weight of the blocks is decomposed, which takes most of the time. With --data, GPTQ rounds so "
        + "that the outputs of each layer change least on the inputs that it has in the tuned model, as in the paper; "
        + "a few dozen records do, the error of the weights grows, and the model is on the device in F32. Without, "
        + "each entry goes to the nearest level. The scale of a group and the norm of a vector are chosen for the "
        + "least squared error.";

    public override bool IsPublishedForm => false;

    public override bool NeedsModel => true;

    public override CompressionUses Uses => CompressionUses.Data;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Bits, 1, 0.01, 16, "Bits per parameter of each linear weight, scales and norms included."),
        new(
            Damping,
            0.01,
            1e-6,
            1,
            "With --data, what is added to the diagonal of Σ x xᵀ of the inputs x, as a share of the diagonal's mean."
        ),
    ];

    internal override CompressionResult Write(CompressionRun run)
    {
        using ChangeOfBase change = new(run);
        using LayerInputs? inputs = run.Options.Data.Count > 0 ? new LayerInputs(run, change) : null;
        foreach ((LinearSpec layer, float[] values) in change.Linears())
        {
            (int Bits, int Count)[] bands = Within(run.Setting(Bits), layer);
            using var matrix = Tensor.From(run.Device, values, (layer.Outputs, layer.Inputs));
            var triplets = Triplets.Leading(run.Device, values, matrix, bands.Sum(band => band.Count));
            bands = Nonzero(bands, triplets);
            int rank = bands.Sum(band => band.Count);
            HostMatrix right = Scaled(triplets.Right, triplets.Values, rank);
            HostMatrix left = Scaled(triplets.Left, triplets.Values, rank);
            (BandMatrix Right, BandMatrix Left) rounded = (BandMatrix.Of(right, bands), BandMatrix.Of(left, bands));
            using Tensor? products = inputs?.ProductOf(layer);
            (double Weights, double Outputs) lost = Lost(matrix, rounded, products);
            CalibratedLosses? calibrated = null;
            if (products is not null)
            {
                (double Weights, double Outputs) nearest = lost;
                rounded = Calibrated(right, left, bands, products, run.Setting(Damping));
                lost = Lost(matrix, rounded, products);
                double outputs = OutputsOf(matrix, products);
                calibrated = new CalibratedLosses(
                    ChangeOfBase.SquaresOf(values),
                    lost.Outputs,
                    outputs,
                    nearest.Weights,
                    nearest.Outputs
                );
            }
            string r = AdapterFolder.KeyOf(layer.Name, LoraNames.A);
            string l = AdapterFolder.KeyOf(layer.Name, LoraNames.B);
            change.Add(
                layer,
                rank,
                [
                    BandCodec.Pack(r, rounded.Right, areColumns: false),
                    BandCodec.Pack(l, rounded.Left, areColumns: true),
                ],
                values,
                lost.Weights,
                calibrated
            );
        }
        return change.Write(AdapterMethods.Find("lora"));
    }

    /// <summary>Rounds both factors so that outputs change least.</summary>
    /// <param name="right">√Σ Vᵀ [rank, in].</param>
    /// <param name="left">√Σ Uᵀ [rank, out].</param>
    /// <param name="bands">How many triplets have entries of how many bits.</param>
    /// <param name="products">Σ x xᵀ [in, in] over the inputs x of the layer.</param>
    /// <param name="damping">The damping of the products.</param>
    private static (BandMatrix Right, BandMatrix Left) Calibrated(
        HostMatrix right,
        HostMatrix left,
        (int Bits, int Count)[] bands,
        Tensor products,
        double damping
    )
    {
        var inputs = HostMatrix.From(products.ToArray(), right.Columns, right.Columns);
        BandMatrix r = CalibratedRounding.Rows(right, bands, inputs, damping);
        // The left factor multiplies what the rounded right one makes of the inputs.
        var rounded = HostMatrix.From(r.ToFloats(), right.Rows, right.Columns);
        HostMatrix projected = rounded.TimesTransposed(inputs).TimesTransposed(rounded);
        return (r, CalibratedRounding.Columns(left, bands, projected, damping));
    }

    /// <summary>Returns how many triplets of each band fit into a number of bits per entry of a weight.</summary>
    /// <exception cref="InputException">Not even one does.</exception>
    private static (int Bits, int Count)[] Within(double bits, LinearSpec layer)
    {
        double left = bits * layer.Outputs * layer.Inputs;
        int most = Math.Min(layer.Outputs, layer.Inputs);
        List<(int Bits, int Count)> bands = [];
        foreach ((int width, int count) in Bands)
        {
            long cost = CostOf(layer, width);
            int taken = (int)Math.Min(Math.Min(count, most), Math.Floor(left / cost));
            if (taken > 0)
                bands.Add((width, taken));
            left -= (double)taken * cost;
            most -= taken;
            if (taken < count)
                break;
        }
        if (bands.Count > 0)
            return [.. bands];
        double least = (double)CostOf(layer, Bands[0].Bits) / layer.Outputs / layer.Inputs;
        throw new InputException(
            string.Create(
                CultureInfo.InvariantCulture,
                $"setting {Bits}={bits}: one singular triplet of {layer.Name} [{layer.Outputs}, {layer.Inputs}] takes "
            ) + string.Create(CultureInfo.InvariantCulture, $"{least:0.###} bits per parameter, expected at least that")
        );
    }

    private static long CostOf(LinearSpec layer, int bits) =>
        BandMatrix.Cost(layer.Outputs, bits) + BandMatrix.Cost(layer.Inputs, bits);

    /// <summary>Cuts bands to the triplets whose values are not 0 up to rounding.</summary>
    private static (int Bits, int Count)[] Nonzero((int Bits, int Count)[] bands, Triplets triplets)
    {
        int left = triplets.Values.Count(value => value > triplets.NumericalZero);
        List<(int Bits, int Count)> cut = [];
        foreach ((int bits, int count) in bands)
        {
            int kept = Math.Min(count, left);
            if (kept > 0)
                cut.Add((bits, kept));
            left -= kept;
        }
        return [.. cut];
    }

    private static HostMatrix Scaled(HostMatrix vectors, double[] values, int rank)
    {
        HostMatrix scaled = new(rank, vectors.Columns);
        for (int i = 0; i < rank; i++)
        {
            double root = Math.Sqrt(values[i]);
            for (int j = 0; j < vectors.Columns; j++)
                scaled.Values[(i * vectors.Columns) + j] = root * vectors[i, j];
        }
        return scaled;
    }

    /// <summary>
    /// Returns the squared norms of what is lost of a change, and of what is lost of its outputs; of those 0 without
    /// products of inputs.
    /// </summary>
    private static (double Weights, double Outputs) Lost(
        Tensor change,
        (BandMatrix Right, BandMatrix Left) rounded,
        Tensor? products
    )
    {
        using var rest = Tensor.From(change.Device, change.ToArray(), change.Shape);
        using var l = Tensor.From(change.Device, rounded.Left.ToFloats(), (rounded.Left.Count, change.Dim(0)));
        using var r = Tensor.From(change.Device, rounded.Right.ToFloats(), (rounded.Right.Count, change.Dim(1)));
        Gemm.Run(Gemm.Transposed(l), r, rest, alpha: -1, beta: 1);
        return (ChangeOfBase.SquaresOf(rest.ToArray()), products is null ? 0 : OutputsOf(rest, products));
    }

    /// <summary>Returns ‖X Dᵀ‖² = Σ D ∘ (D XᵀX) for a matrix D [out, in].</summary>
    private static double OutputsOf(Tensor matrix, Tensor products)
    {
        using var multiplied = Tensor.Empty(matrix.Device, matrix.Shape);
        Gemm.Run(matrix, products, multiplied);
        float[] values = matrix.ToArray();
        float[] others = multiplied.ToArray();
        double sum = 0;
        for (int i = 0; i < values.Length; i++)
            sum += (double)values[i] * others[i];
        return Math.Max(0, sum); // rounding may make of nothing less than nothing
    }
}
