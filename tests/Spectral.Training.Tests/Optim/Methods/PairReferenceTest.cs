using Spectral.Kernels;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>
/// Compares an optimizer that changes the gradients of a pair of factors before AdamW with double precision, over 20
/// steps with random gradients.
/// </summary>
public abstract class PairReferenceTest(DeviceKind kind) : TrainingTest(kind)
{
    private protected const double Scale = 1.5;
    private const int Out = 9;
    private const int Rank = 3;
    private const int In = 12;

    // A large ε, so that factors on the gradient do not cancel from Adam's quotient.
    private static readonly AdamWOptions Options = new()
    {
        Beta2 = 0.99,
        Epsilon = 0.1,
        WeightDecay = 0.1,
        GradientClip = 3,
    };

    /// <summary>Returns what takes the place of the clipped gradients of L and R.</summary>
    private protected delegate (Dense Left, Dense Right) Change(
        Dense left,
        Dense right,
        Dense leftGradient,
        Dense rightGradient
    );

    /// <summary>Trains a pair and a vector, and compares all three after each step.</summary>
    private protected void Follow(
        string name,
        IReadOnlyDictionary<string, double>? settings,
        Change change,
        bool rightTrains = true
    )
    {
        ParameterSet parameters = Keep(
            new ParameterSet(Device, [("l", (Out, Rank)), ("r", (Rank, In)), ("v", 7)], rates: [2, 1, 1])
        );
        (Parameter l, Parameter r, Parameter v) = (
            parameters.Parameters[0],
            parameters.Parameters[1],
            parameters.Parameters[2]
        );
        parameters.Pairs = [new FactorPair(l, r, Scale)];
        using Optimizer optimizer = OptimizerMethods.Find(name).Create(parameters, Options, settings);
        Random random = new(3);
        double[][] values = [.. parameters.Parameters.Select(parameter => Fill(parameter.Master, random))];
        double[] frozen = [.. values[1]];
        Adam[] adam = [.. values.Select(value => new Adam(value.Length, Options))];
        for (int step = 1; step <= 20; step++)
        {
            double rate = 0.02 / step;
            double[][] gradients = [.. parameters.Parameters.Select(parameter => Fill(parameter.Gradient!, random))];
            if (!rightTrains)
                Array.Clear(gradients[1]);
            double norm = Math.Sqrt(gradients.Sum(gradient => gradient.Sum(value => value * value)));
            double clip = Math.Min(1, Options.GradientClip / (norm + 1e-6));
            (Dense left, Dense right) = change(
                Dense.Of(Out, Rank, values[0]),
                Dense.Of(Rank, In, values[1]),
                clip * Dense.Of(Out, Rank, gradients[0]),
                clip * Dense.Of(Rank, In, gradients[1])
            );
            Assert.That(
                optimizer.Step(rate).GradientNorm,
                Is.EqualTo(norm).Within(1e-6 * norm),
                "without what is frozen"
            );
            adam[0].Step(values[0], left.Values, 2 * rate);
            if (rightTrains)
                adam[1].Step(values[1], right.Values, rate);
            adam[2].Step(values[2], [.. gradients[2].Select(g => clip * g)], rate);
            for (int p = 0; p < values.Length; p++)
            {
                Assert.That(
                    parameters.Parameters[p].Master.ToArray(),
                    Is.EqualTo(values[p]).Within(3e-6),
                    $"{parameters.Parameters[p].Name} after step {step}"
                );
            }
        }

        if (!rightTrains)
            Assert.That(r.Master.ToArray(), Is.EqualTo(frozen), "the same bits");
    }

    private static double[] Fill(Tensor tensor, Random random)
    {
        float[] values = [.. Enumerable.Range(0, (int)tensor.Count).Select(_ => (float)(2 * random.NextDouble() - 1))];
        tensor.CopyFrom(values);
        return Array.ConvertAll(values, value => (double)value);
    }

    /// <summary>AdamW in double.</summary>
    private sealed class Adam(int count, AdamWOptions options)
    {
        private readonly double[] _first = new double[count];
        private readonly double[] _second = new double[count];
        private int _step;

        public void Step(double[] values, double[] gradient, double rate)
        {
            _step++;
            for (int i = 0; i < values.Length; i++)
            {
                _first[i] = options.Beta1 * _first[i] + (1 - options.Beta1) * gradient[i];
                _second[i] = options.Beta2 * _second[i] + (1 - options.Beta2) * gradient[i] * gradient[i];
                double mean = _first[i] / (1 - Math.Pow(options.Beta1, _step));
                double square = _second[i] / (1 - Math.Pow(options.Beta2, _step));
                values[i] =
                    values[i] * (1 - rate * options.WeightDecay) - rate * mean / (Math.Sqrt(square) + options.Epsilon);
            }
        }
    }
}
