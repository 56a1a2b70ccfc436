using System.Reflection;

namespace Spectral.Kernels;

/// <summary>The compiled kernels inside this assembly, for our own devices and for any other CUDA loader.</summary>
public static class KernelLibrary
{
    internal const string CpuImage = "libspectral_kernels.so";

    /// <summary>Targets for which PTX is embedded, e.g. <c>sm_80</c>; none when the build had no nvcc.</summary>
    public static IReadOnlyList<string> Architectures { get; } =
        Resources().Select(resource => resource.Arch).Distinct().Order(StringComparer.Ordinal).ToArray();

    /// <summary>The PTX text of every kernel module for one target, by module name.</summary>
    /// <exception cref="ArgumentException">No PTX for <paramref name="arch"/> is embedded.</exception>
    public static IReadOnlyDictionary<string, string> Ptx(string arch) =>
        Architectures.Contains(arch)
            ? Resources()
                .Where(resource => resource.Arch == arch)
                .ToDictionary(resource => resource.Module, resource => Ptx(arch, resource.Module))
            : throw new ArgumentException(
                $"no PTX for {arch} in this build; it has: {(Architectures.Count > 0 ? string.Join(", ", Architectures) : "none")}",
                nameof(arch)
            );

    /// <summary>The PTX text of one kernel module for one target.</summary>
    /// <exception cref="ArgumentException">It is not embedded.</exception>
    public static string Ptx(string arch, string module)
    {
        using Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"ptx/{arch}/{module}");
        if (stream is null)
        {
            throw new ArgumentException(
                $"no PTX of module {module} for {arch} in this build (built without nvcc?)",
                nameof(module)
            );
        }

        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>The target whose PTX a GPU of this compute capability loads: sm_90a exactly on 9.0, else sm_80 upwards.</summary>
    /// <exception cref="PlatformNotSupportedException">The GPU is older than compute capability 8.0.</exception>
    public static string ArchitectureFor((int Major, int Minor) capability) =>
        capability switch
        {
            (9, 0) when Architectures.Contains("sm_90a") => "sm_90a",
            (>= 8, _) => "sm_80",
            _ => throw new PlatformNotSupportedException(
                $"compute capability {capability.Major}.{capability.Minor}: the kernels need 8.0 or newer"
            ),
        };

    private static IEnumerable<(string Arch, string Module)> Resources() =>
        Assembly
            .GetExecutingAssembly()
            .GetManifestResourceNames()
            .Where(name => name.StartsWith("ptx/", StringComparison.Ordinal))
            .Select(name => name.Split('/'))
            .Select(parts => (parts[1], parts[2]));
}
