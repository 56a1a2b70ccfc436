using System.Runtime.InteropServices;

namespace Spectral.Kernels.Driver;

/// <summary>Finds native libraries by name, newest version first, and says what is missing and what to set.</summary>
public static class NativeLibraries
{
    /// <summary>Environment variable with extra folders to search first, separated like <c>PATH</c>.</summary>
    public const string PathVariable = "SPECTRAL_LIBRARY_PATH";

    private static readonly List<string> ExtraFolders = [];

    /// <summary>Adds a folder that is searched before all others for libraries not loaded yet.</summary>
    public static void AddSearchFolder(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        lock (ExtraFolders) ExtraFolders.Insert(0, folder);
    }

    /// <summary>Folders that are searched, in order, before the system's own loader is asked.</summary>
    public static IReadOnlyList<string> SearchFolders()
    {
        var folders = new List<string>();
        lock (ExtraFolders) folders.AddRange(ExtraFolders);
        foreach (string? list in new[] { Environment.GetEnvironmentVariable(PathVariable), AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string })
            if (list is not null) folders.AddRange(list.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries));
        folders.Add(AppContext.BaseDirectory);
        folders.Add(Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native"));
        if (Environment.GetEnvironmentVariable("CUDA_PATH") is { Length: > 0 } cuda) folders.Add(Path.Combine(cuda, OperatingSystem.IsWindows() ? "bin" : "lib64"));
        if (OperatingSystem.IsLinux()) folders.Add("/usr/local/cuda/lib64");
        return folders;
    }

    /// <summary>Loads the first of <paramref name="names"/> that can be found; false when none can.</summary>
    public static bool TryLoad(ReadOnlySpan<string> names, out nint library)
    {
        IReadOnlyList<string> folders = SearchFolders();
        foreach (string name in names)
        {
            foreach (string folder in folders)
            {
                string file = Path.Combine(folder, name);
                if (File.Exists(file) && NativeLibrary.TryLoad(file, out library)) return true;
            }
            if (NativeLibrary.TryLoad(name, out library)) return true;
        }
        library = 0;
        return false;
    }

    /// <summary>As <see cref="TryLoad"/>, but a library that cannot be found is an error that names all that was tried.</summary>
    /// <exception cref="DllNotFoundException">None of the names could be loaded.</exception>
    public static nint Load(string purpose, params ReadOnlySpan<string> names) => TryLoad(names, out nint library)
        ? library
        : throw new DllNotFoundException($"{purpose}: none of {string.Join(", ", names.ToArray())} could be loaded; install it or put its folder into {PathVariable}.");

    /// <summary>The full path of a file in the search folders, or null.</summary>
    internal static string? FindFile(string name) => SearchFolders().Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>The address of an exported function.</summary>
    /// <exception cref="EntryPointNotFoundException">The library has no such function (an older version, say).</exception>
    internal static nint Function(nint library, string libraryName, string name) => NativeLibrary.TryGetExport(library, name, out nint address)
        ? address
        : throw new EntryPointNotFoundException($"{libraryName} has no function {name}: its version is too old or it is another library.");
}
