using System.Diagnostics;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>
/// Launches that are wrong on purpose, each in a process of its own, must be reported: by the CPU device's guard zones,
/// and where the process runs on a device and kernels built with sanitizers (native/tests/kernel-suite.sh) by these.
/// </summary>
public sealed class FaultTests
{
    private const string FaultVariable = "SPECTRAL_TEST_FAULT";
    private const int Count = 64;

    private static IEnumerable<TestCaseData> Faults()
    {
        string preloaded = Environment.GetEnvironmentVariable("LD_PRELOAD") ?? "";
        if (preloaded.Contains("libtsan", StringComparison.Ordinal))
            return [new("race of rows", "WARNING: ThreadSanitizer: data race")];
        return preloaded.Contains("libasan", StringComparison.Ordinal)
            ?
            [
                new("write behind a tensor", "ERROR: AddressSanitizer: use-after-poison"),
                new("read behind a tensor", "ERROR: AddressSanitizer: use-after-poison"),
                new("read of a disposed tensor", "ERROR: AddressSanitizer: heap-use-after-free"),
                new("too little shared memory", "ERROR: AddressSanitizer: use-after-poison"),
                new("odd address", "runtime error: load of misaligned address"),
            ]
            :
            [
                new("write behind a tensor", $"guard zone written: allocation [0-9]+ of {Count * sizeof(float)} bytes"),
                new(
                    "null address",
                    "CUDA_ERROR_ILLEGAL_ADDRESS \\(700\\): kernel add_f32, block \\(0,0,0\\): thread 0 reads address "
                        + "0x0; 0x0 to 0xfff is not mapped"
                ),
                new("address far outside", "add_f32, block .*: thread 0 writes address 0x400000000000; .* not mapped"),
                new("a new device after a fault", "CUDA_ERROR_ILLEGAL_ADDRESS"),
            ];
    }

    [TestCaseSource(nameof(Faults))]
    public void IsReported(string fault, string report)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the CPU device runs on Linux only");
        Devices.RequireSourceKernels("the expected reports are those of kernels compiled from source");
        if (Environment.GetEnvironmentVariable(FaultVariable) is { } wanted) // the process that is to fail
        {
            if (wanted == fault)
            {
                if (fault == "a new device after a fault")
                    GoOnAfterAFault();
                else
                    Commit(fault);
            }
            return;
        }
        var start = new ProcessStartInfo(
            Environment.ProcessPath!,
            ["--filter", $"FullyQualifiedName~{nameof(FaultTests)}"]
        )
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (
            (string name, string value) in new[]
            {
                (FaultVariable, fault),
                ("SPECTRAL_CPU_CHECK", "1"),
                (Device.CheckVariable, "1"),
            }
        )
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        Assert.Multiple(() =>
        {
            Assert.That(process.ExitCode, Is.Not.Zero);
            Assert.That(output, Does.Match(report));
        });
    }

    private static void GoOnAfterAFault()
    {
        CudaException error;
        using (var device = Device.Cpu())
        {
            var args = new AddArgs { Count = Count };
            error = Assert.Throws<CudaException>(() => AddArgs.Kernel.Launch(device, DType.F32, args, 1))!;
            Assert.That(device.Synchronize, Throws.TypeOf<CudaException>(), "the context is unusable");
        }
        object? nothing = null;
        Assert.That(() => nothing!.ToString(), Throws.TypeOf<NullReferenceException>());
        using (var device = Device.Cpu())
        {
            var x = Tensor.From(device, [1f, 2f], 2);
            Add.Forward(x, x, x);
            Assert.That(x.ToArray(), Is.EqualTo(new[] { 2f, 4f }));
            x.Dispose();
        }
        throw error;
    }

    private static void Commit(string fault)
    {
        Device device = Devices.Get(DeviceKind.Cpu);
        using var a = Tensor.Empty(device, Count);
        using var b = Tensor.Empty(device, Count);
        using var y = Tensor.Empty(device, Count);
        using var longer = Tensor.Empty(device, 2 * Count);
        if (fault == "too little shared memory")
        {
            using var matrix = Tensor.Empty(device, (1, 8, 8));
            using var inverse = Tensor.Empty(device, (1, 8, 8));
            device
                .Kernel<MatrixInverseArgs>("matrix_inverse", "matrix_inverse")
                .Launch(
                    new MatrixInverseArgs
                    {
                        X = matrix.Pointer,
                        Y = inverse.Pointer,
                        N = 8,
                    },
                    1,
                    64,
                    8 * 8 * sizeof(double)
                );
        }
        else if (fault == "race of rows") // each warp writes the row that its neighbour reads
        {
            var args = new RmsNormForwardArgs
            {
                X = longer.Pointer,
                Weight = a.Pointer,
                Y = longer.Pointer + 32 * sizeof(float),
                InverseRms = b.Pointer,
                Rows = 3,
                Columns = 32,
                YStride = 32,
                Lanes = 32,
            };
            device.Kernel<RmsNormForwardArgs>("rms_norm", "rms_norm_forward_f32").Launch(args, 1, 256);
        }
        else
        {
            var args = new AddArgs
            {
                A = longer.Pointer,
                B = longer.Pointer,
                Y = longer.Pointer,
                Count = Count,
            };
            switch (fault)
            {
                case "write behind a tensor":
                    (args.Y, args.Count) = (y.Pointer, Count + 1);
                    break;
                case "read behind a tensor":
                    (args.A, args.Count) = (a.Pointer, Count + 1);
                    break;
                case "read of a disposed tensor":
                    args.B = b.Pointer;
                    b.Dispose();
                    break;
                case "null address":
                    args.A = 0;
                    break;
                case "address far outside":
                    args.Y = 1ul << 46; // between the heap and the stacks, where nothing is mapped
                    break;
                case "odd address":
                    args.A += 2;
                    break;
            }
            device.Kernel<AddArgs>("elementwise", "add_f32").Launch(args, 1, 256);
        }
        device.Synchronize();
    }
}
