using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>
/// --device, --dtype and --threads, for every command that computes, and --tune for those that run for long.
/// </summary>
internal sealed class DeviceOptions
{
    private const string CpuPtx = "cpu-ptx";
    private const string Expected = "auto, cpu, cpu-ptx, cuda or cuda:N";

    private readonly Option<string> _device = new("--device")
    {
        Description =
            "Device to compute on; auto is the first suitable GPU, or else the CPU; cpu-ptx runs a GPU's code (PTX) on "
            + "the CPU. "
            + CpuDeviceOptions.ProfileVariable
            + "=H100 gives the CPU the limits of that GPU.",
        HelpName = "auto|cpu|cpu-ptx|cuda[:N]",
        DefaultValueFactory = _ => "auto",
        CustomParser = result =>
        {
            string value = OptionTypes.Value(result);
            if (value is not ("auto" or "cpu" or CpuPtx) && CudaOrdinal(value) is null)
                result.AddError(OptionTypes.Complaint("--device", value, Expected));
            return value;
        },
    };

    private readonly Option<string> _type = OptionTypes.Choice(
        "--dtype",
        "Type of weights and activations; auto is bf16 on a GPU and f32 on the CPU.",
        "auto",
        "auto",
        "f32",
        "bf16"
    );
    private readonly Option<int?> _threads = OptionTypes.OptionalInteger(
        "--threads",
        "Threads of the CPU device; they do not change the results. [default: all cores]",
        1,
        4096
    );

    private readonly Option<string?> _memory = new("--max-memory")
    {
        Description =
            "Device memory that the command may hold, e.g. 8GB or 512MiB; with less than it needs, it fails and says "
            + "which options would help. [default: all of the device's]",
        HelpName = "SIZE",
        CustomParser = result =>
        {
            string value = OptionTypes.Value(result);
            if (MemorySize.Parse(value) is null)
                result.AddError(OptionTypes.Complaint("--max-memory", value, MemorySize.Expected));
            return value;
        },
    };

    private readonly Option<bool> _tune = OptionTypes.Flag(
        "--tune",
        "Time the variants of each op once per shape and use the fastest, instead of choosing by fixed rules; the "
            + "choices are kept in the user's cache folder."
    );

    public Option[] All => [_device, _type, _threads, _memory];

    /// <summary>
    /// The options of commands that compute in F32, and whose --dtype is the type of the result
    /// (<see cref="ResultTypeOption"/>).
    /// </summary>
    public Option[] WithoutType => [_device, _threads, _memory];

    public Option[] WithTuning => [.. All, _tune];

    /// <summary>Opens the device that the options name.</summary>
    /// <exception cref="InputException">This machine or build has no such device, or an environment variable that
    /// chooses the CPU device's kernels has a value that is not allowed.</exception>
    public Device Open(CommandContext context)
    {
        Device opened;
        try
        {
            opened = Find(context);
        }
        catch (InvalidOperationException error)
        {
            throw new InputException(error.Message);
        }
        if (opened.Kind == DeviceKind.Cuda && context.Get(_memory) is null)
            context.SavesMemory.Add("--device cpu");
        opened.Memory.Limit = context.Get(_memory) is { } size ? MemorySize.Parse(size) : null;
        opened.Tuner.Enabled = context.Get(_tune);
        opened.Tuner.Warning = context.Terminal.Warn;
        return opened;
    }

    private Device Find(CommandContext context)
    {
        string wanted = context.Get(_device);
        var cpu = new CpuDeviceOptions { Threads = context.Get(_threads) };
        // Of several ranks each takes the GPU of its own number, not the first that suits.
        if (wanted == "auto" && context.Launch.Count > 1)
            wanted = KernelLibrary.Architectures.Count > 0 && Device.CudaCount(out _) > 0 ? "cuda" : "cpu";
        if (wanted == "cpu")
            return Device.Cpu(cpu);
        if (wanted == CpuPtx)
        {
            return KernelLibrary.Architectures.Count > 0
                ? Device.Cpu(cpu with { Kernels = CpuKernels.Ptx })
                : throw new InputException(
                    $"--device \"{wanted}\": this build holds no PTX (built without nvcc); "
                        + "expected auto, cpu, cuda or cuda:N"
                );
        }
        if (wanted == "auto")
        {
            var best = Device.Best();
            if (best.Kind == DeviceKind.Cuda)
                return best;
            best.Dispose();
            return Device.Cpu(cpu);
        }
        int count = Device.CudaCount(out string? reason);
        // Each rank of a machine has a GPU of its own, unless the launcher shows it only that one.
        int ordinal = wanted == "cuda" && count > 1 ? context.Launch.LocalRank : CudaOrdinal(wanted)!.Value;
        if (ordinal >= count)
        {
            throw new InputException(
                $"--device \"{wanted}\": {reason ?? $"there are {count} CUDA devices, numbered from 0"}; "
                    + "expected a device that `spectral info` lists"
            );
        }

        var cuda = Device.Cuda(ordinal);
        if (cuda.ComputeCapability.Major >= 8)
            return cuda;
        string name = cuda.Name;
        (int major, int minor) = cuda.ComputeCapability;
        cuda.Dispose();
        throw new InputException(
            $"--device \"{wanted}\": {name} has compute capability {major}.{minor}; expected 8.0 or newer"
        );
    }

    public DType TypeOn(Device opened, CommandContext context)
    {
        DType chosen = context.Get(_type) switch
        {
            "f32" => DType.F32,
            "bf16" => DType.BF16,
            _ => UsualType(opened),
        };
        if (chosen == DType.F32)
            context.SavesMemory.Add("--dtype bf16");
        return chosen;
    }

    /// <summary>Returns the type of weights and activations where no option names one.</summary>
    public static DType UsualType(Device opened) => opened.Kind == DeviceKind.Cuda ? DType.BF16 : DType.F32;

    /// <summary>Returns whether --dtype names the type, rather than auto.</summary>
    public bool Wants(CommandContext context, DType wanted) =>
        context.Get(_type) == (wanted == DType.BF16 ? "bf16" : "f32");

    private static int? CudaOrdinal(string value)
    {
        if (value == "cuda")
            return 0;
        return
            value.StartsWith("cuda:", StringComparison.Ordinal)
            && int.TryParse(value.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int ordinal)
            ? ordinal
            : null;
    }
}
