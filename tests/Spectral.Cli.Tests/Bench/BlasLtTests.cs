using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Spectral.Bench;
using Spectral.Bench.Baselines;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Cli.Tests.Bench;

/// <summary>
/// The benchmark's cuBLASLt: products against sums in double, what it takes the library's header to say, and the
/// baselines built on it.
/// </summary>
public sealed class BlasLtTests
{
    private static readonly (int M, int N, int K)[] Shapes =
    [
        (1, 1, 1),
        (7, 33, 5),
        (33, 1, 127),
        (1, 1000, 33),
        (127, 33, 1000),
        (128, 64, 96),
    ];

    [Test]
    public void ProductsAgreeWithSumsInDouble(
        [Values(DeviceKind.Cpu, DeviceKind.Cuda)] DeviceKind kind,
        [Values] bool transposeA,
        [Values] bool transposeB,
        [Values(0f, 1f)] float beta
    )
    {
        using Machine machine = Open(kind);
        foreach ((int m, int n, int k) in Shapes)
        {
            foreach (
                (DType type, DType result) in new[]
                {
                    (DType.F32, DType.F32),
                    (DType.BF16, DType.BF16),
                    (DType.BF16, DType.F32),
                }
            )
            {
                const float Alpha = 0.75f;
                using Tensor a = machine.Normal(transposeA ? (k, m) : (m, k), type);
                using Tensor b = machine.Normal(transposeB ? (n, k) : (k, n), type);
                using Tensor c = machine.Normal((m, n), result);
                var before = new HostMatrix(c);
                if (beta == 0)
                    Machine.Poison(c);
                bool done = machine.Lt.Multiply(
                    Whole(a) with
                    {
                        Transposed = transposeA,
                    },
                    Whole(b) with
                    {
                        Transposed = transposeB,
                    },
                    Whole(c),
                    new GemmSize(m, n, k),
                    Alpha,
                    beta
                );
                // a GPU's library may have none for odd sizes
                bool mustBe = kind == DeviceKind.Cpu || (m, n, k) == (128, 64, 96);
                Assert.That(done || !mustBe, Is.True, $"{m} x {n} x {k} {type} to {result}: no algorithm");
                if (!done)
                    continue;
                (HostMatrix left, HostMatrix right, HostMatrix after) = (new(a), new(b), new(c));
                for (int row = 0; row < m; row++)
                {
                    for (int column = 0; column < n; column++)
                    {
                        double sum = 0;
                        double magnitude = 0;
                        for (int i = 0; i < k; i++)
                        {
                            double term =
                                (transposeA ? left[i, row] : left[row, i])
                                * (transposeB ? right[column, i] : right[i, column]);
                            (sum, magnitude) = (sum + term, magnitude + Math.Abs(term));
                        }
                        double expected = Alpha * sum + (beta == 0 ? 0 : beta * before[row, column]);
                        // F32 sums of k terms, one rounding to the result's type.
                        double bound =
                            (k + 2) * magnitude * 1.2e-7
                            + Math.Abs(expected) * (result == DType.BF16 ? 1.0 / 256 : 2.4e-7)
                            + 1e-6;
                        Assert.That(
                            after[row, column],
                            Is.EqualTo(expected).Within(bound),
                            $"{m} x {n} x {k} {type} to {result} [{row}, {column}]"
                        );
                    }
                }
            }
        }
    }

    [Test]
    public void MatricesInsideLargerOnes()
    {
        using Machine machine = Open(DeviceKind.Cpu);
        using Tensor a = machine.Normal((9, 40), DType.BF16);
        using Tensor b = machine.Normal((20, 50), DType.BF16);
        using Tensor c = machine.Normal((9, 30), DType.F32);
        using var wanted = Tensor.Empty(machine.Device, (9, 30));
        wanted.CopyFrom(c);
        GemmOperand Inside(Tensor tensor, int offset) => new(tensor, offset, tensor.Dim(1));
        Gemm.Run(Inside(a, 3), Inside(b, 7).Transpose(), Inside(wanted, 5), new GemmSize(9, 20, 33), alpha: 2, beta: 1);
        Assert.That(
            machine.Lt.Multiply(
                Inside(a, 3),
                Inside(b, 7).Transpose(),
                Inside(c, 5),
                new GemmSize(9, 20, 33),
                alpha: 2,
                beta: 1
            ),
            Is.True
        );
        Assert.That(c.ToArray(), Is.EqualTo(wanted.ToArray()), "both are one library here");
    }

