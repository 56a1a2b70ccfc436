using System.Runtime.InteropServices;

namespace Spectral.Kernels.Driver;

/// <summary>
/// Finds native libraries by name, the newest version first, and reports what is missing and which setting helps.
/// </summary>
public static class NativeLibraries
{
    /// <summary>Environment variable with folders to search first, separated as in <c>PATH</c>.</summary>
    public const string PathVariable = "SPECTRAL_LIBRARY_PATH";

    private static readonly List<string> ExtraFolders = [];

    /// <summary>Adds a folder that is searched before all others, for libraries that are not loaded yet.</summary>
    public static void AddSearchFolder(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        lock (ExtraFolders)
            ExtraFolders.Insert(0, folder);
    }

    /// <summary>Lists the folders that are searched, in order, before the system's own loader.</summary>
    public static IReadOnlyList<string> SearchFolders()
    {
        var folders = new List<string>();
        lock (ExtraFolders)
            folders.AddRange(ExtraFolders);
        foreach (
            string? list in new[]
            {
                Environment.GetEnvironmentVariable(PathVariable),
                AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string,
            }
        )
        {
            if (list is not null)
                folders.AddRange(list.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries));
        }

        folders.Add(AppContext.BaseDirectory);
        folders.Add(Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native"));
        foreach (string variable in new[] { "CUDA_PATH", "CUDA_HOME" })
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } cuda)
                folders.AddRange(ToolkitFolders(cuda));
        }

        if (OperatingSystem.IsLinux())
            folders.AddRange(Toolkits().Concat(PythonWheels()));
        return folders;
    }

    /// <summary>
    /// Lists the folders of a toolkit that hold libraries; on Windows CUDA 13 moved them to <c>bin\x64</c>.
    /// </summary>
    internal static string[] ToolkitFolders(string toolkit, bool? windows = null) =>
        windows ?? OperatingSystem.IsWindows()
            ? [Path.Combine(toolkit, "bin", "x64"), Path.Combine(toolkit, "bin")]
            : [Path.Combine(toolkit, "lib64")];

    /// <summary>
    /// Lists the toolkits that CUDA's installers leave: the current version, then all others, newest first.
    /// </summary>
    private static IEnumerable<string> Toolkits()
    {
        const string Root = "/usr/local";
        string[] versions = Directory.Exists(Root) ? Directory.GetDirectories(Root, "cuda-*") : [];
        return versions
            .OrderByDescending(folder =>
                Version.TryParse(Path.GetFileName(folder)["cuda-".Length..], out Version? version)
                    ? version
                    : new Version(0, 0)
            )
            .Prepend(Root + "/cuda")
            .Select(folder => folder + "/lib64");
    }

    /// <summary>
    /// Lists the folders of CUDA libraries that came as Python packages, <c>site-packages/nvidia/*/lib</c>, in the
    /// active environments and in that of each python3 on the path.
    /// </summary>
    private static IEnumerable<string> PythonWheels()
    {
        IEnumerable<string?> prefixes = (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Where(folder => File.Exists(Path.Combine(folder, "python3")))
            .Select(Path.GetDirectoryName)
            .Prepend(Environment.GetEnvironmentVariable("CONDA_PREFIX"))
            .Prepend(Environment.GetEnvironmentVariable("VIRTUAL_ENV"));
        return from prefix in prefixes.Where(prefix => !string.IsNullOrEmpty(prefix)).Distinct()
            from library in Folders(prefix, "lib*")
            from python in Folders(library, "python3*")
            from packages in Folders(python, "*-packages")
            from package in Folders(Path.Combine(packages, "nvidia"), "*")
            let libraries = Path.Combine(package, "lib")
            where Directory.Exists(libraries)
            select libraries;
    }

    private static string[] Folders(string folder, string pattern)
    {
        try
        {
            return Directory.Exists(folder) ? Directory.GetDirectories(folder, pattern) : [];
        }
        catch (Exception unreadable) when (unreadable is UnauthorizedAccessException or IOException)
        {
            return [];
        }
    }

    /// <summary>Loads the first of <paramref name="names"/> that can be found; returns false if none can.</summary>
    public static bool TryLoad(ReadOnlySpan<string> names, out nint library)
    {
        IReadOnlyList<string> folders = SearchFolders();
        foreach (string name in names)
        {
            foreach (string folder in folders)
            {
                string file = Path.Combine(folder, name);
                if (File.Exists(file) && NativeLibrary.TryLoad(file, out library))
                    return true;
            }
            if (NativeLibrary.TryLoad(name, out library))
                return true;
        }
        library = 0;
        return false;
    }

    /// <summary>
    /// Loads the first of <paramref name="names"/> that can be found; if none can, throws an exception that lists them.
    /// </summary>
    /// <exception cref="DllNotFoundException">None of the names could be loaded.</exception>
    public static nint Load(string purpose, params ReadOnlySpan<string> names) =>
        TryLoad(names, out nint library)
            ? library
            : throw new DllNotFoundException(
                $"{purpose}: none of {string.Join(", ", names.ToArray())} could be loaded; install it or "
                    + $"put its folder into {PathVariable}."
            );

    /// <summary>Returns the full path of a file in the search folders, or null.</summary>
    internal static string? FindFile(string name) =>
        SearchFolders().Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Returns the address of an exported function.</summary>
    /// <exception cref="EntryPointNotFoundException">The library has no such function, for example because it is an
    /// older version.</exception>
    internal static nint Function(nint library, string libraryName, string name) =>
        NativeLibrary.TryGetExport(library, name, out nint address)
            ? address
            : throw new EntryPointNotFoundException(
                $"{libraryName} has no function {name}: its version is too old or it is another library."
            );
}
