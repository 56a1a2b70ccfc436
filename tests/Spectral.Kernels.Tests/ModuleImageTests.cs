using Spectral.Kernels.Driver;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>What a module is loaded from, and what errors say of images, kernels and variables.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ModuleImageTests(DeviceKind kind) : DeviceTest(kind)
{
    // No kernels: the header of a program for an NVIDIA GPU, and nothing else.
    private static readonly byte[] Cubin = Elf(machine: 190, sections: 0);

    [Test]
    public void AFatbinHasPtxForTheDevice()
    {
        using var module = KernelModule.Load(Device, SmallFatbin.Arch);
        Tensor to = Output(1, DType.I32);
        module.GetKernel<ulong>("arch").Launch(to.Pointer, 1, 1);
        (int major, int minor) = Device.ComputeCapability;
        int expected = (major, minor) == (9, 0) ? 900 : 800; // the other PTX is for sm_90a alone
        Assert.That(to.ToInt32Array(), Is.EqualTo(new[] { expected }));
    }

    [Test]
    public void TheCpuDeviceRunsNoCubin()
    {
        if (Device.Kind != DeviceKind.Cpu)
            Assert.Ignore("a GPU runs its own");
        Assert.That(
            () => KernelModule.Load(Device, Cubin),
            Throws
                .TypeOf<CudaException>()
                .With.Message.StartsWith("loading a cubin (driver ")
                .And.Message.Contains("CUDA_ERROR_NO_BINARY_FOR_GPU (209)")
                .And.Message.EndsWith(
                    "a cubin holds machine code of a GPU, which the CPU device does not run: load PTX, or a fatbin "
                        + "that contains PTX"
                )
        );
        Assert.That(
            () => KernelModule.Load(Device, SmallFatbin.Cubin),
            Throws
                .TypeOf<CudaException>()
                .With.Message.StartsWith("loading a fatbin (driver ")
                .And.Message.Contains("only machine code for sm_80")
        );
    }

    /// <summary>A GPU that cannot run a package's machine code compiles the PTX; a CPU device runs none.</summary>
    [Test]
    public void PtxStandsInForMachineCodeThatIsRefused()
    {
        string ptx = SmallPtx.Header + SmallPtx.Stores("five", 5);
        using KernelModule module = KernelModules.Load(Device, Cubin, () => ptx, "the PTX of a test");
        Tensor to = Output(1, DType.I32);
        module.GetKernel<ulong>("five").Launch(to.Pointer, 1, 1);
        Assert.That(to.ToInt32Array(), Is.EqualTo(new[] { 5 }));
        Assert.That(
            () => KernelModules.Load(Device, [1, 2, 3], () => ptx, "the PTX of a test"),
            Throws.ArgumentException,
            "what is no machine code is a fault of the package"
        );
    }

    /// <summary>By NVIDIA's rule of binary compatibility: the same major number, no higher minor one.</summary>
    [TestCase(8, 0, "sm_80")]
    [TestCase(8, 6, "sm_86")]
    [TestCase(8, 7, "sm_86")]
    [TestCase(8, 9, "sm_89")]
    [TestCase(9, 0, "sm_90a")]
    [TestCase(10, 0, "sm_100")]
    [TestCase(10, 3, "sm_100")]
    [TestCase(12, 0, null)]
    [TestCase(7, 5, null)]
    public void AGpuIsGivenMachineCodeThatItRuns(int major, int minor, string? target)
    {
        string[] targets = ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100"];
        Assert.That(KernelLibrary.CubinTarget((major, minor), targets), Is.EqualTo(target));
        Assert.That(KernelLibrary.CubinTarget((major, minor), []), Is.Null, "a build without machine code");
    }

    private static IEnumerable<TestCaseData> Wrong()
    {
        const string Expected = "a module is PTX text, a cubin or a fatbin, found ";
        yield return Case("nothing", [], Expected + "nothing");
        yield return Case("another file", "hello"u8.ToArray(), Expected + "5 bytes of something else");
        yield return Case("a zero", ".version 8.4\0.target"u8.ToArray(), Expected + "PTX with a zero character");
        yield return Case(
            "a wrapper",
            [0xB1, 0x43, 0x62, 0x46, 1, 0, 0, 0],
            Expected + "the wrapper of a fatbin, which"
        );
        byte[] fatbin = SmallFatbin.Arch;
        string size = $"a fatbin is cut short: its header says {fatbin.Length} bytes, found ";
        yield return Case("a cut fatbin", fatbin[..^1], size + (fatbin.Length - 1));
        yield return Case("a cut header", fatbin[..10], "a fatbin is cut short: its header says 16 bytes, found 10");
        byte[] huge = [.. fatbin[..8], .. Enumerable.Repeat((byte)0xFF, 8)];
        yield return Case("a huge fatbin", huge, "a fatbin is cut short: its header says 18446744073709551631 bytes");
        yield return Case("a cut cubin", Cubin[..30], "a cubin is cut short: its header says 64 bytes, found 30");
        yield return Case("no sections", Elf(190, 2), "a cubin is cut short: its header says 192 bytes, found 64");
        yield return Case("a cut library", Elf(62, 1), "a library of kernels is cut short");
        static TestCaseData Case(string name, byte[] image, string message) =>
            new TestCaseData(image, message).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Wrong))]
    public void AnImageThatIsNotWholeIsRefused(byte[] image, string message) =>
        Assert.That(() => KernelModule.Load(Device, image), Throws.ArgumentException.With.Message.StartsWith(message));

    [Test]
    public void AFileIsNamedInErrors()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, SmallPtx.Header + SmallPtx.Stores("k", 5));
            using (var module = KernelModule.LoadFile(Device, path))
                Assert.That(() => module.GetKernel("no"), Throws.TypeOf<CudaException>().With.Message.Contains(path));
            File.WriteAllText(path, "hello");
            Assert.That(
                () => KernelModule.LoadFile(Device, path),
                Throws.ArgumentException.With.Message.StartsWith($"{path}: a module is PTX text, a cubin or a fatbin")
            );
            File.WriteAllText(path, ".version nothing");
            Assert.That(
                () => KernelModule.LoadFile(Device, path),
                Throws.TypeOf<CudaException>().With.Message.StartsWith($"loading {path}, PTX (driver ")
            );
        }
        finally
        {
            File.Delete(path);
        }

        Assert.That(() => KernelModule.LoadFile(Device, path), Throws.TypeOf<FileNotFoundException>());
    }

    [Test]
    public void WrongPtxIsPlaced()
    {
        if (Device.Kind != DeviceKind.Cpu)
            Assert.Ignore("a GPU's compiler has words of its own");
        Assert.That(
            () => KernelModule.Load(Device, SmallPtx.Header + ".visible .entry k()\n{\n  nonsense.u32;\n}\n"),
            Throws
                .TypeOf<CudaException>()
                .With.Message.StartsWith("loading PTX (driver ")
                .And.Message.Contains("cuModuleLoadDataEx returned CUDA_ERROR_INVALID_PTX (218): PTX line 6, column 3:")
        );
    }

    [Test]
    public void AnUnknownKernelIsAnsweredWithThoseThatAreThere()
    {
        IEnumerable<string> kernels = Enumerable.Range(0, 20).Select(i => SmallPtx.Stores($"k{i}", i));
        using var many = KernelModule.Load(Device, SmallPtx.Header + string.Concat(kernels));
        using var none = KernelModule.Load(Device, SmallPtx.Header);
        Assert.That(many.Entries, Has.Count.EqualTo(20).And.Contains("k19"));
        Assert.That(none.Entries, Is.Empty);
        Assert.That(
            () => many.GetKernel<ulong>("k20"),
            Throws
                .TypeOf<CudaException>()
                .With.Message.StartsWith("finding kernel k20 in PTX, which has k0, k1, k2, ")
                .And.Message.Contains(", k15 and 4 more: cuModuleGetFunction returned CUDA_ERROR_NOT_FOUND (500)")
        );
        Assert.That(
            () => none.GetKernel("k"),
            Throws.TypeOf<CudaException>().With.Message.StartsWith("finding kernel k in PTX, which has none: ")
        );
    }

    [Test]
    public void VariablesAreFound()
    {
        const string Ptx =
            SmallPtx.Header
            + """
                .visible .global .align 16 .u32 table[4] = {1, 2, 3, 4};
                .visible .entry third(.param .u64 to)
                {
                    .reg .b32 %v;
                    .reg .b64 %to;
                    ld.param.u64 %to, [to];
                    cvta.to.global.u64 %to, %to;
                    ld.global.u32 %v, [table+8];
                    st.global.u32 [%to], %v;
                    ret;
                }
                """;
        using var module = KernelModule.Load(Device, Ptx);
        ModuleVariable table = module.GetGlobal("table");
        Assert.That(table.Bytes, Is.EqualTo(16));
        using var values = Tensor.FromPointer(Device, table.Pointer, 4, DType.I32);
        Assert.That(values.ToInt32Array(), Is.EqualTo(new[] { 1, 2, 3, 4 }));
        values.CopyFrom([5, 6, 7, 8]);
        Tensor to = Output(1, DType.I32);
        module.GetKernel<ulong>("third").Launch(to.Pointer, 1, 1);
        Assert.That(to.ToInt32Array(), Is.EqualTo(new[] { 7 }));
        Assert.That(
            () => module.GetGlobal("tables"),
            Throws
                .TypeOf<CudaException>()
                .With.Message.StartsWith("finding variable tables in PTX: cuModuleGetGlobal(")
                .And.Message.Contains("CUDA_ERROR_NOT_FOUND")
        );
    }

    private static byte[] Elf(short machine, short sections)
    {
        byte[] image = new byte[64];
        new byte[] { 0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(image, 0);
        BitConverter.TryWriteBytes(image.AsSpan(18), machine);
        BitConverter.TryWriteBytes(image.AsSpan(40), 64L); // where the table of sections is
        BitConverter.TryWriteBytes(image.AsSpan(58), (short)64);
        BitConverter.TryWriteBytes(image.AsSpan(60), sections);
        return image;
    }
}
