using Spectral.Kernels;

public struct TransposeArgs // a field for each parameter of the kernel, in order
{
    public ulong Y;
    public ulong X;
    public int Rows;
    public int Columns;
}

public static class OwnKernel
{
    public static float[] Transpose(Device device, string file, float[] values, int rows, int columns)
    {
        using var module = KernelModule.LoadFile(device, file);
        Kernel<TransposeArgs> transpose = module.GetKernel<TransposeArgs>("transpose");
        using var x = Tensor.From(device, values, (rows, columns));
        using var y = Tensor.Empty(device, (columns, rows));
        var args = new TransposeArgs
        {
            Y = y.Pointer,
            X = x.Pointer,
            Rows = rows,
            Columns = columns,
        };
        transpose.Launch(args, grid: ((columns + 31) / 32, (rows + 31) / 32), block: (32, 32));
        return y.ToArray(); // waits for the kernel
    }
}

public sealed class TransposeTests
{
    [TestCase(1, 1)]
    [TestCase(32, 32)]
    [TestCase(33, 70)]
    public void EveryElementIsMoved(int rows, int columns)
    {
        using var device = Device.Cpu();
        string file = Path.Combine(TestContext.CurrentContext.TestDirectory, "transpose.ptx");
        float[] x = [.. Enumerable.Range(0, rows * columns).Select(i => (float)i)];
        float[] y = OwnKernel.Transpose(device, file, x, rows, columns);
        for (int i = 0; i < x.Length; i++)
            Assert.That(y[i % columns * rows + i / columns], Is.EqualTo(x[i]));
    }
}
