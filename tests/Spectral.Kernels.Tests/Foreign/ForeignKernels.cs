using ILGPU;
using ILGPU.Runtime;

namespace Spectral.Kernels.Tests.Foreign;

/// <summary>Kernels in C#, which ILGPU compiles to PTX when they are loaded.</summary>
internal static class ForeignKernels
{
    public const int ThreadsPerGroup = 128;

    public static void Axpy(Index1D i, ArrayView<float> x, ArrayView<float> y, float a) => y[i] += a * x[i];

    /// <summary>Adds all of x to the sum by shared memory and barriers, then shuffles and an atomic addition.</summary>
    public static void Sum(ArrayView<int> x, ArrayView<int> sum)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(ThreadsPerGroup);
        int i = ILGPU.Grid.GlobalIndex.X;
        shared[Group.IdxX] = i < x.IntLength ? x[i] : 0;
        Group.Barrier();
        for (int half = ThreadsPerGroup / 2; half >= Warp.WarpSize; half /= 2)
        {
            if (Group.IdxX < half)
                shared[Group.IdxX] += shared[Group.IdxX + half];
            Group.Barrier();
        }
        if (Group.IdxX >= Warp.WarpSize)
            return;
        int value = shared[Group.IdxX];
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
            value += Warp.ShuffleDown(value, distance);
        if (Warp.LaneIdx == 0)
            Atomic.Add(ref sum[0], value);
    }

    /// <summary>c = a b, one element for each thread.</summary>
    public static void Multiply(
        Index2D at,
        ArrayView2D<double, Stride2D.DenseX> a,
        ArrayView2D<double, Stride2D.DenseX> b,
        ArrayView2D<double, Stride2D.DenseX> c
    )
    {
        double sum = 0;
        for (int k = 0; k < a.IntExtent.Y; k++)
            sum += a[at.X, k] * b[k, at.Y];
        c[at] = sum;
    }

    /// <summary>Steps of the Collatz sequence: each thread of a warp leaves the loop at its own time.</summary>
    public static void CountSteps(Index1D i, ArrayView<int> steps)
    {
        long n = i + 1;
        int count = 0;
        while (n != 1)
        {
            n = n % 2 == 0 ? n / 2 : 3 * n + 1;
            count++;
        }
        steps[i] = count;
    }
}
