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

    /// <summary>
    /// Opens the newest version of the library that the driver runs, or the next one if that does not start.
    /// </summary>
    /// <param name="api">The driver, with the context current that the library is for.</param>
    /// <param name="driver">The version of CUDA of the driver.</param>
    /// <param name="name">The library's name, for messages.</param>
    /// <param name="file">Its file's name without <c>lib</c>, version and ending, e.g. <c>cublas</c>.</param>
    /// <param name="prefix">What the names of its functions begin with, e.g. <c>cublas</c>.</param>
    /// <param name="create">The function that makes a handle, without the prefix.</param>
    /// <param name="statusNames">Names of the statuses by value; null where a value has none.</param>
    /// <param name="versions">Versions to try, the newest first.</param>
    /// <exception cref="DllNotFoundException">None of the versions could be loaded.</exception>
    /// <exception cref="EntryPointNotFoundException">The library has no such function.</exception>
    /// <exception cref="CudaException">No version starts.</exception>
    public LibraryFunctions(
        DriverApi api,
        (int Major, int Minor) driver,
        string name,
        string file,
        string prefix,
        string create,
        string?[] statusNames,
        params ReadOnlySpan<LibraryVersion> versions
    )
    {
        _api = api;
        _libraryName = _api.IsCpu ? DriverApi.CpuLibraryName : name;
        _prefix = prefix;
        _statusNames = statusNames;
        Name = name;
        string[] files = _api.IsCpu
            ? [DriverApi.CpuLibraryName]
            : LibraryVersion.Files(file, driver, versions, OperatingSystem.IsWindows());
        if (files.Length == 0)
            throw new DllNotFoundException($"{name}: a driver of CUDA {driver.Major}.{driver.Minor} runs no known one");
        nint handle = 0;
        (_library, int status) = LibraryVersion.FirstThatStarts(files, Load, Start);
        if (_library == 0)
            NativeLibraries.Load(name, files); // says what was looked for
        Check(status, $"starting {name} on a driver of CUDA {driver.Major}.{driver.Minor}", create);
        Handle = handle;

        nint Load(string found)
        {
            if (_api.IsCpu)
                return _api.Library;
            return NativeLibraries.TryLoad([found], out nint library) ? library : 0;
        }

        unsafe int Start(nint library)
        {
            var start = (delegate* unmanaged<nint*, int>)Function(library, create);
            nint made;
            int result = start(&made);
            handle = result == 0 ? made : 0;
            return result;
        }
    }

    /// <summary>The handle that the library was started with; whoever opened the library frees it.</summary>
    public nint Handle { get; }

    /// <summary>The library's name, for messages.</summary>
    public string Name { get; }

    /// <summary>Address of a function, whose name is given without the prefix.</summary>
    /// <exception cref="EntryPointNotFoundException">The library has no such function.</exception>
    public nint this[string function] => Function(_library, function);

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

    private nint Function(nint library, string function) =>
        _api.Replaced(_prefix + function) ?? NativeLibraries.Function(library, _libraryName, _prefix + function);
}
