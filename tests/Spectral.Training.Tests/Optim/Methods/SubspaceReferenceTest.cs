using Spectral.Kernels;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>
/// Compares an optimizer that steps in subspaces of the matrices' smaller sides with double precision, over 20 steps
/// with random gradients.
/// </summary>
public abstract class SubspaceReferenceTest(DeviceKind kind) : TrainingTest(kind)
{
    private protected const int Rank = 3;

    // A large ε, so that factors on the gradient do not cancel from Adam's quotient.
    private static readonly AdamWOptions Options = new()
    {
        Beta2 = 0.99,
        Epsilon = 0.1,
        WeightDecay = 0.1,
        GradientClip = 3,
    };

    private static readonly (string Name, Shape Shape)[] Shapes =
    [
        ("wide", (5, 12)),
        ("vector", 7),
        ("tall", (9, 4)),
        ("thin", (3, 6)),
        ("square", (8, 8)),
    ];

    /// <summary>Returns the basis of a step, [rank, side], and may change gradient and moments.</summary>
    /// <param name="optimizer">The optimizer after the step.</param>
    /// <param name="name">The matrix.</param>
    /// <param name="gradient">Its clipped gradient, the smaller side in rows.</param>
    /// <param name="step">The number of the step, from 1.</param>
    /// <param name="moments">The moments before the step.</param>
    /// <param name="clip">The factor of the clipped gradient.</param>
    private protected delegate Dense Basis(
        Optimizer optimizer,
        string name,
        Dense gradient,
        int step,
        (Dense First, Dense Second) moments,
        double clip
    );

    /// <summary>Trains, and compares all parameters after each step.</summary>
    private protected void Follow(
        string name,
        IReadOnlyDictionary<string, double> settings,
        double scale,
        Basis basisOf
    )
    {
        ParameterSet parameters = Keep(new ParameterSet(Device, Shapes, rates: [1, 1, 2, 1, 1]));
        using Optimizer optimizer = OptimizerMethods.Find(name).Create(parameters, Options, settings);
        Random random = new(3);
        double[][] values = [.. parameters.Parameters.Select(parameter => Fill(parameter.Master, random))];
        (Dense First, Dense Second)[] moments = [.. Shapes.Select(parameter => Zeros(parameter.Shape))];
        for (int step = 1; step <= 20; step++)
        {
            double rate = 0.02 / step;
            double[][] gradients = [.. parameters.Parameters.Select(parameter => Fill(parameter.Gradient!, random))];
            double norm = Math.Sqrt(gradients.Sum(gradient => gradient.Sum(value => value * value)));
            double clip = Math.Min(1, Options.GradientClip / (norm + 1e-6));
            optimizer.Step(rate);
            for (int p = 0; p < values.Length; p++)
            {
                (string parameter, Shape shape) = Shapes[p];
                double own = parameter == "tall" ? 2 * rate : rate;
                Dense gradient = clip * Oriented(shape, gradients[p]);
                Dense? basis = IsProjected(shape)
                    ? basisOf(optimizer, parameter, gradient, step, moments[p], clip)
                    : null;
                Dense change = Quotient(moments[p], basis is { } rows ? rows * gradient : gradient, step);
                if (basis is { } back)
                    change = scale * (back.Transposed * change);
                if (IsTall(shape))
                    change = change.Transposed;
                for (int i = 0; i < values[p].Length; i++)
                    values[p][i] = values[p][i] * (1 - own * Options.WeightDecay) - own * change.Values[i];
                Assert.That(
                    parameters.Parameters[p].Master.ToArray(),
                    Is.EqualTo(values[p]).Within(3e-6),
                    $"{parameter} after step {step}"
                );
            }
        }
    }

    /// <summary>Returns a tensor of the optimizer's state.</summary>
    private protected static Tensor StateOf(Optimizer optimizer, string name) =>
        optimizer.States.Single(state => state.Name == name).Open();

    private protected static double[] Fill(Tensor tensor, Random random)
    {
        float[] values = [.. Enumerable.Range(0, (int)tensor.Count).Select(_ => (float)(2 * random.NextDouble() - 1))];
        tensor.CopyFrom(values);
        return Array.ConvertAll(values, value => (double)value);
    }

    private static bool IsProjected(Shape shape) => shape.Rank == 2 && Math.Min(shape[0], shape[1]) > Rank;

    /// <summary>Whether the columns are the smaller side, or both are equal.</summary>
    private static bool IsTall(Shape shape) => shape.Rank == 2 && shape[0] >= shape[1];

    private static Dense Oriented(Shape shape, double[] values)
    {
        if (shape.Rank == 1)
            return Dense.Of(1, values.Length, values);
        var matrix = Dense.Of(shape[0], shape[1], values);
        return IsTall(shape) ? matrix.Transposed : matrix;
    }

    private static (Dense First, Dense Second) Zeros(Shape shape)
    {
        (int rows, int columns) =
            shape.Rank == 1 ? (1, shape[0]) : (Math.Min(shape[0], shape[1]), Math.Max(shape[0], shape[1]));
        rows = IsProjected(shape) ? Rank : rows;
        return (Dense.Of(rows, columns, (_, _) => 0), Dense.Of(rows, columns, (_, _) => 0));
    }

    /// <summary>Adam's quotient, with the moments brought up to date.</summary>
    private static Dense Quotient((Dense First, Dense Second) moments, Dense gradient, int step)
    {
        (double[] first, double[] second) = (moments.First.Values, moments.Second.Values);
        return Dense.Of(
            gradient.Rows,
            gradient.Columns,
            (i, j) =>
            {
                int at = i * gradient.Columns + j;
                first[at] = Options.Beta1 * first[at] + (1 - Options.Beta1) * gradient[i, j];
                second[at] = Options.Beta2 * second[at] + (1 - Options.Beta2) * gradient[i, j] * gradient[i, j];
                double mean = first[at] / (1 - Math.Pow(Options.Beta1, step));
                double square = second[at] / (1 - Math.Pow(Options.Beta2, step));
                return mean / (Math.Sqrt(square) + Options.Epsilon);
            }
        );
    }
}
