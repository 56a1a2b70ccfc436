using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// Base of fixtures of methods that start from data: a model, a calibration, and what formulas say of a layer, in
/// double.
/// </summary>
public abstract class DataMethodTest(DeviceKind kind) : TrainingTest(kind)
{
    private protected const int Rank = 3;

    // of the largest element: F32 products and decompositions of matrices of a dozen columns
    private protected const double Tolerance = 2e-5;

    private protected static readonly AdapterOptions Options = new()
    {
        Rank = Rank,
        Alpha = 6,
        Seed = 5,
        TargetModules = ["k_proj", "down_proj"],
    };

    private protected CausalLanguageModel Model { get; private set; } = null!;

    private protected ModelCalibration Data { get; private set; } = null!;

    [SetUp]
    public void Load()
    {
        Model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Data = new ModelCalibration(Model, TinyModels.Records(7, TinyModels.Llama, new Random(3)), 2);
    }

    private protected Adapter Attach(
        string method,
        AdapterOptions options,
        params (string Name, string Value)[] settings
    )
    {
        AdapterMethod found = AdapterMethods.Find(method);
        Dictionary<string, double> values = settings.ToDictionary(
            given => given.Name,
            given => found.Settings.Single(setting => setting.Name == given.Name).Parse(given.Value)
        );
        return Adapter.Attach(Model, found, options with { Settings = values }, Data);
    }

    /// <summary>
    /// A fresh adapter's layers, each with what the calibration says of it. The adapter is gone after the last.
    /// </summary>
    private protected IEnumerable<(AdaptedModule Module, double[] Seen)> Attached(
        string method,
        Func<ModelCalibration, Func<IReadOnlyList<string>, IEnumerable<Tensor>>> see,
        params (string Name, string Value)[] settings
    )
    {
        string[] names =
        [
            .. Model.Linears.Select(linear => linear.Name).Where(name => Options.TargetModules.Any(name.EndsWith)),
        ];
        double[][] seen =
        [
            .. see(Data)(names)
                .Select(tensor =>
                {
                    using (tensor)
                        return Array.ConvertAll(tensor.ToArray(), value => (double)value);
                }),
        ];
        using Adapter adapter = Attach(method, Options, settings);
        Assert.That(adapter.Modules, Has.Count.EqualTo(4));
        for (int i = 0; i < names.Length; i++)
            yield return (adapter.Modules[i], seen[i]);
    }

    /// <summary>
    /// All triplets of a matrix, from the library's own decomposition, which its own tests vouch for.
    /// </summary>
    private protected (double[][] Left, double[] Values, double[][] Right) Triplets(double[] matrix, ModuleShape shape)
    {
        using var tensor = Tensor.From(Device, [.. matrix.Select(value => (float)value)], (shape.Out, shape.In));
        using SvdResult svd = Svd.Compute(tensor, Math.Min(shape.Out, shape.In), SvdMethod.Exact);
        float[] u = svd.U.ToArray();
        float[] v = svd.Vt.ToArray();
        float[] s = svd.S.ToArray();
        return (
            [
                .. s.Select(
                    (_, k) => (double[])[.. Enumerable.Range(0, shape.Out).Select(i => (double)u[i * s.Length + k])]
                ),
            ],
            Array.ConvertAll(s, value => (double)value),
            [.. s.Select((_, k) => Array.ConvertAll(v[(k * shape.In)..((k + 1) * shape.In)], value => (double)value))]
        );
    }

    private protected double[] Weight(AdaptedModule module) =>
        Array.ConvertAll(
            Model.Linears.Single(linear => linear.Name == module.Shape.Name).Weight.Value.ToArray(),
            value => (double)value
        );

    /// <summary>Σ of all terms s·L·R.</summary>
    private protected static double[] Change(AdaptedModule module)
    {
        double[] change = new double[module.Shape.Out * module.Shape.In];
        foreach (LowRankTerm term in module.Form.Terms)
        {
            double[] product = Multiply(
                Array.ConvertAll(term.Left.Value.ToArray(), value => (double)value),
                Array.ConvertAll(term.Right.Value.ToArray(), value => (double)value),
                module.Shape.Out,
                term.Rank,
                module.Shape.In
            );
            for (int i = 0; i < change.Length; i++)
                change[i] += term.Scale * product[i];
        }
        return change;
    }

    /// <summary>s·B·A alone.</summary>
    private protected static double[] Product(AdaptedModule module) =>
        [
            .. Multiply(
                    Array.ConvertAll(module.Factors[LoraNames.B].Master.ToArray(), value => (double)value),
                    Array.ConvertAll(module.Factors[LoraNames.A].Master.ToArray(), value => (double)value),
                    module.Shape.Out,
                    Rank,
                    module.Shape.In
                )
                .Select(value => module.Options.Scale * value),
        ];

    private protected static double[] Sum(
        ModuleShape shape,
        int count,
        Func<int, double> weight,
        double[][] left,
        double[][] right
    )
    {
        double[] sum = new double[shape.Out * shape.In];
        for (int k = 0; k < count; k++)
        {
            for (int i = 0; i < shape.Out; i++)
            {
                for (int j = 0; j < shape.In; j++)
                    sum[i * shape.In + j] += weight(k) * left[k][i] * right[k][j];
            }
        }

        return sum;
    }

    private protected static double[] Multiply(double[] a, double[] b, int rows, int inner, int columns)
    {
        double[] product = new double[rows * columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                for (int k = 0; k < inner; k++)
                    product[i * columns + j] += a[i * inner + k] * b[k * columns + j];
            }
        }

        return product;
    }

    private protected static double[] Column(AdaptedModule module, string factor, int index)
    {
        float[] values = module.Factors[factor].Master.ToArray();
        return [.. Enumerable.Range(0, module.Shape.Out).Select(i => (double)values[i * module.Options.Rank + index])];
    }

    private protected static double[] Row(AdaptedModule module, string factor, int index) =>
        [
            .. module
                .Factors[factor]
                .Master.ToArray()
                .Skip(index * module.Shape.In)
                .Take(module.Shape.In)
                .Select(value => (double)value),
        ];

    private protected static double Norm(double[] values) => Math.Sqrt(values.Sum(value => value * value));

    private protected static void VerifyUpToSign(double[] actual, double[] expected) =>
        Verify(
            actual,
            actual.Zip(expected, (a, e) => a * e).Sum() < 0 ? [.. expected.Select(value => -value)] : expected
        );

    private protected static void Verify(double[] actual, double[] expected, double? size = null)
    {
        double largest = size ?? expected.Max(Math.Abs);
        Assert.That(actual, Is.EqualTo(expected).Within(Tolerance * largest + 1e-9));
    }
}
