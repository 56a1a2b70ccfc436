using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GraphTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void AReplaySeesNewInputsAndKeepsItsArguments()
    {
        Tensor x = Input((3, 4), DType.F32, out _);
        Tensor w = Input((5, 4), DType.F32, out double[] weight);
        Tensor y = Output((3, 5));
        Gemm.Run(x, Gemm.Transposed(w), y); // libraries and kernels set up
        float alpha = 2;
        using var graph = Graph.Capture(
            Device,
            () =>
            {
                using var product = Tensor.Empty(Device, (3, 5));
                Gemm.Run(x, Gemm.Transposed(w), product, alpha);
                Add.Forward(product, product, y);
            }
        );
        alpha = 50;
        Assert.That(graph.Nodes, Is.GreaterThanOrEqualTo(2));
        for (int round = 0; round < 3; round++)
        {
            float[] values = [.. Enumerable.Range(0, 12).Select(_ => (float)Rng.Next(-9, 9))];
            x.CopyFrom(values);
            graph.Launch();
            double[] expected =
            [
                .. Enumerable
                    .Range(0, 15)
                    .Select(i => 4 * Enumerable.Range(0, 4).Sum(k => values[i / 5 * 4 + k] * weight[i % 5 * 4 + k])),
            ];
            Verify(y, expected, [.. expected.Select(value => Math.Abs(value) + 100)], 4);
        }
    }

    [Test]
    public void NothingRunsWhileRecording()
    {
        Tensor x = Input([1f, 2], 2, DType.F32, out _);
        using var graph = Graph.Capture(Device, x.Clear);
        Assert.That(x.ToArray(), Is.EqualTo(new[] { 1f, 2 }));
        graph.Launch();
        Assert.That(x.ToArray(), Is.All.Zero);
    }

    [Test]
    public void MemoryOfAGraphIsGivenToNobodyElseWhileItLives()
    {
        long before = Device.Memory.InUse + Device.Memory.Cached;
        ulong inside = 0;
        Tensor result = Output(1000);
        var graph = Graph.Capture(
            Device,
            () =>
            {
                using var scratch = Tensor.Zeros(Device, 1000);
                inside = scratch.Pointer;
                result.CopyFrom(scratch);
            }
        );
        Tensor[] others = [.. Enumerable.Range(0, 20).Select(_ => Keep(Tensor.Empty(Device, 1000)))];
        Assert.That(others.Select(tensor => tensor.Pointer), Does.Not.Contain(inside));
        graph.Launch();
        Assert.That(result.ToArray(), Is.All.Zero);
        long reserved = Device.Memory.Cached;
        graph.Dispose();
        graph.Dispose();
        Assert.That(Device.Memory.Cached, Is.LessThan(reserved), "its memory is given back");
        Assert.That(graph.Launch, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void ATensorMadeInACaptureMayOutliveTheGraph()
    {
        Tensor? made = null;
        var graph = Graph.Capture(Device, () => made = Tensor.Zeros(Device, 7));
        graph.Launch();
        graph.Dispose();
        Assert.That(made!.ToArray(), Is.All.Zero);
        made.Dispose();
    }

    [Test]
    public void CopiesFromAndToTheHostAreRefusedByName()
    {
        Tensor x = Input(4, DType.F32, out double[] values);
        Assert.That(
            () => Graph.Capture(Device, () => x.CopyFrom(new float[4])),
            Throws.InvalidOperationException.With.Message.Contains("16 bytes from the host while a graph is captured")
        );
        Assert.That(
            () => Graph.Capture(Device, () => x.ToArray()),
            Throws.InvalidOperationException.With.Message.Contains("16 bytes to the host while a graph is captured")
        );
        Assert.That(
            () => Graph.Capture(Device, () => Graph.Capture(Device, () => { })),
            Throws.InvalidOperationException.With.Message.Contains("already")
        );
        Verify(x, values);
    }

    [Test]
    public void WaitingWhileCapturingGivesTheDriversOwnError()
    {
        Assert.That(
            () => Graph.Capture(Device, Device.Synchronize),
            Throws.TypeOf<CudaException>().With.Property("StatusName").EqualTo("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")
        );
        Tensor x = Input([3f], 1, DType.F32, out _);
        Assert.That(Device.IsCapturing, Is.False);
        Assert.That(x.ToArray(), Is.EqualTo(new[] { 3f }), "the device goes on");
    }

    [Test]
    public void ALaunchOfAGraphAllocatesNothing()
    {
        Tensor x = Output(100);
        using var graph = Graph.Capture(
            Device,
            () =>
            {
                for (int i = 0; i < 10; i++)
                    x.Clear();
            }
        );
        graph.Launch();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
            graph.Launch();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }
}
