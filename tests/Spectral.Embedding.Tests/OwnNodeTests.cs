using Spectral.Kernels;
using Spectral.Training.Autograd;

namespace Spectral.Embedding.Tests;

/// <summary>A differentiable operation is written outside the library, against its public surface alone.</summary>
public sealed class OwnNodeTests
{
    [Test]
    public void ItsGradientIsTheSlopeOfItsValue()
    {
        using var device = Device.Cpu();
        float[] values = [-2, -0.5f, 0, 0.3f, 1, 4];
        float[] weights = [1, -2, 3, 0.5f, -1, 2];
        using Tape tape = new(device);
        Leaf leaf = tape.Record(new Leaf());
        using Variable x = new(Filled(device, values), leaf);
        using Variable y = TanhNode.Apply(tape, x);
        y.Node!.Accumulate(Filled(device, weights));
        tape.Backward(until: 1);
        using Tensor gradient = leaf.TakeGradient()!;
        double[] expected =
        [
            .. values.Zip(
                weights,
                (value, weight) => weight * (Math.Tanh(value + 1e-5) - Math.Tanh(value - 1e-5)) / 2e-5
            ),
        ];
        Assert.That(gradient.ToArray(), Is.EqualTo(expected).Within(1e-5));
        Assert.That(y.Value.ToArray(), Is.EqualTo(values.Select(value => Math.Tanh(value))).Within(1e-6));
    }

    [Test]
    public void NothingIsRecordedForAConstant()
    {
        using var device = Device.Cpu();
        using Tape tape = new(device);
        using Variable x = new(Filled(device, [1, 2]));
        using Variable y = TanhNode.Apply(tape, x);
        Assert.That((y.Node, tape.Count), Is.EqualTo(((Node?)null, 0)));
    }

    private static Tensor Filled(Device device, float[] values)
    {
        var tensor = Tensor.Empty(device, (2, values.Length / 2));
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>Keeps the gradient of an input.</summary>
    private sealed class Leaf : Node;

    /// <summary>y = tanh x, computed on the host.</summary>
    private sealed class TanhNode : Node
    {
        private readonly Node _input;
        private readonly Tensor _y;

        private TanhNode(Node input, Tensor y) => (_input, _y) = (input, Save(y));

        public static Variable Apply(Tape tape, Variable x)
        {
            Tensor y = Map(x.Value, MathF.Tanh);
            bool records = tape.Records && x.Node is not null;
            return new Variable(y, records ? tape.Record(new TanhNode(x.Node!, y)) : null);
        }

        protected override void Backward(Tensor gradient)
        {
            float[] slopes = gradient.ToArray();
            Tensor dx = Map(_y, y => 1 - y * y);
            dx.CopyFrom([.. dx.ToArray().Select((slope, i) => slope * slopes[i])]);
            Deposit(_input, dx);
        }

        private static Tensor Map(Tensor x, Func<float, float> function)
        {
            var y = Tensor.Empty(x.Device, x.Shape);
            y.CopyFrom(Array.ConvertAll(x.ToArray(), value => function(value)));
            return y;
        }
    }
}
