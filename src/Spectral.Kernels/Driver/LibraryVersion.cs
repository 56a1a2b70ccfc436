namespace Spectral.Kernels.Driver;

/// <summary>Describes a major version of a CUDA library, by which its file is called.</summary>
/// <param name="Major">Version of the library.</param>
/// <param name="Cuda">Major version of CUDA that it belongs to.</param>
internal readonly record struct LibraryVersion(int Major, int Cuda)
{
    /// <summary>
    /// Lists the files of the versions that a driver runs. Within a major version of CUDA a library runs on drivers of
    /// any minor one, and on all of later versions; never on those of an earlier version.
    /// </summary>
    /// <param name="file">The file's name without <c>lib</c>, version and ending, e.g. <c>cublas</c>.</param>
    /// <param name="driver">Version of CUDA of the driver.</param>
    /// <param name="versions">What there is, the newest first.</param>
    /// <param name="windows">Whether files are called as on Windows.</param>
    public static string[] Files(
        string file,
        (int Major, int Minor) driver,
        ReadOnlySpan<LibraryVersion> versions,
        bool windows
    )
    {
        var files = new List<string>();
        foreach ((int major, int cuda) in versions)
        {
            if (cuda <= driver.Major)
                files.Add(windows ? $"{file}64_{major}.dll" : $"lib{file}.so.{major}");
        }

        return [.. files];
    }

    /// <summary>Finds the first library that loads and starts; if none starts, the first that loads.</summary>
    /// <param name="files">Names of the files.</param>
    /// <param name="load">Loads a file, and returns 0 if it cannot be found.</param>
    /// <param name="start">Starts a library, and returns its status: 0 if it runs.</param>
    /// <returns>The library, 0 if none loads, and its status.</returns>
    public static (nint Library, int Status) FirstThatStarts(
        IEnumerable<string> files,
        Func<string, nint> load,
        Func<nint, int> start
    )
    {
        (nint Library, int Status) failed = default;
        foreach (string file in files)
        {
            nint library = load(file);
            if (library == 0)
                continue;
            int status = start(library);
            if (status == 0)
                return (library, 0);
            if (failed.Library == 0)
                failed = (library, status);
        }

        return failed;
    }
}