    /// <summary>As in cuBLAS, no partial sums are rounded to the type of the result.</summary>
    [Test]
    public void PartialSumsAreAddedInTheTypeTheyAreComputedIn()
    {
        using Machine machine = new(Device.Cpu(), Extent.Smoke);
        Assert.That(machine.Lt.Reductions, Is.EqualTo(2), "CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE alone");
    }

    /// <summary>
    /// The compiler that would compile a C program against the header says whether values, sizes, offsets and
    /// parameters here are those.
    /// </summary>
    [Test]
    public void TheBindingIsThatOfTheHeader()
    {
        const string Header = "cublasLt.h";
        var folders = new List<string>();
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            folders.Add(Path.Combine(folder.FullName, ".tools", "cuda", "usr", "include"));
        if (Environment.GetEnvironmentVariable("CUDA_HOME") is { Length: > 0 } home)
            folders.Insert(0, Path.Combine(home, "include"));
        folders.Add("/usr/local/cuda/include");
        if (folders.Find(folder => File.Exists(Path.Combine(folder, Header))) is not { } include)
        {
            Assert.Ignore($"{Header} is in none of CUDA_HOME, /usr/local/cuda and .tools/cuda");
            return;
        }
        var source = new StringBuilder(
            $$"""
            #include <{{Header}}>
            #include <cstddef>
            #include <initializer_list>
            template <class R, class... A>
            constexpr bool takes(R (*)(A...), size_t result, std::initializer_list<size_t> sizes) {
              const size_t wanted[] = {sizeof(A)..., 0};
              size_t i = 0;
              for (size_t size : sizes) if (i == sizeof...(A) || size != wanted[i++]) return false;
              return i == sizeof...(A) && result == sizeof(R);
            }

            """
        );
        void Value(string name, int value) => source.AppendLine($"static_assert({name} == {value});");
        Value("CUDA_R_32F", BlasLt.DataF32);
        Value("CUDA_R_16BF", BlasLt.DataBF16);
        Value("CUBLAS_COMPUTE_32F", BlasLt.ComputeF32);
        Value("CUBLASLT_MATMUL_DESC_TRANSA", BlasLt.DescTransA);
        Value("CUBLASLT_MATMUL_DESC_TRANSB", BlasLt.DescTransB);
        Value("CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES", BlasLt.PrefMaxWorkspaceBytes);
        Value("CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK", BlasLt.PrefReductionSchemeMask);
        Value("CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE", BlasLt.ReductionInComputeType);
        foreach ((char operand, int i) in "ABCD".Select((operand, i) => (operand, i)))
            Value($"CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_{operand}_BYTES", BlasLt.PrefMinAlignmentABytes + i);
        Value("CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES", BlasLt.PrefMinAlignmentDBytes);
        Value("CUBLAS_OP_T", 1);
        Value("sizeof(cublasLtMatmulAlgo_t)", Marshal.SizeOf<BlasLt.Algorithm>());
        Value("sizeof(cublasLtMatmulHeuristicResult_t)", Marshal.SizeOf<BlasLt.HeuristicResult>());
        foreach (
            (string name, string field) in new[]
            {
                ("algo", "Algorithm"),
                ("workspaceSize", "WorkspaceSize"),
                ("state", "State"),
                ("wavesCount", "WavesCount"),
                ("reserved", "Reserved"),
            }
        )
        {
            Value(
                $"offsetof(cublasLtMatmulHeuristicResult_t, {name})",
                (int)Marshal.OffsetOf<BlasLt.HeuristicResult>(field)
            );
        }

        FieldInfo[] functions =
        [
            .. typeof(BlasLt)
                .GetFields(BindingFlags.Instance | BindingFlags.NonPublic)
                .Where(field => field.FieldType.IsFunctionPointer),
        ];
        Assert.That(functions, Has.Length.EqualTo(13));
        foreach (FieldInfo function in functions)
        {
            string name = $"cublasLt{char.ToUpperInvariant(function.Name[1])}{function.Name[2..]}";
            int result = Size(function.FieldType.GetFunctionPointerReturnType());
            IEnumerable<int> sizes = function.FieldType.GetFunctionPointerParameterTypes().Select(Size);
            source.AppendLine($"static_assert(takes(&{name}, {result}, {{{string.Join(", ", sizes)}}}));");
        }

        Compile(source.ToString(), include);
    }

