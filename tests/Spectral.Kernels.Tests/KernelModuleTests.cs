using System.Runtime.InteropServices;
using System.Text;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>Modules that a program loads itself: from text, memory and files, and the kernels found in them.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class KernelModuleTests(DeviceKind kind) : DeviceTest(kind)
{
    public struct AxpyArgs
    {
        public ulong Y;
        public ulong X;
        public float A;
        public int N;
    }

    public struct SwappedArgs
    {
        public float A;
        public int N;
        public ulong Y;
        public ulong X;
    }

    public struct ShortArgs
    {
        public ulong Y;
        public ulong X;
        public float A;
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    public struct PackedArgs
    {
        public ulong Y;
        public byte Between;
        public ulong X;
        public float A;
        public int N;
    }

    public struct FlagArgs
    {
        public ulong Y;
        public ulong X;
        public float A;
        public bool N;
    }

    [Test]
    public void AStructHasAFieldForEachParameter()
    {
        using var module = KernelModule.Load(Device, SmallPtx.Axpy);
        Kernel<AxpyArgs> axpy = module.GetKernel<AxpyArgs>("axpy");
        Tensor x = Input([1, 2, 3], 3, DType.F32, out _);
        Tensor y = Input([10, 20, 30], 3, DType.F32, out _);
        axpy.Launch(Axpy(x, y), grid: 1, block: 2);
        Assert.That(y.ToArray(), Is.EqualTo(new float[] { 12, 24, 36 }));
    }

    public unsafe struct PointerArgs
    {
        public float* Y;
        public float* X;
        public float A;
        public int N;
    }

    [Test]
    public unsafe void FieldsMayBePointers()
    {
        using var module = KernelModule.Load(Device, SmallPtx.Axpy);
        Tensor x = Input([1, 2, 3], 3, DType.F32, out _);
        Tensor y = Input([10, 20, 30], 3, DType.F32, out _);
        var args = new PointerArgs
        {
            Y = (float*)y.Pointer,
            X = (float*)x.Pointer,
            A = 2,
            N = 3,
        };
        module.GetKernel<PointerArgs>("axpy").Launch(args, 1, 32);
        Assert.That(y.ToArray(), Is.EqualTo(new float[] { 12, 24, 36 }));
    }

    [Test]
    public void AStructIsTheOnlyParameter()
    {
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("built without nvcc: no PTX to load");
        using var module = KernelModule.Load(Device, KernelLibrary.Ptx("sm_80", "elementwise"));
        Tensor x = Input([1, 2, 3], 3, DType.F32, out _);
        var args = new ScaleArgs
        {
            X = x.Pointer,
            Count = 3,
            Factor = 2,
        };
        module.GetKernel<ScaleArgs>("scale_f32").Launch(args, 1, 32);
        Assert.That(x.ToArray(), Is.EqualTo(new float[] { 2, 4, 6 }));
        Assert.That(
            () => module.GetKernel<CastArgs>("add_f32"),
            Throws.ArgumentException.With.Message.EqualTo("kernel add_f32 takes 32 bytes of arguments, CastArgs has 24")
        );
    }

    private static IEnumerable<TestCaseData> WrongStructs()
    {
        yield return Case<SwappedArgs>(
            "24 bytes (A: 4 bytes at 0, N: 4 bytes at 4, Y: 8 bytes at 8, X: 8 bytes at 16)"
        );
        yield return Case<ShortArgs>("24 bytes (Y: 8 bytes at 0, X: 8 bytes at 8, A: 4 bytes at 16)");
        yield return Case<PackedArgs>("25 bytes (Y: 8 bytes at 0, Between: 1 bytes at 8, X: 8 bytes at 9,");
        yield return Case<FlagArgs>("24 bytes (a layout that only the runtime knows");
        yield return Case<(ulong, ulong, float, int)>("24 bytes (a layout that only the runtime knows");
        static TestCaseData Case<TArgs>(string found)
            where TArgs : unmanaged =>
            new TestCaseData(
                (KernelModule module) => (object)module.GetKernel<TArgs>("axpy"),
                $"{typeof(TArgs).Name} has {found}"
            ).SetArgDisplayNames(typeof(TArgs).Name);
    }

    [TestCaseSource(nameof(WrongStructs))]
    public void AnotherLayoutIsRefused(Func<KernelModule, object> find, string found)
    {
        using var module = KernelModule.Load(Device, SmallPtx.Axpy);
        ArgumentException error = Assert.Throws<ArgumentException>(() => find(module))!;
        Assert.That(
            error.Message,
            Does.StartWith(
                "kernel axpy takes 4 parameters, 24 bytes in all "
                    + "(8 bytes at 0, 8 bytes at 8, 4 bytes at 16, 4 bytes at 20); "
                    + found
            )
        );
    }

    [Test]
    public void ArgumentsMayBeKnownOnlyAtRunTime()
    {
        using var module = KernelModule.Load(Device, Encoding.UTF8.GetBytes(SmallPtx.Axpy));
        Kernel axpy = module.GetKernel("axpy");
        KernelParameter[] expected = [new(0, 8), new(8, 8), new(16, 4), new(20, 4)];
        Assert.That(axpy.Parameters, Is.EqualTo(expected));
        Tensor x = Input([1, 2], 2, DType.F32, out _);
        Tensor y = Input([10, 20], 2, DType.F32, out _);
        byte[] arguments = MemoryMarshal.AsBytes([Axpy(x, y)]).ToArray();
        axpy.Launch(arguments, 1, 32);
        Assert.That(y.ToArray(), Is.EqualTo(new float[] { 12, 24 }));
        Assert.That(
            () => axpy.Launch(arguments.AsSpan(4), 1, 32),
            Throws.ArgumentException.With.Message.StartsWith("kernel axpy takes 24 bytes of arguments, found 20")
        );
    }

    [Test]
    public void ALaunchAllocatesNothing()
    {
        using var module = KernelModule.Load(Device, SmallPtx.Axpy);
        Kernel<AxpyArgs> axpy = module.GetKernel<AxpyArgs>("axpy");
        AxpyArgs args = Axpy(Output(3), Output(3));
        axpy.Launch(args, 1, 32);
        long before = GC.GetAllocatedBytesForCurrentThread();
        axpy.Launch(args, 1, 32);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void AKernelMayHaveNoParameters()
    {
        using var module = KernelModule.Load(Device, SmallPtx.Header + ".visible .entry nothing()\n{\nret;\n}\n");
        Kernel nothing = module.GetKernel("nothing");
        Assert.That((nothing.Parameters!.Count, nothing.ArgumentBytes), Is.EqualTo((0, (int?)0)));
        nothing.Launch([], 1, 32);
        Assert.That(
            () => module.GetKernel<int>("nothing"),
            Throws.ArgumentException.With.Message.StartsWith("kernel nothing takes 0 parameters, 0 bytes in all (none)")
        );
        Assert.That(() => module.GetKernel<(int, int)>("nothing"), Throws.ArgumentException);
    }

    [Test]
    public void BlocksHaveThreeDimensions()
    {
        const string Ptx =
            SmallPtx.Header
            + """
                .visible .entry count(.param .u64 to)
                {
                    .reg .b32 %x, %y, %z;
                    .reg .b64 %to;
                    ld.param.u64 %to, [to];
                    cvta.to.global.u64 %to, %to;
                    mov.u32 %x, %ntid.x;
                    mov.u32 %y, %ntid.y;
                    mov.u32 %z, %ntid.z;
                    mad.lo.u32 %y, %y, 100, %x;
                    mad.lo.u32 %z, %z, 10000, %y;
                    st.global.u32 [%to], %z;
                    ret;
                }
                """;
        using var module = KernelModule.Load(Device, Ptx);
        Tensor to = Output(1, DType.I32);
        module.GetKernel<ulong>("count").Launch(to.Pointer, 1, (8, 4, 2));
        Assert.That(to.ToInt32Array(), Is.EqualTo(new[] { 20408 }));
        Assert.That(
            () => module.GetKernel<ulong>("count").Launch(to.Pointer, 1, (32, 32, 2)),
            Throws.ArgumentException.With.Message.StartsWith(
                "kernel count takes at most 1024 threads per block, found 2048"
            )
        );
        Assert.That(
            () => module.GetKernel<ulong>("count").Launch(to.Pointer, 0, (8, 4)),
            Throws.TypeOf<CudaException>().With.Message.Contains("cuLaunchKernel(grid 0×1×1, 8×4×1 threads)")
        );
    }

    // Two objects of one kernel must not take from each other the shared memory that they asked for.
    [Test]
    public void SharedMemoryAbove48KiBIsAllowed()
    {
        const string Ptx =
            SmallPtx.Header
            + """
                .extern .shared .align 16 .b8 dynamic[];
                .visible .entry last(.param .u64 to, .param .u32 at)
                {
                    .reg .b32 %at, %base, %v;
                    .reg .b64 %to;
                    ld.param.u64 %to, [to];
                    cvta.to.global.u64 %to, %to;
                    ld.param.u32 %at, [at];
                    mov.u32 %base, dynamic;
                    add.u32 %at, %at, %base;
                    st.shared.u32 [%at], 7;
                    ld.shared.u32 %v, [%at];
                    st.global.u32 [%to], %v;
                    ret;
                }
                """;
        using var module = KernelModule.Load(Device, Ptx);
        Kernel<LastArgs> first = module.GetKernel<LastArgs>("last");
        Kernel<LastArgs> second = module.GetKernel<LastArgs>("last");
        foreach (
            (Kernel<LastArgs> kernel, int bytes) in new[] { (first, 96 << 10), (second, 64 << 10), (first, 80 << 10) }
        )
        {
            Tensor to = Output(1, DType.I32);
            kernel.Launch(new LastArgs { To = to.Pointer, At = bytes - 4 }, 1, 1, bytes);
            Assert.That(to.ToInt32Array(), Is.EqualTo(new[] { 7 }));
        }
    }

    public struct LastArgs
    {
        public ulong To;
        public int At;
    }

    [Test]
    public void KernelsOfEqualNamesAreOfTheirModule()
    {
        KernelModule[] modules = Enumerable.Range(0, 8).Select(i => Load("same", i)).ToArray();
        foreach ((int i, KernelModule module) in modules.Index().Reverse())
        {
            Assert.That(Stored(module.GetKernel<ulong>("same")), Is.EqualTo(i));
            module.Dispose();
        }
    }

    [Test]
    public void SeveralThreadsLoadAndFindKernels()
    {
        const int Threads = 8;
        const int Kernels = 20;
        using var shared = KernelModule.Load(Device, Many(Kernels));
        var found = new Kernel<ulong>[Threads][];
        var own = new KernelModule[Threads];
        Parallel.For(
            0,
            Threads,
            new ParallelOptions { MaxDegreeOfParallelism = Threads },
            thread =>
            {
                own[thread] = Load("own", thread);
                found[thread] =
                [
                    .. Enumerable.Range(0, Kernels).Select(i => shared.GetKernel<ulong>($"k{i}")),
                    own[thread].GetKernel<ulong>("own"),
                ];
            }
        );
        foreach ((int thread, Kernel<ulong>[] kernels) in found.Index())
        {
            int[] stored = [.. kernels.Select(Stored)];
            Assert.That(stored, Is.EqualTo(Enumerable.Range(0, Kernels).Append(thread)));
            own[thread].Dispose();
        }
    }

    [Test]
    public void AModuleMayBeLarge()
    {
        const int Kernels = 2000;
        using var module = KernelModule.Load(Device, Many(Kernels));
        Assert.That(Stored(module.GetKernel<ulong>($"k{Kernels - 1}")), Is.EqualTo(Kernels - 1));
    }

    [Test]
    public void AKernelOfADisposedModuleIsNotLaunched()
    {
        KernelModule module = Load("k", 1);
        Kernel<ulong> kernel = module.GetKernel<ulong>("k");
        module.Dispose();
        module.Dispose();
        Assert.That(() => kernel.Launch(1, 1, 1), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => module.GetKernel("k"), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => module.Entries, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => module.GetGlobal("v"), Throws.TypeOf<ObjectDisposedException>());
    }

    private KernelModule Load(string entry, int value) =>
        KernelModule.Load(Device, SmallPtx.Header + SmallPtx.Stores(entry, value));

    private static string Many(int kernels) =>
        SmallPtx.Header + string.Concat(Enumerable.Range(0, kernels).Select(i => SmallPtx.Stores($"k{i}", i)));

    private int Stored(Kernel<ulong> kernel)
    {
        Tensor to = Output(1, DType.I32);
        kernel.Launch(to.Pointer, 1, 1);
        return to.ToInt32Array()[0];
    }

    private static AxpyArgs Axpy(Tensor x, Tensor y) =>
        new()
        {
            Y = y.Pointer,
            X = x.Pointer,
            A = 2,
            N = (int)x.Count,
        };
}
