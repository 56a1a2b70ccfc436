using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

/// <summary>What must not grow with the square of the length, or with rows times the vocabulary.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MemoryTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void FusedAttentionStoresNoScores()
    {
        using ForcedAttention forced = new(Device, AttentionVariant.Fused);
        const int Length = 512;
        const int Size = 8;
        const int Scores = Length * Length * 2;
        RotaryTables rotary = Keep(
            new RotaryTables(Device, TinyModels.Llama with { HeadDimension = Size, MaxPositions = Length })
        );
        (RotaryTable queries, RotaryTable keys) = rotary.For(0, Length);
        AttentionSettings settings = new(1, Length, 1, 1, Size, 0, queries, keys);
        using Variable x = new(Tensor.Zeros(Device, (Length, Size), DType.BF16), new Leaf());
        using Tape tape = new(Device);
        long before = Device.Memory.InUse;
        Device.Memory.ResetPeak();
        using Variable y = AttentionNode.Apply(tape, settings, x, x, x);
        long kept = Device.Memory.InUse - before;
        y.Node!.Accumulate(Tensor.Zeros(Device, y.Value.Shape, DType.BF16));
        tape.Backward();
        Assert.Multiple(() =>
        {
            Assert.That(kept, Is.LessThan(Scores / 8), "bytes kept for backward");
            Assert.That(
                Device.Memory.Peak - before,
                Is.LessThan(Scores / 4),
                "bytes at the peak of forward and backward"
            );
        });
        ((Leaf)x.Node!).TakeGradient()?.Dispose();
    }

    [Test]
    public void LossMemoryDoesNotGrowWithRowsTimesVocabulary([Values(DType.F32, DType.BF16)] DType type)
    {
        const int Vocabulary = 1 << 14;
        const int Size = 4;
        const int Rows = 2048; // several chunks on every device
        ParameterSet weights = Keep(new ParameterSet(Device, [("head", (Vocabulary, Size))], type));
        weights.EnableGradients();
        weights.NotifyChanged();
        long Peak(int rows)
        {
            using Variable hidden = new(Tensor.Zeros(Device, (rows, Size), type), new Leaf());
            using var targets = Tensor.From(Device, new int[rows], rows);
            using var losses = Tensor.Empty(Device, rows);
            using Tape tape = new(Device);
            long before = Device.Memory.InUse;
            Device.Memory.ResetPeak();
            LossHead.Run(tape, hidden, new Linear("head", weights.Parameters[0], null), targets, losses);
            long peak = Device.Memory.Peak - before;
            float[] values = losses.ToArray();
            Assert.That(values.Max(loss => Math.Abs(loss - Math.Log(Vocabulary))), Is.LessThan(1e-4));
            ((Leaf)hidden.Node!).TakeGradient()!.Dispose();
            return peak;
        }
        Assert.That(
            Peak(2 * Rows) - Peak(Rows),
            Is.LessThan(2 * Rows * Size * sizeof(float)),
            "bytes beyond the gradient of the rows"
        );
    }

    private sealed class Leaf : Node
    {
        protected override void Backward(Tensor gradient) { }
    }
}
