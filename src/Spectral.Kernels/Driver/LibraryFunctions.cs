namespace Spectral.Kernels.Driver;

/// <summary>
/// Finds the functions of a CUDA library: NVIDIA's on a GPU, or those that the CPU device exports under the same names.
/// </summary>
internal readonly struct LibraryFunctions
{
    private readonly nint _library;
    private readonly string _name;
    private readonly string _prefix;

    /// <summary>Opens the newest version of the library that can be found.</summary>
    /// <param name="api">The driver of the device that the library is for.</param>
    /// <param name="name">The library's name, for messages.</param>
    /// <param name="file">Its file's name without <c>lib</c>, version and ending, e.g. <c>cublas</c>.</param>
    /// <param name="prefix">What the names of its functions begin with, e.g. <c>cublas</c>.</param>
    /// <param name="versions">Major versions to try, the newest first.</param>
    /// <exception cref="DllNotFoundException">None of the versions could be loaded.</exception>
    public LibraryFunctions(DriverApi api, string name, string file, string prefix, params ReadOnlySpan<int> versions)
    {
        string[] names = new string[versions.Length];
        for (int i = 0; i < names.Length; i++)
            names[i] = OperatingSystem.IsWindows() ? $"{file}64_{versions[i]}.dll" : $"lib{file}.so.{versions[i]}";
        _library = api.IsCpu ? api.Library : NativeLibraries.Load(name, names);
        _name = api.IsCpu ? DriverApi.CpuLibraryName : name;
        _prefix = prefix;
    }

    /// <summary>Address of a function, whose name is given without the prefix.</summary>
    /// <exception cref="EntryPointNotFoundException">The library has no such function.</exception>
    public nint this[string function] => NativeLibraries.Function(_library, _name, _prefix + function);

    /// <summary>Turns a status other than 0 into an exception with the text of the call.</summary>
    /// <param name="status">What the call returned.</param>
    /// <param name="prefix">What the names of the library's functions begin with.</param>
    /// <param name="names">Names of the statuses by value; null where a value has none.</param>
    /// <param name="doing">What was being done.</param>
    /// <param name="call">The call as its caller wrote it, by the field that holds the function.</param>
    /// <exception cref="CudaException">The status is not 0.</exception>
    public static void Check(int status, string prefix, ReadOnlySpan<string?> names, string doing, string call)
    {
        if (status == 0)
            return;
        string? known = (uint)status < (uint)names.Length ? names[status] : null;
        throw new CudaException(prefix + call.TrimStart('_'), status, known ?? "unknown status", "", doing);
    }
}
