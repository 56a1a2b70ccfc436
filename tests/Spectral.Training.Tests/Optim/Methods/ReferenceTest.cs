using Spectral.Kernels;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>Compares an optimizer with its formula in double precision, over 20 steps with random gradients.</summary>
public abstract class ReferenceTest(DeviceKind kind) : TrainingTest(kind)
{
    /// <summary>One step of the formula for one parameter, which it changes.</summary>
    /// <param name="values">The parameter, row by row.</param>
    /// <param name="gradient">Its gradient after clipping.</param>
    /// <param name="step">The number of the step, from 1.</param>
    /// <param name="rate">The learning rate of this parameter.</param>
    internal delegate void Formula(double[] values, double[] gradient, int step, double rate);

    protected const double Decay = 0.1;

    protected static readonly (string Name, Shape Shape)[] Shapes =
    [
        ("wide", (5, 12)),
        ("vector", 7),
        ("tall", (9, 4)),
        ("row", (1, 6)),
        ("square", (8, 8)),
        ("wide too", (5, 12)), // in one launch with the first, where an optimizer joins what is alike
    ];

    /// <summary>Trains and compares all parameters after each step.</summary>
    /// <param name="name">The optimizer.</param>
    /// <param name="options">The common settings.</param>
    /// <param name="settings">The optimizer's own settings.</param>
    /// <param name="formula">Returns the formula for a parameter, with its own state.</param>
    /// <param name="within">The largest difference allowed.</param>
    /// <param name="look">Looks at the optimizer after each step.</param>
    /// <param name="shapes">
    /// The parameters, of which <c>tall</c> has twice the rate; null: <see cref="Shapes"/>.
    /// </param>
    private protected void Follow(
        string name,
        AdamWOptions options,
        IReadOnlyDictionary<string, double>? settings,
        Func<Shape, Formula> formula,
        double within = 2e-6,
        Action<Optimizer>? look = null,
        (string Name, Shape Shape)[]? shapes = null
    )
    {
        shapes ??= Shapes;
        double[] rates = [.. shapes.Select(parameter => parameter.Name == "tall" ? 2.0 : 1)];
        ParameterSet parameters = Keep(new ParameterSet(Device, shapes, rates: rates));
        using Optimizer optimizer = OptimizerMethods.Find(name).Create(parameters, options, settings);
        Random random = new(2);
        double[][] values = [.. parameters.Parameters.Select(parameter => Fill(parameter.Master, random))];
        Formula[] formulas = [.. shapes.Select(parameter => formula(parameter.Shape))];
        for (int step = 1; step <= 20; step++)
        {
            double rate = 0.02 / step;
            double[][] gradients = [.. parameters.Parameters.Select(parameter => Fill(parameter.Gradient!, random))];
            double norm = Math.Sqrt(gradients.Sum(gradient => gradient.Sum(value => value * value)));
            double clip = options.GradientClip > 0 ? Math.Min(1, options.GradientClip / (norm + 1e-6)) : 1;
            StepResult result = optimizer.Step(rate);
            Assert.That(result.GradientNorm, Is.EqualTo(norm).Within(1e-6 * norm), "the norm before clipping");
            for (int p = 0; p < values.Length; p++)
            {
                formulas[p](values[p], [.. gradients[p].Select(g => clip * g)], step, rates[p] * rate);
                Assert.That(
                    parameters.Parameters[p].Master.ToArray(),
                    Is.EqualTo(values[p]).Within(within),
                    $"{shapes[p].Name} after step {step}"
                );
            }

            look?.Invoke(optimizer);
        }
    }

    private protected static double[] Fill(Tensor tensor, Random random)
    {
        float[] values = [.. Enumerable.Range(0, (int)tensor.Count).Select(_ => (float)(2 * random.NextDouble() - 1))];
        tensor.CopyFrom(values);
        return Array.ConvertAll(values, value => (double)value);
    }
}