    [Test]
    public void WithoutTheLibraryItsBaselinesAreUnavailable()
    {
        using Machine machine = Open(DeviceKind.Cpu);
        using var scenario = new Scenario();
        foreach (Role role in Enum.GetValues<Role>())
            scenario.Variants.Add(new Variant(role.ToString(), _ => { }) { Role = role, Check = () => null });
        LtBaselines.Add(
            scenario,
            () => throw new DllNotFoundException("cuBLASLt: none of them could be loaded"),
            Role.Plain,
            Role.B
        );
        IReadOnlyList<Result> results = new Runner(machine, new Ceilings(1, 1)).Run(
            "test",
            0,
            new Plan("any", () => scenario),
            scenario
        );
        Assert.That(
            results.Select(result => (result.Variant, result.Status)),
            Is.EqualTo(
                new[]
                {
                    ("Ours", "ok"),
                    ("Plain", "ok"),
                    ("Plain-lt", "unavailable"),
                    ("A", "ok"),
                    ("B", "ok"),
                    ("B-lt", "unavailable"),
                }
            )
        );
        Assert.That(results[2].Note, Is.EqualTo("cuBLASLt: none of them could be loaded"));
    }

    [Test]
    public void OnlyTheTwinsProductsAreTheLibrarys()
    {
        using Machine machine = Open(DeviceKind.Cpu);
        using var scenario = new Scenario();
        Tensor a = scenario.Own(machine.Normal((8, 8), DType.F32));
        Tensor c = scenario.Own(Tensor.Empty(machine.Device, (8, 8)));
        scenario.Variants.Add(new Variant("plain", _ => Gemm.Run(a, a, c)) { Role = Role.Plain, Check = () => null });
        LtBaselines.Add(scenario, () => machine.Lt, Role.Plain);
        scenario.Variants[0].Run(0);
        Assert.That(machine.Lt.Products, Is.Zero);
        scenario.Variants[1].Run(0);
        scenario.Variants[0].Run(0);
        Assert.That(machine.Lt.Products, Is.EqualTo(1));
        Assert.That(
            () => machine.Lt.Use(() => throw new InvalidOperationException()),
            Throws.InvalidOperationException
        );
        scenario.Variants[0].Run(0);
        Assert.That(machine.Lt.Products, Is.EqualTo(1), "a run that failed takes the library away too");
    }

    private static Machine Open(DeviceKind kind)
    {
        if (kind == DeviceKind.Cuda && Device.CudaCount(out string? reason) == 0)
            Assert.Ignore(reason ?? "no CUDA device");
        return new Machine(kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda(), Extent.Smoke);
    }

    private static GemmOperand Whole(Tensor tensor) => new(tensor, 0, tensor.Dim(1));

    private static int Size(Type type)
    {
        Type[] wide = [typeof(nint), typeof(nuint), typeof(ulong), typeof(long)];
        if (type.IsPointer || wide.Contains(type))
            return 8;
        return type == typeof(int) ? 4 : throw new ArgumentException($"{type} in a signature");
    }

    private static void Compile(string source, string include)
    {
        string file = Path.Combine(Path.GetTempPath(), $"spectral-{Guid.NewGuid():N}.cpp");
        File.WriteAllText(file, source);
        try
        {
            using Process compiler = Process.Start(
                new ProcessStartInfo("g++", ["-std=c++20", "-fsyntax-only", "-isystem", include, file])
                {
                    RedirectStandardError = true,
                }
            )!;
            string errors = compiler.StandardError.ReadToEnd();
            compiler.WaitForExit();
            Assert.That(compiler.ExitCode, Is.Zero, errors);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Ignore("no g++");
        }
        finally
        {
            File.Delete(file);
        }
    }
}
