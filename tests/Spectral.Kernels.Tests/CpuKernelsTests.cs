using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>
/// The two forms of the kernels on the CPU device: how one is chosen, and that devices with different ones agree in one
/// process.
/// </summary>
public sealed class CpuKernelsTests
{
    private const int Rows = 37;
    private const int Columns = 72;

    public static IEnumerable<string> Targets => KernelLibrary.Architectures.DefaultIfEmpty("none");

    [SetUp]
    public void RequireTheCpuDevice()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the CPU device runs on Linux only");
    }

    [TestCaseSource(nameof(Targets))]
    public void EachDeviceHasItsOwn(string target)
    {
        using Device source = Source();
        using Device ptx = Ptx(target);
        Assert.That((source.CpuKernels, source.PtxTarget), Is.EqualTo(((CpuKernels?)CpuKernels.Source, (string?)null)));
        Assert.That((ptx.CpuKernels, ptx.PtxTarget), Is.EqualTo(((CpuKernels?)CpuKernels.Ptx, (string?)target)));
        Assert.That(ptx.Name, Is.EqualTo($"{source.Name}, PTX of {target}"), "results are recorded with the name");
        Assert.That(Bits(source, Scales), Is.EqualTo(Bits(ptx, Scales)));
        Assert.That(
            () => ptx.Kernel("no_such_module", "entry"),
            Throws.ArgumentException.With.Message.Contains($"no PTX of module no_such_module for {target}"),
            "it loads PTX"
        );
    }

    [Test]
    public void WithoutATargetItIsThatOfTheComputeCapability()
    {
        RequirePtx();
        With(
            CpuDeviceOptions.PtxTargetVariable,
            null,
            () =>
            {
                using var device = Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx });
                Assert.That(device.PtxTarget, Is.EqualTo(KernelLibrary.ArchitectureFor(device.ComputeCapability)));
            }
        );
    }

    [Test]
    public void AModuleOfOneTargetIsTakenFromThere()
    {
        using Device device = Ptx("sm_80");
        Assert.That(KernelLibrary.Ptx("sm_80"), Does.Not.ContainKey("low_rank_linear_sm90"));
        Assert.That(KernelLibrary.NearestTarget("sm_80", "low_rank_linear_sm90"), Is.EqualTo("sm_90a"));
        Assert.That(KernelLibrary.NearestTarget("sm_80", "rms_norm"), Is.EqualTo("sm_80"));
        Assert.That(() => device.Kernel("hopper_probe_sm90", "no_entry"), Throws.TypeOf<CudaException>(), "it loads");
    }

    [Test]
    public void TheVariablesAreTheDefault()
    {
        RequirePtx();
        With(
            CpuDeviceOptions.KernelsVariable,
            "ptx",
            () =>
                With(
                    CpuDeviceOptions.PtxTargetVariable,
                    "sm_80",
                    () =>
                    {
                        using var open = Device.Cpu();
                        using var given = Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Source });
                        using var borrowed = Device.FromContext(open.ContextHandle);
                        Assert.That((open.PtxTarget, given.PtxTarget), Is.EqualTo(("sm_80", (string?)null)));
                        Assert.That(borrowed.PtxTarget, Is.EqualTo("sm_80"), "of a context of other code");
                    }
                )
        );
    }

    [Test]
    public void AWrongVariableIsNamed()
    {
        RequirePtx();
        With(
            CpuDeviceOptions.KernelsVariable,
            "fast",
            () =>
                Assert.That(
                    () => Device.Cpu(),
                    Throws.InvalidOperationException.With.Message.EqualTo(
                        "SPECTRAL_CPU_KERNELS is 'fast', expected source or ptx"
                    )
                )
        );
        With(
            CpuDeviceOptions.PtxTargetVariable,
            "sm_10",
            () =>
                Assert.That(
                    () => Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx }),
                    Throws.InvalidOperationException.With.Message.EqualTo(
                        "SPECTRAL_CPU_PTX_TARGET is 'sm_10', expected sm_80 or sm_90a"
                    )
                )
        );
    }

    [Test]
    public void AWrongTargetIsNamed()
    {
        RequirePtx();
        Assert.That(
            () => Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx, PtxTarget = "sm_10" }),
            Throws.ArgumentException.With.Message.StartsWith("PtxTarget is 'sm_10', expected sm_80 or sm_90a")
        );
    }

    [Test]
    public void AFolderReplacesModules()
    {
        using Device device = Ptx("sm_80");
        string folder = Directory.CreateTempSubdirectory("spectral-ptx-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, "sm_80"));
            string text = KernelLibrary.Ptx("sm_80", "rope");
            File.WriteAllText(
                Path.Combine(folder, "sm_80", "rope.ptx"),
                text.Replace("rope_forward_f32", "turned_f32")
            );
            With(
                "SPECTRAL_PTX_PATH",
                folder,
                () =>
                {
                    Assert.That(() => device.Kernel("rope", "turned_f32"), Throws.Nothing, "the folder's");
                    Assert.That(() => device.Kernel("philox", "no_entry"), Throws.TypeOf<CudaException>(), "embedded");
                }
            );
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        With(
            "SPECTRAL_PTX_PATH",
            folder,
            () =>
                Assert.That(
                    () => device.Kernel("rms_norm", "any"),
                    Throws
                        .TypeOf<DirectoryNotFoundException>()
                        .With.Message.Contains($"SPECTRAL_PTX_PATH is '{folder}'")
                )
        );
    }

    [Test]
    public void WithoutPtxTheErrorSaysSo()
    {
        if (KernelLibrary.Architectures.Count > 0)
            Assert.Ignore("this build holds PTX");
        Assert.That(
            () => Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx }),
            Throws.TypeOf<PlatformNotSupportedException>().With.Message.Contains("built without nvcc")
        );
    }

    /// <summary>Ops whose results do not depend on how a compiler arranges them.</summary>
    private static readonly (string Name, Func<Device, Tensor[]> Run)[] Exact =
    [
        ("add_f32", device => Adds(device, DType.F32)),
        ("add_bf16", device => Adds(device, DType.BF16)),
        ("scale_f32", Scales),
        ("reciprocal_f32", device => Maps(device, MapFunction.Reciprocal)),
        ("sqrt_f32", device => Maps(device, MapFunction.Sqrt)),
        ("swiglu_forward_bf16", Gates),
        ("low_rank_linear, mma.sync", device => MultipliesLowRank(device, LowRankVariant.Portable)),
        ("low_rank_linear_sm90, wgmma", device => MultipliesLowRank(device, LowRankVariant.Hopper)),
    ];

    public static IEnumerable<TestCaseData> ExactCases() =>
        from target in Targets
        from op in Exact
        select new TestCaseData(target, op.Run).SetArgDisplayNames(target, op.Name);

    [TestCaseSource(nameof(ExactCases))]
    public void GivesTheBitsOfTheSource(string target, Func<Device, Tensor[]> run)
    {
        using Device ptx = Ptx(target);
        using Device source = Source();
        byte[] expected = Bits(source, run);
        Assert.That(expected.Distinct().Count(), Is.GreaterThan(16), "there is something to compare");
        Assert.That(Bits(ptx, run), Is.EqualTo(expected));
    }

    /// <summary>
    /// Ops with exponentials, which PTX approximates, with products and sums that the two compilers contract in
    /// different places, or with sums of rows, which the source build takes whole and in another order. How many values
    /// differ is printed; none does by more than the bound.
    /// </summary>
    private static readonly (string Name, Func<Device, Tensor[]> Run)[] Close =
    [
        ("exp_f32", device => Maps(device, MapFunction.Exp)),
        ("causal_softmax_f32", Softmaxes),
        ("rms_norm_forward_f32", device => Normalizes(device, DType.F32)),
        ("rms_norm_forward_bf16", device => Normalizes(device, DType.BF16)),
        ("rms_norm_backward_f32", NormalizesBackward),
        ("flash_attention_forward", Attends),
    ];

    public static IEnumerable<TestCaseData> CloseCases() =>
        from target in Targets
        from op in Close
        select new TestCaseData(target, op.Run).SetArgDisplayNames(target, op.Name);

    [TestCaseSource(nameof(CloseCases))]
    public void StaysWithinTheBoundOfTheSource(string target, Func<Device, Tensor[]> run)
    {
        using Device ptx = Ptx(target);
        using Device source = Source();
        foreach ((Tensor actual, Tensor expected) in run(ptx).Zip(run(source)))
        {
            using (actual)
            using (expected)
            {
                float[] a = actual.ToArray();
                float[] b = expected.ToArray();
                TestContext.Out.WriteLine(
                    $"{a.Zip(b).Count(pair => !pair.First.Equals(pair.Second))} of {a.Length} values differ"
                );
                double[] values = Array.ConvertAll(b, value => (double)value);
                double[] terms = new double[values.Length]; // of sums that may cancel: as large as the largest result
                Array.Fill(terms, values.Max(Math.Abs));
                double[] found = Array.ConvertAll(a, value => (double)value);
                Comparator.Verify(found, values, actual.DType, terms, Columns, target);
            }
        }
    }

    private static Tensor[] Maps(Device device, MapFunction function)
    {
        using Tensor x = Values(device, (Rows, Columns), DType.F32, 1);
        var y = Tensor.Empty(device, (Rows, Columns));
        ElementwiseMap.Forward(x, y, function);
        return [y];
    }

    private static Tensor[] Softmaxes(Device device)
    {
        Tensor scores = Values(device, (1, 2, Rows, Rows), DType.F32, 1);
        CausalSoftmax.Forward(scores, 0.3f);
        return [scores];
    }

    private static Tensor[] NormalizesBackward(Device device)
    {
        using Tensor x = Values(device, (Rows, Columns), DType.F32, 1);
        using Tensor weight = Values(device, Columns, DType.F32, 2);
        using Tensor dy = Values(device, (Rows, Columns), DType.F32, 3);
        using var y = Tensor.Empty(device, (Rows, Columns));
        using var inverse = Tensor.Empty(device, Rows);
        RmsNorm.Forward(x, weight, 1e-5f, y, inverse);
        var dx = Tensor.Empty(device, (Rows, Columns));
        var dWeight = Tensor.Empty(device, Columns);
        RmsNorm.Backward(x, weight, inverse, dy, dx, dWeight: dWeight);
        return [dx, dWeight];
    }

    private static Tensor[] Attends(Device device)
    {
        const int HeadDim = 64;
        using Tensor q = Values(device, (1, 2, Rows, HeadDim), DType.BF16, 1);
        using Tensor k = Values(device, (1, 1, Rows, HeadDim), DType.BF16, 2);
        using Tensor v = Values(device, (Rows, HeadDim), DType.BF16, 3);
        var output = Tensor.Empty(device, (Rows, 2 * HeadDim), DType.BF16);
        var lse = Tensor.Empty(device, (1, 2, Rows));
        FlashAttention.Forward(q, k, v, output, lse);
        return [output, lse];
    }

    private static Tensor[] Adds(Device device, DType type)
    {
        var y = Tensor.Empty(device, (Rows, Columns), type);
        using Tensor a = Values(device, (Rows, Columns), type, 1);
        using Tensor b = Values(device, (Rows, Columns), type, 2);
        Add.Forward(a, b, y);
        return [y];
    }

    private static Tensor[] Scales(Device device)
    {
        Tensor x = Values(device, (Rows, Columns), DType.F32, 1);
        Scale.Run(x, 0.3f);
        return [x];
    }

    private static Tensor[] Normalizes(Device device, DType type)
    {
        using Tensor x = Values(device, (Rows, Columns), type, 1);
        using Tensor weight = Values(device, Columns, type, 2);
        var y = Tensor.Empty(device, (Rows, Columns), type);
        var inverse = Tensor.Empty(device, Rows);
        RmsNorm.Forward(x, weight, 1e-5f, y, inverse);
        return [y, inverse];
    }

    private static Tensor[] Gates(Device device)
    {
        using Tensor gate = Values(device, (Rows, Columns), DType.BF16, 1);
        using Tensor up = Values(device, (Rows, Columns), DType.BF16, 2);
        var y = Tensor.Empty(device, (Rows, Columns), DType.BF16);
        SwiGlu.Forward(gate, up, y);
        return [y];
    }

    private static Tensor[] MultipliesLowRank(Device device, LowRankVariant variant)
    {
        const int Rank = 16;
        LowRankLinear.Force(device, variant);
        LowRank.ForcePasses(device, LowRankPassKind.Kernels);
        using Tensor x = Values(device, (Rows, Columns), DType.BF16, 1);
        using Tensor weight = Values(device, (Columns, Columns), DType.BF16, 2);
        using Tensor left = Values(device, (Columns, Rank), DType.BF16, 3);
        using Tensor right = Values(device, (Rank, Columns), DType.BF16, 4);
        var y = Tensor.Empty(device, (Rows, Columns), DType.BF16);
        var z = Tensor.Empty(device, (Rows, Rank), DType.BF16);
        device.Variants.Clear();
        LowRankLinear.Forward(x, weight, null, new LowRankFactors(left, null, right, 0.5f), y, z);
        Assert.That(
            device.Variants.All.Select(use => use.Choice),
            Is.EquivalentTo(new[] { "kernels", LowRankLinear.NameOf(variant) })
        );
        return [y, z];
    }

    private static Tensor Values(Device device, Shape shape, DType type, int seed)
    {
        var random = new Random(seed);
        float[] host = [.. Enumerable.Range(0, (int)shape.Count).Select(_ => (float)random.NextNormal())];
        var tensor = Tensor.Empty(device, shape, type);
        tensor.CopyFrom(host);
        return tensor;
    }

    private static byte[] Bits(Device device, Func<Device, Tensor[]> run)
    {
        List<byte> bits = [];
        foreach (Tensor result in run(device))
        {
            byte[] raw = new byte[result.Bytes];
            result.CopyTo(raw.AsSpan());
            bits.AddRange(raw);
            result.Dispose();
        }
        return [.. bits];
    }

    private static Device Source() => Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Source });

    private static Device Ptx(string target)
    {
        RequirePtx();
        return Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx, PtxTarget = target });
    }

    private static void RequirePtx()
    {
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("built without nvcc: no PTX to run");
    }

    private static void With(string variable, string? value, Action test)
    {
        string? before = Environment.GetEnvironmentVariable(variable);
        Environment.SetEnvironmentVariable(variable, value);
        try
        {
            test();
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, before);
        }
    }
}
