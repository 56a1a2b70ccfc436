using System.Runtime.Loader;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels.Tests.Foreign;

/// <summary>
/// Another project's code generator and loader on the CPU device: ILGPU compiles C# to PTX, and loads and launches it
/// by the driver that it finds, which is the CPU device where there is no GPU.
/// </summary>
public sealed class ForeignPtxTests
{
    private Context _context = null!;
    private CudaAccelerator _accelerator = null!;

    [OneTimeSetUp]
    public void Open()
    {
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) =>
            name == "cuda" ? NativeLibraries.Load("the CUDA driver", DriverName()) : 0;
        _context = Context.Create(builder => builder.Cuda());
        _accelerator = _context.CreateCudaAccelerator(0);
    }

    [OneTimeTearDown]
    public void Close()
    {
        _accelerator.Dispose();
        _context.Dispose();
    }

    [Test]
    public void ItsKernelOfAVectorsElementsRuns([Values(1, 31, 32, 1000)] int count)
    {
        using MemoryBuffer1D<float, Stride1D.Dense> x = _accelerator.Allocate1D(Numbers(count, i => i));
        using MemoryBuffer1D<float, Stride1D.Dense> y = _accelerator.Allocate1D(Numbers(count, i => 2 * i + 1));
        Action<Index1D, ArrayView<float>, ArrayView<float>, float> axpy = _accelerator.LoadAutoGroupedStreamKernel<
            Index1D,
            ArrayView<float>,
            ArrayView<float>,
            float
        >(ForeignKernels.Axpy);
        axpy(count, x.View, y.View, 3);
        _accelerator.Synchronize();
        Assert.That(y.GetAsArray1D(), Is.EqualTo(Numbers(count, i => 5 * i + 1)));
    }

    [Test]
    public void ItsKernelWithSharedMemoryBarriersShufflesAndAtomicsRuns()
    {
        const int Count = 1000;
        const int Groups = 8;
        int[] numbers = [.. Enumerable.Range(0, Count)];
        using MemoryBuffer1D<int, Stride1D.Dense> x = _accelerator.Allocate1D(numbers);
        using MemoryBuffer1D<int, Stride1D.Dense> sum = _accelerator.Allocate1D<int>(1);
        sum.MemSetToZero();
        Action<KernelConfig, ArrayView<int>, ArrayView<int>> add = _accelerator.LoadStreamKernel<
            ArrayView<int>,
            ArrayView<int>
        >(ForeignKernels.Sum);
        add((Groups, ForeignKernels.ThreadsPerGroup), x.View, sum.View);
        _accelerator.Synchronize();
        Assert.That(sum.GetAsArray1D(), Is.EqualTo(new[] { numbers.Sum() }));
    }

    [Test]
    public void ItsKernelOfTwoDimensionsRuns()
    {
        const int Rows = 21;
        const int Depth = 13;
        const int Columns = 17;
        double[,] a = Matrix(Rows, Depth, (i, k) => i - 2 * k);
        double[,] b = Matrix(Depth, Columns, (k, j) => 3 * k + j);
        using MemoryBuffer2D<double, Stride2D.DenseX> onA = _accelerator.Allocate2DDenseX(a);
        using MemoryBuffer2D<double, Stride2D.DenseX> onB = _accelerator.Allocate2DDenseX(b);
        using MemoryBuffer2D<double, Stride2D.DenseX> onC = _accelerator.Allocate2DDenseX<double>((Rows, Columns));
        Action<
            Index2D,
            ArrayView2D<double, Stride2D.DenseX>,
            ArrayView2D<double, Stride2D.DenseX>,
            ArrayView2D<double, Stride2D.DenseX>
        > multiply = _accelerator.LoadAutoGroupedStreamKernel<
            Index2D,
            ArrayView2D<double, Stride2D.DenseX>,
            ArrayView2D<double, Stride2D.DenseX>,
            ArrayView2D<double, Stride2D.DenseX>
        >(ForeignKernels.Multiply);
        multiply((Rows, Columns), onA.View, onB.View, onC.View);
        _accelerator.Synchronize();
        double[,] wanted = Matrix(
            Rows,
            Columns,
            (i, j) => Enumerable.Range(0, Depth).Sum(k => (i - 2.0 * k) * (3 * k + j))
        );
        Assert.That(onC.GetAsArray2D(), Is.EqualTo(wanted));
    }

    [Test]
    public void ItsKernelWhoseThreadsPartRuns()
    {
        const int Count = 500;
        using MemoryBuffer1D<int, Stride1D.Dense> steps = _accelerator.Allocate1D<int>(Count);
        Action<Index1D, ArrayView<int>> count = _accelerator.LoadAutoGroupedStreamKernel<Index1D, ArrayView<int>>(
            ForeignKernels.CountSteps
        );
        count(Count, steps.View);
        _accelerator.Synchronize();
        Assert.That(steps.GetAsArray1D(), Is.EqualTo(Enumerable.Range(1, Count).Select(StepsFrom)));
    }

    private static string DriverName() =>
        Spectral.Kernels.Device.CudaCount(out _) > 0 ? "libcuda.so.1" : "libspectral_cpu.so";

    private static float[] Numbers(int count, Func<int, float> number) =>
        [.. Enumerable.Range(0, count).Select(number)];

    private static double[,] Matrix(int rows, int columns, Func<int, int, double> element)
    {
        double[,] matrix = new double[rows, columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                matrix[i, j] = element(i, j);
        }
        return matrix;
    }

    private static int StepsFrom(int n)
    {
        int count = 0;
        for (long at = n; at != 1; count++)
            at = at % 2 == 0 ? at / 2 : 3 * at + 1;
        return count;
    }
}
