namespace Spectral.Training.Tests.Support;

/// <summary>A folder that goes away with the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; }

    /// <summary>
    /// Where the system keeps files in memory, if it does: for files that are written thousands of times.
    /// </summary>
    public static TemporaryFolder InMemory() =>
        Directory.Exists("/dev/shm")
            ? new TemporaryFolder($"/dev/shm/spectral-test-{Guid.NewGuid():N}")
            : new TemporaryFolder();

    public TemporaryFolder()
        : this(Directory.CreateTempSubdirectory("spectral-test-").FullName) { }

    private TemporaryFolder(string path) => Path = Directory.CreateDirectory(path).FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public string Write(string name, string text)
    {
        System.IO.File.WriteAllText(File(name), text);
        return File(name);
    }

    public string Write(string name, byte[] bytes)
    {
        System.IO.File.WriteAllBytes(File(name), bytes);
        return File(name);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
