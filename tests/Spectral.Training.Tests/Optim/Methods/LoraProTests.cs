using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LoraProTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Scale = 1.5;
    private const double Damping = 1e-8;
    private const int Out = 9;
    private const int Rank = 3;
    private const int In = 12;

    private static readonly AdamWOptions Options = new()
    {
        Beta2 = 0.99,
        Epsilon = 0.1,
        WeightDecay = 0.1,
        GradientClip = 0,
    };

    [Test]
    public void FollowsItsFormula([Values] bool beginsAtZero)
    {
        Random random = new(4);
        var left = Dense.Of(Out, Rank, (_, _) => beginsAtZero ? 0 : Draw(random));
        var right = Dense.Of(Rank, In, (_, _) => Draw(random));
        using ParameterSet parameters = Pair(left, right);
        using Optimizer optimizer = OptimizerMethods.Find("lora-pro").Create(parameters, Options);
        var first = new Dense(Out, In);
        var second = new Dense(Out, In);
        for (int step = 1; step <= 20; step++)
        {
            var whole = Dense.Of(Out, In, (_, _) => Draw(random));
            double rate = 0.05 / step;
            (Dense ofLeft, Dense ofRight) = (Scale * (whole * right.Transposed), Scale * (left.Transposed * whole));
            Fill(parameters.Parameters[0].Gradient!, ofLeft);
            Fill(parameters.Parameters[1].Gradient!, ofRight);
            (ofLeft, ofRight) = Project(left, right, ofLeft, ofRight);
            Dense equivalent = Scale * (left * ofRight + ofLeft * right);
            (double one, double two) = (1 - Math.Pow(Options.Beta1, step), 1 - Math.Pow(Options.Beta2, step));
            first = Options.Beta1 * first + (1 - Options.Beta1) * equivalent;
            second =
                Options.Beta2 * second
                + (1 - Options.Beta2) * Dense.Of(Out, In, (i, j) => equivalent[i, j] * equivalent[i, j]);
            var quotient = Dense.Of(
                Out,
                In,
                (i, j) => first[i, j] / one / (Math.Sqrt(second[i, j] / two) + Options.Epsilon)
            );
            (ofLeft, ofRight) = Project(
                left,
                right,
                Scale * (quotient * right.Transposed),
                Scale * (left.Transposed * quotient)
            );
            left = (1 - 2 * rate * Options.WeightDecay) * left - 2 * rate * ofLeft;
            right = (1 - rate * Options.WeightDecay) * right - rate * ofRight;
            optimizer.Step(rate);
            Verify(parameters.Parameters[0], left, step);
            Verify(parameters.Parameters[1], right, step);
        }
    }

    /// <summary>With a large ε, AdamW's first quotient is the gradient divided by it.</summary>
    [Test]
    public void TheProductTakesTheNearestStepToThatOfTheWhole()
    {
        const double Epsilon = 1e5;
        Random random = new(6);
        var left = Dense.Of(Out, Rank, (_, _) => Draw(random));
        var right = Dense.Of(Rank, In, (_, _) => Draw(random));
        var whole = Dense.Of(Out, In, (_, _) => Draw(random));
        using ParameterSet parameters = Pair(left, right, ratio: 1);
        AdamWOptions options = Options with { Epsilon = Epsilon, WeightDecay = 0 };
        using Optimizer optimizer = OptimizerMethods.Find("lora-pro").Create(parameters, options);
        Fill(parameters.Parameters[0].Gradient!, Scale * (whole * right.Transposed));
        Fill(parameters.Parameters[1].Gradient!, Scale * (left.Transposed * whole));
        optimizer.Step(Epsilon);
        Dense changeOfLeft = left - Dense.Of(Out, Rank, Doubles(parameters.Parameters[0]));
        Dense changeOfRight = right - Dense.Of(Rank, In, Doubles(parameters.Parameters[1]));
        Dense restOfLeft = Dense.Identity(Out) - left * (left.Transposed * left).Inverse() * left.Transposed;
        Dense restOfRight = Dense.Identity(In) - right.Transposed * (right * right.Transposed).Inverse() * right;
        Dense nearest = whole - restOfLeft * whole * restOfRight;
        Dense taken = Scale * (left * changeOfRight + changeOfLeft * right);
        Assert.That(taken.Values, Is.EqualTo(nearest.Values).Within(2e-4));
        Assert.That(nearest.Values, Is.Not.EqualTo(whole.Values).Within(0.1), "not every step can be taken");
    }

    /// <summary>
    /// What takes the place of the gradients of L and R, with the Sylvester equation as a system of r² unknowns.
    /// </summary>
    private static (Dense Left, Dense Right) Project(Dense left, Dense right, Dense ofLeft, Dense ofRight)
    {
        if (left.Values.All(value => value == 0))
            return (ofLeft, ofRight);
        const double Square = 1 / (Scale * Scale);
        Dense leftGram = left.Transposed * left + Damping * Dense.Identity(Rank);
        Dense rightGram = right * right.Transposed + Damping * Dense.Identity(Rank);
        Dense projected = Square * (leftGram.Inverse() * ofRight);
        Dense side = -1 * (projected * right.Transposed);
        var system = Dense.Of(
            Rank * Rank,
            Rank * Rank,
            (at, of) =>
                (at % Rank == of % Rank ? leftGram[at / Rank, of / Rank] : 0)
                + (at / Rank == of / Rank ? rightGram[of % Rank, at % Rank] : 0)
        );
        var x = Dense.Of(Rank, Rank, (system.Inverse() * Dense.Of(Rank * Rank, 1, side.Values)).Values);
        Dense rest = ofLeft - left * (leftGram.Inverse() * (left.Transposed * ofLeft));
        return (Square * (rest * rightGram.Inverse()) - left * x, projected + x * right);
    }

    private ParameterSet Pair(Dense left, Dense right, double ratio = 2)
    {
        ParameterSet parameters = new(Device, [("l", (Out, Rank)), ("r", (Rank, In))], rates: [ratio, 1]);
        Fill(parameters.Parameters[0].Master, left);
        Fill(parameters.Parameters[1].Master, right);
        parameters.Pairs = [new FactorPair(parameters.Parameters[0], parameters.Parameters[1], Scale)];
        return parameters;
    }

    private static void Verify(Parameter parameter, Dense expected, int step) =>
        Assert.That(
            parameter.Master.ToArray(),
            Is.EqualTo(expected.Values).Within(2e-5),
            $"{parameter.Name} after step {step}"
        );

    private static double[] Doubles(Parameter parameter) =>
        Array.ConvertAll(parameter.Master.ToArray(), value => (double)value);

    private static double Draw(Random random) => (float)(2 * random.NextDouble() - 1);

    private static void Fill(Tensor tensor, Dense values) =>
        tensor.CopyFrom(Array.ConvertAll(values.Values, value => (float)value));
}
