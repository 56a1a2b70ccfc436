namespace Spectral.Cli.Output;

/// <summary>What --out names: a folder or a file, which one process at a time writes, whole or not at all.</summary>
internal interface IOutput : IDisposable
{
    /// <summary>The absolute path.</summary>
    string FullPath { get; }

    /// <summary>Locks it for this process. To be called after all inputs are checked, before the work.</summary>
    /// <exception cref="Training.IO.InputException">Another process writes it, or it cannot be written.</exception>
    void Claim();

    /// <summary>
    /// Has <paramref name="write"/> fill it: a folder through a temporary one, a file by a writer that replaces it when
    /// it is complete.
    /// </summary>
    void Fill(Action<string> write);
}
