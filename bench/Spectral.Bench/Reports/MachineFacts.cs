using System.Diagnostics;
using System.Reflection;
using System.Text.Json.Nodes;
using Spectral.Bench.Baselines;
using Spectral.Kernels;

namespace Spectral.Bench.Reports;

/// <summary>What a measurement was taken on, as far as it can be read without changing anything.</summary>
internal static class MachineFacts
{
    public const string CpuWarning = "CPU device: not a GPU measurement";

    public static JsonObject Describe(Machine machine) =>
        new()
        {
            ["name"] = machine.Device.Name,
            ["kind"] = machine.IsGpu ? "gpu" : "cpu",
            ["warning"] = machine.IsGpu ? null : CpuWarning,
            ["multiprocessors"] = machine.Device.MultiprocessorCount,
            ["compute_capability"] =
                $"{machine.Device.ComputeCapability.Major}.{machine.Device.ComputeCapability.Minor}",
            ["memory_bytes"] = machine.Device.TotalMemory,
            ["l2_bytes"] = machine.Device.L2CacheBytes,
            ["driver_cuda"] = $"{machine.Device.DriverVersion.Major}.{machine.Device.DriverVersion.Minor}",
            ["blas_version"] = machine.Device.Blas.Version,
            ["blas_lt_version"] = LtBaselines.Open(() => machine.Lt, out _)?.Version,
            ["ptx"] = new JsonArray([.. KernelLibrary.Architectures.Select(architecture => (JsonNode)architecture)]),
            ["spectral"] = typeof(MachineFacts)
                .Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
                .InformationalVersion,
            ["runtime"] = Environment.Version.ToString(),
            ["host_cores"] = Environment.ProcessorCount,
        };

    /// <summary>
    /// Driver version, clocks, temperature and power as nvidia-smi reports them now; null without it.
    /// </summary>
    public static JsonObject? Clocks(Machine machine)
    {
        if (!machine.IsGpu)
            return null;
        string[] fields =
        [
            "driver_version",
            "clocks.sm",
            "clocks.mem",
            "clocks.max.sm",
            "temperature.gpu",
            "power.draw",
            "pstate",
        ];
        try
        {
            using Process process = Process.Start(
                new ProcessStartInfo(
                    "nvidia-smi",
                    [
                        "-i",
                        machine.Device.Ordinal.ToString(),
                        $"--query-gpu={string.Join(',', fields)}",
                        "--format=csv,noheader",
                    ]
                )
                {
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                }
            )!;
            string[] values = process.StandardOutput.ReadToEnd().Trim().Split(", ");
            process.WaitForExit();
            return process.ExitCode == 0 && values.Length == fields.Length
                ? new JsonObject(fields.Zip(values, (field, value) => KeyValuePair.Create(field, (JsonNode?)value)))
                : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
