using System.Runtime.CompilerServices;

namespace Spectral.Kernels.Driver;

/// <summary>
/// Finds the functions of a CUDA library and checks what they return. The library is NVIDIA's on a GPU, or the CPU
/// device, which exports functions under the same names.
/// </summary>
internal sealed class LibraryFunctions
{
    private readonly DriverApi _api;
    private readonly nint _library;
    private readonly string _libraryName;
    private readonly string _prefix;
    private readonly string?[] _statusNames;

    /// <summary>Opens the newest version of the library that can be found.</summary>
    /// <param name="api">The driver of the device that the library is for.</param>
    /// <param name="name">The library's name, for messages.</param>
    /// <param name="file">Its file's name without <c>lib</c>, version and ending, e.g. <c>cublas</c>.</param>
    /// <param name="prefix">What the names of its functions begin with, e.g. <c>cublas</c>.</param>
    /// <param name="statusNames">Names of the statuses by value; null where a value has none.</param>
    /// <param name="versions">Major versions to try, the newest first.</param>
    /// <exception cref="DllNotFoundException">None of the versions could be loaded.</exception>
    public LibraryFunctions(
        DriverApi api,
        string name,
        string file,
        string prefix,
        string?[] statusNames,
        params ReadOnlySpan<int> versions
    )
    {
        string[] names = new string[versions.Length];
        for (int i = 0; i < names.Length; i++)
            names[i] = OperatingSystem.IsWindows() ? $"{file}64_{versions[i]}.dll" : $"lib{file}.so.{versions[i]}";
        _api = api;
        _library = api.IsCpu ? api.Library : NativeLibraries.Load(name, names);
        _libraryName = api.IsCpu ? DriverApi.CpuLibraryName : name;
        _prefix = prefix;
        _statusNames = statusNames;
        Name = name;
    }

    /// <summary>The library's name, for messages.</summary>
    public string Name { get; }

    /// <summary>Address of a function, whose name is given without the prefix.</summary>
    /// <exception cref="EntryPointNotFoundException">The library has no such function.</exception>
    public nint this[string function] =>
        _api.Replaced(_prefix + function) ?? NativeLibraries.Function(_library, _libraryName, _prefix + function);

    /// <summary>Turns a status other than 0 into an exception with the text of the call.</summary>
    /// <param name="status">What the call returned.</param>
    /// <param name="doing">What was being done.</param>
    /// <param name="call">The call as its caller wrote it, by the variable that holds the function.</param>
    /// <exception cref="CudaException">The status is not 0.</exception>
    public void Check(int status, string doing, [CallerArgumentExpression(nameof(status))] string call = "")
    {
        if (status == 0)
            return;
        string? known = (uint)status < (uint)_statusNames.Length ? _statusNames[status] : null;
        throw new CudaException(_prefix + call.TrimStart('_'), status, known ?? "unknown status", "", doing);
    }
}
