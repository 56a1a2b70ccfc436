using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>What cuBLAS and cuSOLVER are told and given, as the CPU device's libraries keep it.</summary>
public sealed unsafe class BlasTests() : DeviceTest(DeviceKind.Cpu)
{
    private const int DisallowReducedPrecisionReduction = 16; // of cublasMath_t, by NVIDIA's documentation

    /// <summary>Partial sums stay F32, as Gemm promises, also where the result is BF16.</summary>
    [Test]
    public void ReductionsInTheTypeOfTheResultAreForbidden()
    {
        var getMathMode = (delegate* unmanaged<nint, int*, int>)Function("cublasGetMathMode");
        int mode;
        Assert.That(getMathMode(Device.Blas.Handle, &mode), Is.Zero);
        Assert.That(mode, Is.EqualTo(DisallowReducedPrecisionReduction));
    }

    /// <summary>A stream that is chosen takes the workspace away; a product finds one of its own again.</summary>
    [Test]
    public void EveryStreamHasAWorkspaceOfItsOwnFromThePool()
    {
        Multiply();
        long before = Held;
        using (var stream = DeviceStream.Create(Device))
        {
            using (Device.Use(stream))
            {
                Multiply();
                Assert.That(Workspace(), Is.GreaterThan(0), "after a change of the stream");
                Assert.That(Held, Is.EqualTo(before + Workspace()), "counted by the pool");
                Multiply();
                Assert.That(Held, Is.EqualTo(before + Workspace()), "one for each stream");
            }
            Multiply();
            Assert.That(Workspace(), Is.GreaterThan(0), "back on the stream before");
            stream.Synchronize();
        }
        Assert.That(Held, Is.EqualTo(before), "freed with the stream");
    }

    /// <summary>A graph keeps its workspace as long as it lives.</summary>
    [Test]
    public void AGraphHasAWorkspaceUntilItIsDisposed()
    {
        Multiply();
        long before = Held;
        Tensor x = Input([1f, 2], (1, 2), DType.F32, out _);
        Tensor y = Output((1, 1));
        long own = Held - before;
        using (var graph = Graph.Capture(Device, () => Gemm.Run(x, Gemm.Transposed(x), y)))
        {
            Assert.That(Held, Is.EqualTo(before + own + Workspace()));
            Assert.That(Workspace(), Is.GreaterThan(0));
            graph.Launch();
            Assert.That(y.ToArray(), Is.EqualTo([5f]));
        }
        Assert.That(Held, Is.EqualTo(before + own));
        Multiply();
        Assert.That(Workspace(), Is.GreaterThan(0));
    }

    /// <summary>The host memory of an inverse outlives the call, and goes when the next one has waited.</summary>
    [Test]
    public void HostMemoryOfTheSolverOutlivesTheCall()
    {
        using var device = Device.Cpu(); // no inverse so far
        using var info = Tensor.Zeros(device, 1, DType.I32);
        using var gram = Tensor.Empty(device, (1, 1), DType.F64);
        int before = Pinned();
        for (int call = 0; call < 3; call++)
        {
            gram.CopyFrom(MemoryMarshal.AsBytes([4d]));
            device.Solver.CholeskyInverse(gram, info.Pointer);
            Assert.That(Pinned(), Is.EqualTo(before + 1), "pinned after a call");
        }
        Assert.That(gram.ToDoubleArray(), Is.EqualTo([0.5]));
        device.Solver.Dispose();
        Assert.That(Pinned(), Is.EqualTo(before));
    }

    [TestCase(13, new[] { "libcublas.so.13", "libcublas.so.12" })]
    [TestCase(14, new[] { "libcublas.so.13", "libcublas.so.12" })]
    [TestCase(12, new[] { "libcublas.so.12" })]
    [TestCase(11, new string[0])]
    public void ADriverIsGivenTheLibrariesThatItRuns(int driver, string[] files) =>
        Assert.That(LibraryVersion.Files("cublas", (driver, 4), [new(13, 13), new(12, 12)], false), Is.EqualTo(files));

    [Test]
    public void TheSolverIsNumberedOtherwiseThanCuda()
    {
        LibraryVersion[] versions = [new(12, 13), new(11, 12)];
        Assert.That(
            LibraryVersion.Files("cusolver", (12, 8), versions, false),
            Is.EqualTo(["libcusolver.so.11"]),
            "cuSOLVER 12 is of CUDA 13"
        );
        Assert.That(
            LibraryVersion.Files("cusolver", (13, 0), versions, true),
            Is.EqualTo(["cusolver64_12.dll", "cusolver64_11.dll"])
        );
    }

    /// <summary>Names of files, the handle each loads as (0: not there) and the status of its start.</summary>
    [TestCase("a:1:0 b:2:0", 1, 0, TestName = "the first")]
    [TestCase("a:0:0 b:2:0", 2, 0, TestName = "the first that is there")]
    [TestCase("a:1:3 b:2:0", 2, 0, TestName = "the first that starts")]
    [TestCase("a:0:0 b:2:3 c:3:8", 2, 3, TestName = "of failures the first")]
    [TestCase("a:0:0 b:0:0", 0, 0, TestName = "none")]
    public void TheFirstLibraryThatStartsIsTaken(string libraries, int library, int status)
    {
        string[][] parts = [.. libraries.Split(' ').Select(part => part.Split(':'))];
        var started = new List<nint>();
        (nint, int) found = LibraryVersion.FirstThatStarts(
            parts.Select(part => part[0]),
            file => nint.Parse(parts.Single(part => part[0] == file)[1]),
            handle =>
            {
                started.Add(handle);
                return int.Parse(parts.Single(part => part[1] == handle.ToString())[2]);
            }
        );
        Assert.That(found, Is.EqualTo(((nint)library, status)));
        Assert.That(started, Has.No.Member(nint.Zero), "a library that is not there is not started");
    }

    /// <summary>A driver may count static bytes in its limit, or leave them to the caller.</summary>
    [TestCase(49_152, 0, 49_152)]
    [TestCase(49_152, 1_024, 48_128)]
    [TestCase(48_128, 1_024, 48_128)]
    [TestCase(65_536, 1_024, 48_128)]
    public void StaticSharedMemoryCountsTowardsTheOptIn(int allowed, int fixedBytes, int expected) =>
        Assert.That(Kernel.DynamicBytes(allowed, fixedBytes), Is.EqualTo(expected));

    // The pool's books: a workspace is no tensor's, so it is among what is cached.
    private long Held
    {
        get
        {
            Device.Trim(); // what tensors leave
            return Device.Memory.InUse + Device.Memory.Cached;
        }
    }

    private static int Pinned() => LiveObjects.Snapshot().GetValueOrDefault("pinned memory");

    private void Multiply()
    {
        using var x = Tensor.From(Device, [1f, 2], (1, 2));
        using var y = Tensor.Empty(Device, (1, 1));
        Gemm.Run(x, Gemm.Transposed(x), y);
        Device.Synchronize();
    }

    private long Workspace() =>
        (long)((delegate* unmanaged<nint, nuint>)Function("spectralCpuBlasWorkspace"))(Device.Blas.Handle);

    private nint Function(string name) => NativeLibrary.GetExport(Device.Api.Library, name);
}
