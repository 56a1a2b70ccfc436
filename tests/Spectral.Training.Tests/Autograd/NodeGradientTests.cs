using System.Reflection;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.Autograd;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;
using GeluForm = Spectral.Kernels.Ops.GeluForm;

namespace Spectral.Training.Tests.Autograd;

/// <summary>
/// Each operation's adjoint, the loss being Σ g∘y with fixed random g, against central differences of its own forward
/// pass. Steps are large because the forward pass is F32: 1/64 leaves about four digits, and the shapes keep third
/// derivatives small.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class NodeGradientTests(DeviceKind kind) : TrainingTest(kind)
{
    private const float Step = 1f / 64;

    // Step² times a third derivative of order one, and F32 rounding divided by Step
    private const double Tolerance = 2e-3;

    private readonly Random _random = new(1);

    private static readonly Dictionary<Type, string> Covered = typeof(NodeGradientTests)
        .GetMethods()
        .Select(method => (method, attribute: method.GetCustomAttribute<CoversAttribute>()))
        .Where(pair => pair.attribute is not null)
        .ToDictionary(pair => pair.attribute!.Node, pair => pair.method.Name);

    [Test]
    public void EveryNodeHasAGradientTest() =>
        Assert.That(
            typeof(Node).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(Node)) && type.IsPublic),
            Is.EquivalentTo(Covered.Keys)
        );

    [Test, Covers(typeof(AddNode))]
    public void Addition() => Check([(5, 3), (5, 3)], (tape, x) => AddNode.Apply(tape, x[0], x[1]));

    [Test]
    public void AdditionToItself() => Check([(5, 3)], (tape, x) => AddNode.Apply(tape, x[0], x[0]));

    [Test, Covers(typeof(SwiGluNode))]
    public void SwiGlu() => Check([(7, 5), (7, 5)], (tape, x) => SwiGluNode.Apply(tape, x[0], x[1]));

    [Test, Covers(typeof(GeluNode))]
    public void Gelu([Values] GeluForm form) =>
        Check([(7, 5), (7, 5)], (tape, x) => GeluNode.Apply(tape, form, x[0], x[1]));

    [Test]
    public void GeluWithoutAFactor([Values] GeluForm form) =>
        Check([(7, 5)], (tape, x) => GeluNode.Apply(tape, form, x[0], null));

    [Test]
    public void RowsCutAndJoined() =>
        Check(
            [(4, 6)],
            (tape, x) =>
            {
                using Variable cut = ReshapeNode.Apply(tape, x[0], 2);
                using Variable shares = AddNode.Apply(tape, cut, cut);
                return ReshapeNode.Apply(tape, shares, 6);
            }
        );

    [Test, Covers(typeof(LayerNormNode))]
    public void LayerNorm([Values] bool biased)
    {
        ParameterSet weights = biased ? Weights(("w", 9), ("b", 9)) : Weights(("w", 9));
        Check(
            [(4, 9)],
            (tape, x) =>
            {
                Parameter? bias = biased ? weights.Parameters[1] : null;
                using Variable normed = LayerNormNode.Apply(tape, x[0], weights.Parameters[0], bias, 1e-5f);
                return AddNode.Apply(tape, x[0], normed);
            },
            weights
        );
    }

    [Test]
    public void LayerNormOfHeads([Values] bool apart)
    {
        ParameterSet weights = apart ? Weights(("v", 5), ("w", 5)) : Weights(("w", (2, 5)));
        Check(
            [(6, 5)],
            (tape, x) =>
            {
                using Variable normed = LayerNormNode.Apply(tape, x[0], [.. weights.Parameters], null, 1e-5f, 5);
                return AddNode.Apply(tape, x[0], normed);
            },
            weights
        );
    }

    [Test]
    public void RmsNormAroundOne()
    {
        ParameterSet weights = Weights(("w", 9));
        Check([(4, 9)], (tape, x) => RmsNormNode.Apply(tape, x[0], weights.Parameters[0], 1e-5f, 1), weights);
    }

    [Test, Covers(typeof(RmsNormNode))]
    public void RmsNorm()
    {
        ParameterSet weights = Weights(("w", 9));
        Check([(4, 9)], (tape, x) => RmsNormNode.Apply(tape, x[0], weights.Parameters[0], 1e-5f), weights);
    }

    [Test]
    public void RmsNormBesideAResidual()
    {
        ParameterSet weights = Weights(("w", 9));
        Check(
            [(4, 9)],
            (tape, x) =>
            {
                using Variable normed = RmsNormNode.Apply(tape, x[0], weights.Parameters[0], 1e-5f);
                return AddNode.Apply(tape, x[0], normed);
            },
            weights
        );
    }

    [Test, Covers(typeof(GatherRowsNode))]
    public void GatherRows()
    {
        Tensor index = Keep(Tensor.From(Device, [4, 0, 3], 3));
        Check([(6, 5)], (tape, x) => GatherRowsNode.Apply(tape, x[0], index));
    }

    /// <summary>The leading rows are columns 5 to 7 of a wider matrix, whose other columns get no gradient.</summary>
    [Test]
    public void RowsBeforeEverySequence()
    {
        const int Batch = 3;
        Check(
            [(4, 9), (Batch * 5, 3)],
            (tape, x) => PrependNode.Apply(tape, new(x[0].Value, 5, 3), x[0].Node, x[1], Batch)
        );
    }

    [Test]
    public void ZerosBeforeEverySequence() =>
        Check([(3 * 5, 3)], (tape, x) => PrependNode.ApplyZeros(tape, 2, x[0], 3));

    [Test]
    public void SequencesWithoutTheirLeadingRows() =>
        Check([(3 * 7, 5)], (tape, x) => DropLeadingNode.Apply(tape, x[0], 2, 3));

    [Test, Covers(typeof(EmbeddingNode))]
    public void Embedding()
    {
        ParameterSet weights = Weights(("table", (6, 5)));
        int[] tokens = [3, 1, 3, 0, 3, 5, 1];
        Tensor onDevice = Keep(Tensor.From(Device, tokens, tokens.Length));
        TokenOrder order = Keep(new TokenOrder(Device, tokens));
        Check([], (tape, _) => EmbeddingNode.Apply(tape, weights.Parameters[0], onDevice, order), weights);
    }

    [Test, Covers(typeof(LinearNode))]
    public void Linear()
    {
        ParameterSet weights = Weights(("w", (4, 6)), ("b", 4));
        Linear layer = new("layer", weights.Parameters[0], weights.Parameters[1]);
        Check([(5, 6)], (tape, x) => LinearNode.Apply(tape, x[0], layer), weights);
    }

    [Test]
    public void LayersOfOneInputAddIntoOneGradient([Values] bool grouped)
    {
        ParameterSet weights = Weights(("a", (5, 6)), ("b", (5, 6)));
        Linear[] layers = [.. weights.Parameters.Select(weight => new Linear(weight.Name, weight, null))];
        SiblingLinears? siblings = grouped ? new(layers) : null;
        Check(
            [(3, 6)],
            (tape, x) =>
            {
                Variable[] y = siblings is null
                    ? [LinearNode.Apply(tape, x[0], layers[0]), LinearNode.Apply(tape, x[0], layers[1])]
                    : LinearNode.Apply(tape, x[0], siblings);
                using Variable a = y[0];
                using Variable b = y[1];
                return AddNode.Apply(tape, a, b);
            },
            weights
        );
    }

    [Test]
    public void AnOutputThatNothingReadsIsLeftOut()
    {
        ParameterSet weights = Weights(("a", (5, 6)), ("b", (5, 6)));
        SiblingLinears siblings = new([.. weights.Parameters.Select(weight => new Linear(weight.Name, weight, null))]);
        Check(
            [(3, 6)],
            (tape, x) =>
            {
                Variable[] y = LinearNode.Apply(tape, x[0], siblings);
                y[0].Dispose();
                return y[1];
            },
            weights
        );
    }

    [Test, Covers(typeof(AttentionNode))]
    public void Attention([Values(0, 2)] int window, [Values(0, 0.3f)] float softCap)
    {
        (int batch, int length, int heads, int groups, int size) = (2, 5, 4, 2, 4);
        RotaryTables rotary = Keep(new RotaryTables(Device, TinyModels.Llama));
        (RotaryTable queries, RotaryTable keys) = rotary.For(0, length);
        AttentionSettings settings = new(batch, length, heads, groups, size, window, queries, keys)
        {
            SoftCap = softCap,
        };
        Check(
            [(batch * length, heads * size), (batch * length, groups * size), (batch * length, groups * size)],
            (tape, x) => AttentionNode.Apply(tape, settings, x[0], x[1], x[2])
        );
    }

    /// <summary>Of six features of a head four turn, as two pairs.</summary>
    [Test]
    public void AttentionOfHeadsThatTurnInPart([Values] bool interleaved)
    {
        (int batch, int length, int heads, int groups, int size) = (2, 5, 4, 2, 6);
        RotaryTables rotary = Keep(new RotaryTables(Device, TinyModels.Llama));
        (RotaryTable queries, RotaryTable keys) = rotary.For(0, length);
        AttentionSettings settings = new(
            batch,
            length,
            heads,
            groups,
            size,
            0,
            queries with
            {
                Interleaved = interleaved,
                Rest = 0.5f,
            },
            keys with
            {
                Interleaved = interleaved,
            }
        );
        Check(
            [(batch * length, heads * size), (batch * length, groups * size), (batch * length, groups * size)],
            (tape, x) => AttentionNode.Apply(tape, settings, x[0], x[1], x[2])
        );
    }

    /// <summary>Queries, keys and values are columns of one matrix, and their gradients are as well.</summary>
    [Test]
    public void AttentionOfColumnsOfOneMatrix()
    {
        (int batch, int length, int heads, int groups, int size) = (2, 5, 4, 2, 4);
        RotaryTables rotary = Keep(new RotaryTables(Device, TinyModels.Llama));
        (RotaryTable queries, RotaryTable keys) = rotary.For(0, length);
        AttentionSettings settings = new(batch, length, heads, groups, size, 0, queries, keys);
        Check(
            [(batch * length, (heads + 2 * groups) * size)],
            (tape, x) =>
            {
                Variable[] parts = SplitNode.Apply(tape, x[0], [heads * size, groups * size, groups * size]);
                using Variable q = parts[0];
                using Variable k = parts[1];
                using Variable v = parts[2];
                return AttentionNode.Apply(tape, settings, q, k, v);
            }
        );
    }

    /// <summary>The gate's gradient is written where it belongs, that of a sum comes as a tensor of its own.</summary>
    [Test]
    public void ColumnsOfOneMatrix() =>
        Check(
            [(7, 15), (7, 5)],
            (tape, x) =>
            {
                Variable[] parts = SplitNode.Apply(tape, x[0], [5, 5, 5]);
                using Variable gate = parts[0];
                using Variable up = parts[2];
                parts[1].Dispose(); // nothing reads it
                using Variable first = SwiGluNode.Apply(tape, gate, up);
                using Variable second = SwiGluNode.Apply(tape, x[1], up);
                return AddNode.Apply(tape, first, second);
            }
        );

    [Test]
    public void ColumnsOfTheOutputOfALayer()
    {
        ParameterSet weights = Weights(("w", (8, 6)), ("b", 8));
        Linear layer = new("layer", weights.Parameters[0], weights.Parameters[1]);
        Check(
            [(5, 6)],
            (tape, x) =>
            {
                using Variable y = LinearNode.Apply(tape, x[0], layer);
                Variable[] parts = SplitNode.Apply(tape, y, [4, 4]);
                using Variable gate = parts[0];
                using Variable up = parts[1];
                return SwiGluNode.Apply(tape, gate, up);
            },
            weights
        );
    }

    [Test]
    public void ColumnsThatDoNotAddUpAreRefused()
    {
        using Tape tape = new(Device, records: false);
        using Variable x = new(Tensor.Zeros(Device, (2, 7)));
        Assert.That(
            () => SplitNode.Apply(tape, x, [4, 4]),
            Throws.ArgumentException.With.Message.StartsWith("widths 4, 4 of a matrix of 7 columns, expected")
        );
    }

    [Test, Covers(typeof(CheckpointNode))]
    public void Checkpoint()
    {
        ParameterSet weights = Weights(("w", (6, 6)));
        Linear layer = new("layer", weights.Parameters[0], null);
        Check(
            [(5, 6)],
            (tape, x) =>
                CheckpointNode.Apply(
                    tape,
                    x[0],
                    needsBackward: true,
                    (inner, value) =>
                    {
                        using Variable y = LinearNode.Apply(inner, value, layer);
                        return SwiGluNode.Apply(inner, y, value);
                    }
                ),
            weights
        );
    }

    [Test]
    public void AMissingAdjointIsNamed()
    {
        using Tape tape = new(Device);
        using Variable x = new(Tensor.Zeros(Device, 3), tape.Record(new HalfFinishedNode()));
        x.Node!.Accumulate(Tensor.Zeros(Device, 3));
        Assert.That(
            () => tape.Backward(),
            Throws.TypeOf<NotSupportedException>().With.Message.Contains("'HalfFinished'")
        );
    }

    [Test]
    public void NothingIsRecordedOrSavedWhereNothingTrains()
    {
        using ParameterSet weights = new(Device, [("w", (4, 6))]);
        using Tape tape = new(Device);
        using Variable x = new(Tensor.Zeros(Device, (5, 6)));
        using Variable y = LinearNode.Apply(tape, x, new Linear("layer", weights.Parameters[0], null));
        using Variable z = SwiGluNode.Apply(tape, y, y);
        Assert.Multiple(() =>
        {
            Assert.That(tape.Count, Is.Zero);
            Assert.That(z.Node, Is.Null);
            Assert.That(weights.Gradients, Is.Empty);
        });
    }

    private void Check(Shape[] inputs, Func<Tape, Variable[], Variable> operation, ParameterSet? weights = null)
    {
        float[][] values = [.. inputs.Select(shape => Normal(shape.Count))];
        float[] direction;
        float[]?[] gradients;
        using (Tape tape = new(Device))
        {
            Variable[] x =
            [
                .. inputs.Select(
                    (shape, i) => new Variable(Tensor.From(Device, values[i], shape), tape.Record(new LeafNode()))
                ),
            ];
            using Variable y = operation(tape, x);
            direction = Normal(y.Value.Count);
            y.Node!.Accumulate(Tensor.From(Device, direction, y.Value.Shape));
            // Leaves come first on the tape: stop before them, their gradients are what is asked for.
            gradients = new float[x.Length][];
            tape.Backward(x.Length);
            for (int i = 0; i < x.Length; i++)
            {
                using Tensor gradient = x[i].Node!.TakeGradient()!;
                gradients[i] = gradient.ToArray();
                x[i].Dispose();
            }
        }
        for (int i = 0; i < inputs.Length; i++)
        {
            VerifyGradient(
                gradients[i]!,
                CentralDifferences.Of(values[i], Step, () => Evaluate(inputs, values, operation, direction)),
                Tolerance,
                $"input {i}"
            );
        }

        foreach (Parameter parameter in weights?.Parameters ?? [])
        {
            float[] host = parameter.Master.ToArray();
            double[] expected = CentralDifferences.Of(
                host,
                Step,
                () =>
                {
                    parameter.Master.CopyFrom(host);
                    return Evaluate(inputs, values, operation, direction);
                }
            );
            parameter.Master.CopyFrom(host);
            VerifyGradient(parameter.Gradient!.ToArray(), expected, Tolerance, parameter.Name);
        }
    }

    private double Evaluate(
        Shape[] inputs,
        float[][] values,
        Func<Tape, Variable[], Variable> operation,
        float[] direction
    )
    {
        using Tape tape = new(Device, records: false);
        Variable[] x = [.. inputs.Select((shape, i) => new Variable(Tensor.From(Device, values[i], shape)))];
        using Variable y = operation(tape, x);
        foreach (Variable variable in x)
            variable.Dispose();
        return y.Value.ToArray().Select((value, i) => (double)value * direction[i]).Sum();
    }

    private ParameterSet Weights(params (string, Shape)[] shapes)
    {
        ParameterSet set = Keep(new ParameterSet(Device, shapes));
        set.EnableGradients();
        foreach (Parameter parameter in set.Parameters)
            parameter.Master.CopyFrom(Normal(parameter.Master.Count));
        return set;
    }

    private float[] Normal(long count) => [.. Enumerable.Range(0, (int)count).Select(_ => (float)_random.NextNormal())];

    private sealed class HalfFinishedNode : Node;

    [AttributeUsage(AttributeTargets.Method)]
    private sealed class CoversAttribute(Type node) : Attribute
    {
        public Type Node { get; } = node;
    }
}
