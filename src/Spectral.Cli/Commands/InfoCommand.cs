using System.Reflection;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;

namespace Spectral.Cli.Commands;

internal sealed class InfoCommand : SpectralCommand
{
    public InfoCommand()
        : base(
            "info",
            "Shows devices, driver and library versions, and the kernels in this build.",
            "spectral info",
            "spectral info --json"
        ) => AddOptions();

    public override void Execute(CommandContext context)
    {
        var devices = new List<DeviceFacts>();
        var notes = new List<string>();
        int count = Device.CudaCount(out string? reason);
        if (reason is not null)
            notes.Add($"CUDA: {reason}");
        for (int i = 0; i < count; i++)
            Look(() => Device.Cuda(i), $"cuda:{i}", devices, notes);
        Look(() => Device.Cpu(), "cpu", devices, notes);
        if (KernelLibrary.Architectures.Count == 0)
            notes.Add("this build holds no PTX (built without nvcc): it runs on the CPU only");

        var libraries = new JsonObject { ["spectral"] = Version(), ["runtime"] = Environment.Version.ToString() };
        foreach (DeviceFacts device in devices)
        {
            libraries[device.Kind + "_driver"] = device.Driver;
            libraries[device.Kind + "_blas"] = device.Blas;
            if (device.Kind == "cpu")
                libraries["cpu_products"] = device.Products;
        }
        var ptx = new JsonObject();
        foreach (string architecture in KernelLibrary.Architectures)
            ptx[architecture] = JsonOutput.Array(KernelLibrary.Ptx(architecture).Keys.Order(StringComparer.Ordinal));
        var variants = new JsonObject();
        foreach (DeviceFacts device in devices)
        {
            variants[device.Selector] = new JsonObject([
                .. device.Variants.Select(choice => KeyValuePair.Create(choice.Type, (JsonNode?)choice.Text)),
            ]);
        }

        // The CPU device runs all PTX that there is.
        bool hasCpu = devices.Exists(device => device.Kind == "cpu");
        IReadOnlyList<string> cpuPtx = hasCpu ? KernelLibrary.Architectures : [];

        var result = new JsonObject
        {
            ["devices"] = new JsonArray([.. devices.Select(device => (JsonNode)device.ToJson())]),
            ["libraries"] = libraries,
            ["kernels"] = new JsonObject
            {
                ["ptx"] = ptx,
                ["cpu_ptx"] = JsonOutput.Array(cpuPtx),
                ["low_rank_variant"] = variants,
            },
            ["notes"] = JsonOutput.Array(notes),
        };
        context.Finish(
            result,
            terminal =>
            {
                foreach (DeviceFacts device in devices)
                {
                    terminal.Line(
                        $"{device.Selector, -8}{device.Name}, {device.Memory / (1 << 20):N0} MiB, {device.Processors} "
                            + (
                                device.Profile is CpuProfile.None
                                    ? "cores"
                                    : $"multiprocessors, compute capability {device.Capability}"
                            )
                    );
                }

                if (cpuPtx.Count > 0)
                {
                    terminal.Line(
                        $"{"cpu-ptx", -8}the PTX of {string.Join(" or ", cpuPtx)} on the CPU device "
                            + $"({CpuDeviceOptions.PtxTargetVariable} chooses)"
                    );
                }

                if (hasCpu)
                {
                    terminal.Line(
                        $"{"", -8}{CpuDeviceOptions.ProfileVariable} gives the CPU device the limits of a GPU: "
                            + string.Join(", ", Enum.GetNames<CpuProfile>().Skip(1))
                    );
                }

                terminal.Table([.. libraries.Select(library => (library.Key, library.Value!.ToString()))]);
                foreach (DeviceFacts device in devices)
                {
                    IEnumerable<string> variants = device.Variants.Select(choice => $"{choice.Text} for {choice.Type}");
                    terminal.Line($"{device.Selector} low-rank layers: variant {string.Join(", ", variants)}");
                }

                foreach (string architecture in KernelLibrary.Architectures)
                {
                    terminal.Line(
                        $"ptx {architecture}  "
                            + $"{string.Join(' ', KernelLibrary.Ptx(architecture).Keys.Order(StringComparer.Ordinal))}"
                    );
                }

                foreach (string note in notes)
                    terminal.Line("note: " + note);
            }
        );
    }

    /// <summary>Adds the facts of a device, or a note if it cannot be opened.</summary>
    private static void Look(Func<Device> open, string selector, List<DeviceFacts> devices, List<string> notes)
    {
        try
        {
            using Device device = open();
            devices.Add(DeviceFacts.Of(device, selector));
            if (device.Kind != DeviceKind.Cuda)
                return;
            if (device.ComputeCapability.Major < 8)
                notes.Add($"{selector}: the kernels need compute capability 8.0 or newer");
            (int major, int minor) = device.DriverVersion;
            if ((major, minor).CompareTo((12, 4)) < 0)
            {
                notes.Add(
                    $"{selector}: the driver knows CUDA {major}.{minor}; our PTX comes from CUDA 12.4 and "
                        + "wants driver 550 or newer"
                );
            }
        }
        catch (Exception error)
            when (error
                    is CudaException
                        or DllNotFoundException
                        or EntryPointNotFoundException
                        or PlatformNotSupportedException
                        or InvalidOperationException
            )
        {
            notes.Add($"{selector}: {error.Message}");
        }
    }

    private static string Version() =>
        typeof(InfoCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    private sealed record DeviceFacts(
        string Selector,
        string Kind,
        string Name,
        long Memory,
        int Processors,
        string Capability,
        CpuProfile? Profile,
        string Driver,
        string Blas,
        string Products,
        (string Type, string Text)[] Variants
    )
    {
        public static DeviceFacts Of(Device device, string selector) =>
            new(
                selector,
                device.Kind == DeviceKind.Cpu ? "cpu" : "cuda",
                device.Name,
                device.TotalMemory,
                device.MultiprocessorCount,
                $"{device.ComputeCapability.Major}.{device.ComputeCapability.Minor}",
                device.CpuProfile,
                $"{device.DriverVersion.Major}.{device.DriverVersion.Minor}",
                BlasFact(device, blas => $"{blas.Version / 10000}.{blas.Version / 100 % 100}.{blas.Version % 100}"),
                BlasFact(device, blas => blas.Library),
                [
                    .. new[] { DType.F32, DType.BF16 }.Select(type =>
                        (type.Suffix(), LowRankLinear.Choose(device, type).Choice)
                    ),
                ]
            );

        public JsonObject ToJson() =>
            new()
            {
                ["name"] = Name,
                ["kind"] = Kind,
                ["device"] = Selector,
                ["memory_bytes"] = Memory,
                ["multiprocessors"] = Processors,
                ["compute_capability"] = Capability,
            };

        private static string BlasFact(Device device, Func<Blas, string> fact)
        {
            try
            {
                return fact(device.Blas);
            }
            catch (Exception error) when (error is CudaException or DllNotFoundException or EntryPointNotFoundException)
            {
                return error.Message;
            }
        }
    }
}
