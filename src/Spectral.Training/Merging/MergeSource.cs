namespace Spectral.Training.Merging;

/// <summary>One input of a merge, as changes of the base's tensors.</summary>
internal abstract class MergeSource : IDisposable
{
    /// <summary>The input's folder, for messages.</summary>
    public abstract string Directory { get; }

    /// <summary>The warnings about things that are unusual but harmless, one line each.</summary>
    public abstract IReadOnlyList<string> Warnings { get; }

    /// <summary>Whether head and embedding, tied in the base, differ with this input.</summary>
    public abstract bool Parts { get; }

    /// <summary>Returns whether a tensor may differ from the base's.</summary>
    public abstract bool Changes(string tensor);

    /// <summary>Opens a tensor that the input <see cref="Changes"/>. That of an adapter is computed here.</summary>
    public abstract InputTensor Open(string tensor);

    /// <inheritdoc/>
    public abstract void Dispose();
}
