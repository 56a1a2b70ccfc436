using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>Starts from the gradient, against what their papers say of it.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GradientStartTests(DeviceKind kind) : DataMethodTest(kind)
{
    [Test]
    public void LoraGaTakesBothFactorsFromTheGradient(
        [Values("arb2r", "a2rbr", "arbr")] string direction,
        [Values("stable", "weight-svd", "gd-scale", "unit")] string scaling
    )
    {
        foreach (
            (AdaptedModule module, double[] gradient) in Attached(
                "lora-ga",
                Gradients,
                ("direction", direction),
                ("scaling", scaling)
            )
        )
        {
            (double[][] u, double[] s, double[][] v) = Triplets(gradient, module.Shape);
            int[] left =
            [
                .. Enumerable
                    .Range(0, Rank)
                    .Select(i =>
                        direction switch
                        {
                            "arb2r" => Rank + i,
                            "a2rbr" => i,
                            _ => 2 * i,
                        }
                    ),
            ];
            int[] right =
            [
                .. Enumerable
                    .Range(0, Rank)
                    .Select(i =>
                        direction switch
                        {
                            "arb2r" => i,
                            "a2rbr" => Rank + i,
                            _ => 2 * i + 1,
                        }
                    ),
            ];
            (double ofB, double ofA) = scaling switch
            {
                "stable" => (Math.Pow(module.Shape.Out, 0.25) / 4, 1), // γ = 16
                "weight-svd" => (Triplets(Weight(module), module.Shape).Values[0] / s[left[0]], 1),
                "gd-scale" => (0.5, 0.5), // s = 6 / 3
                _ => (1.0, 1.0),
            };
            // Each triplet's sign is free, the same for both its vectors; here the two come from different triplets, so
            // compare up to sign.
            for (int i = 0; i < Rank; i++)
            {
                VerifyUpToSign(Column(module, LoraNames.B, i), [.. u[left[i]].Select(x => ofB * s[left[i]] * x)]);
                VerifyUpToSign(Row(module, LoraNames.A, i), [.. v[right[i]].Select(x => ofA * x)]);
            }
            Assert.That(Change(module), Is.All.EqualTo(0).Within(1e-7), "what the start adds is taken away again");
        }
    }

    [Test]
    public void LoraOneStartsOneStepAgainstTheGradient()
    {
        const double Gamma = 50;
        const double Scale = 6 / 1.7320508075688772;
        foreach ((AdaptedModule module, double[] gradient) in Attached("lora-one", Gradients, ("gamma", "50")))
        {
            (double[][] u, double[] s, double[][] v) = Triplets(gradient, module.Shape);
            Verify(Change(module), Sum(module.Shape, Rank, i => -Scale * s[i] / (s[0] * Gamma), u, v));
            for (int i = 0; i < Rank; i++)
            {
                Assert.That(
                    Norm(Column(module, LoraNames.B, i)),
                    Is.EqualTo(Norm(Row(module, LoraNames.A, i))).Within(1e-5),
                    "the size is shared evenly"
                );
            }
        }
    }

    [Test]
    public void LoraSbStartsAsAdamsFirstStepAndFollowsTheFullGradient()
    {
        foreach ((AdaptedModule module, double[] gradient) in Attached("lora-sb", Gradients, ("step", "0.01")))
        {
            (double[][] u, double[] s, double[][] v) = Triplets(
                [.. gradient.Select(value => (double)Math.Sign(value))],
                module.Shape
            );
            Verify(Change(module), Sum(module.Shape, Rank, i => -0.01 * s[i], u, v));
            float[] middle = module.Factors["lora_latent"].Master.ToArray();
            for (int i = 0; i < Rank * Rank; i++)
                Assert.That(middle[i], Is.EqualTo(i % (Rank + 1) == 0 ? 0.01 * s[i / Rank] : 0).Within(1e-6 * s[0]));
        }
    }

    [Test]
    public void LoraSbsGradientIsTheBestApproximationOfTheFullOne()
    {
        EncodedRecord[] records = TinyModels.Records(5, TinyModels.Llama, new Random(9));
        string[] names =
        [
            .. Model.Linears.Select(linear => linear.Name).Where(name => Options.TargetModules.Any(name.EndsWith)),
        ];
        double[][] full =
        [
            .. new ModelCalibration(Model, records, records.Length)
                .Gradients(names)
                .Select(tensor =>
                {
                    using (tensor)
                        return Array.ConvertAll(tensor.ToArray(), value => (double)value);
                }),
        ];
        using Adapter adapter = Attach("lora-sb", Options);
        Assert.That(adapter.TrainableCount, Is.EqualTo(names.Length * Rank * Rank), "C alone");
        adapter.Parameters.EnableGradients();
        foreach (Parameter middle in adapter.Parameters.Parameters)
            middle.Master.Clear(); // the weights that the full gradient was taken at
        adapter.Parameters.NotifyChanged();
        using BatchTensors batch = new(Device, Batch.Create(records));
        using (Tape tape = new(Device))
        using (Model.Loss(tape, batch, 1f / batch.Source.LossTokens))
            tape.Backward();
        foreach ((AdaptedModule module, double[] gradient) in adapter.Modules.Zip(full))
        {
            (int rows, int columns) = (module.Shape.Out, module.Shape.In);
            double[] Factor(string name) =>
                Array.ConvertAll(module.Factors[name].Master.ToArray(), value => (double)value);
            double[] left = Factor(LoraNames.B);
            double[] right = Factor(LoraNames.A);
            double[] change = Array.ConvertAll(
                module.Factors["lora_latent"].Gradient!.ToArray(),
                value => (double)value
            );
            // The rest of the full gradient is orthogonal to every direction that C can take: no other step in the
            // subspace comes nearer.
            double[] rest =
            [
                .. gradient.Zip(
                    Multiply(Multiply(left, change, rows, Rank, Rank), right, rows, Rank, columns),
                    (whole, part) => whole - part
                ),
            ];
            for (int i = 0; i < Rank; i++)
            {
                for (int j = 0; j < Rank; j++)
                {
                    double along = 0;
                    for (int row = 0; row < rows; row++)
                    {
                        for (int column = 0; column < columns; column++)
                            along += left[row * Rank + i] * rest[row * columns + column] * right[j * columns + column];
                    }

                    Assert.That(along, Is.EqualTo(0).Within(Tolerance * gradient.Max(Math.Abs)), module.Shape.Name);
                }
            }
        }
    }

    private static Func<IReadOnlyList<string>, IEnumerable<Tensor>> Gradients(ModelCalibration data) => data.Gradients;
}
