using System.IO.Compression;
using System.Reflection;

namespace Spectral.Kernels;

/// <summary>
/// Gives access to the compiled kernels in this assembly, for the devices of this library and for any other CUDA
/// loader.
/// </summary>
/// <example>
/// <code>
/// string target = KernelLibrary.ArchitectureFor((9, 0)); // sm_90a
/// string ptx = KernelLibrary.Ptx(target, "rms_norm");
/// string entry = RmsNormForwardArgs.Kernel.Names[1]; // rms_norm_forward_bf16
/// </code>
/// </example>
public static class KernelLibrary
{
    internal const string CpuImage = "libspectral_kernels.so";

    /// <summary>
    /// All PTX as one compressed archive with entries ARCH/MODULE.ptx; absent from a build without nvcc.
    /// </summary>
    private const string PtxArchive = "ptx.zip";

    /// <summary>
    /// Machine code as an archive with entries ARCH/MODULE.cubin; absent from builds that are not for a package.
    /// </summary>
    private const string CubinArchive = "cubin.zip";

    private static readonly Lazy<string[]> CubinArchitectures = new(ReadCubinArchitectures);

    /// <summary>Names of the modules of each target whose PTX is embedded.</summary>
    private static readonly Lazy<ILookup<string, string>> Modules = new(ReadModules);

    /// <summary>Targets whose PTX is embedded, e.g. <c>sm_80</c>; none if the build had no nvcc.</summary>
    public static IReadOnlyList<string> Architectures { get; } =
        Modules.Value.Select(modules => modules.Key).Order(StringComparer.Ordinal).ToArray();

    /// <summary>Returns the PTX text of all kernel modules for one target, by module name.</summary>
    /// <exception cref="ArgumentException">No PTX for <paramref name="arch"/> is embedded.</exception>
    public static IReadOnlyDictionary<string, string> Ptx(string arch) =>
        Architectures.Contains(arch)
            ? Modules.Value[arch].ToDictionary(module => module, module => Ptx(arch, module))
            : throw new ArgumentException(
                $"no PTX for {arch} in this build; it has: "
                    + $"{(Architectures.Count > 0 ? string.Join(", ", Architectures) : "none")}",
                nameof(arch)
            );

    /// <summary>Returns the PTX text of one kernel module for one target.</summary>
    /// <exception cref="ArgumentException">No PTX of the module is embedded for this target.</exception>
    public static string Ptx(string arch, string module)
    {
        using ZipArchive? archive = Open(PtxArchive);
        if (archive?.GetEntry($"{arch}/{module}.ptx") is not { } entry)
        {
            throw new ArgumentException(
                $"no PTX of module {module} for {arch} in this build (built without nvcc?)",
                nameof(module)
            );
        }

        using var reader = new StreamReader(entry.Open());
        return reader.ReadToEnd();
    }

    /// <summary>
    /// Chooses the target whose PTX a GPU of this compute capability loads: <c>sm_90a</c> for exactly 9.0, else
    /// <c>sm_80</c> for 8.0 and above.
    /// </summary>
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

    /// <summary>
    /// Returns <paramref name="arch"/> if the module is embedded for it, or else another target for which it is, if
    /// there is one.
    /// </summary>
    internal static string NearestTarget(string arch, string module) =>
        Architectures.OrderBy(other => other != arch).FirstOrDefault(other => Modules.Value[other].Contains(module))
        ?? arch;

    /// <summary>
    /// Returns the machine code of one kernel module for a GPU of this compute capability, which its driver need not
    /// compile; null if none is embedded.
    /// </summary>
    internal static byte[]? Cubin((int Major, int Minor) capability, string module)
    {
        if (CubinTarget(capability, CubinArchitectures.Value) is not { } target)
            return null;
        using ZipArchive? archive = Open(CubinArchive);
        if (archive?.GetEntry($"{target}/{module}.cubin") is not { } entry)
            return null;
        using var image = new MemoryStream();
        using (Stream from = entry.Open())
            from.CopyTo(image);
        return image.ToArray();
    }

    /// <summary>
    /// Chooses machine code that a GPU runs: that of its own capability, or else of the nearest lower one of the same
    /// major number. Code for <c>sm_90a</c> runs on 9.0 alone. Null if there is none.
    /// </summary>
    internal static string? CubinTarget((int Major, int Minor) capability, IReadOnlyCollection<string> targets)
    {
        (int major, int minor) = capability;
        IEnumerable<string> names = Enumerable.Range(0, minor + 1).Reverse().Select(lower => $"sm_{major}{lower}");
        return capability == (9, 0) && targets.Contains("sm_90a") ? "sm_90a" : names.FirstOrDefault(targets.Contains);
    }

    /// <summary>Whether a module uses instructions that compute capability 9.0 alone has.</summary>
    internal static bool IsForHopper(string module) => module.EndsWith("_sm90", StringComparison.Ordinal);

    private static ILookup<string, string> ReadModules()
    {
        using ZipArchive? archive = Open(PtxArchive);
        IEnumerable<ZipArchiveEntry> entries = archive?.Entries ?? Enumerable.Empty<ZipArchiveEntry>();
        return entries
            .Where(entry => entry.Name.EndsWith(".ptx", StringComparison.Ordinal)) // not ptxas' reports
            .ToLookup(
                entry => Path.GetDirectoryName(entry.FullName)!,
                entry => Path.GetFileNameWithoutExtension(entry.Name)
            );
    }

    private static string[] ReadCubinArchitectures()
    {
        using ZipArchive? archive = Open(CubinArchive);
        return archive is null
            ? []
            : [.. archive.Entries.Select(entry => Path.GetDirectoryName(entry.FullName)!).Distinct()];
    }

    private static ZipArchive? Open(string name)
    {
        Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name);
        return stream is null ? null : new ZipArchive(stream);
    }
}
