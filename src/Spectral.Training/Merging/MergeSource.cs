using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Routing;

namespace Spectral.Training.Merging;

/// <summary>One input of a merge, as changes of the base's tensors.</summary>
internal abstract class MergeSource : IDisposable
{
    /// <summary>Opens a folder and checks that it suits the base.</summary>
    /// <param name="model">The model that the input was tuned from.</param>
    /// <param name="directory">The folder of an adapter or of a whole checkpoint.</param>
    /// <param name="device">The device that computes an adapter's changes.</param>
    /// <exception cref="InputException">It is neither, is malformed, or is of another base.</exception>
    public static MergeSource Open(ModelFolder model, string directory, Device device)
    {
        FolderFile.RequireFolder(directory, "folder of an adapter or of a tuned model");
        if (File.Exists(Path.Combine(directory, "adapter_config.json")) || ExpertFolder.IsOne(directory))
            return new AdapterSource(model, directory, device);
        if (File.Exists(Path.Combine(directory, "config.json")))
            return new CheckpointSource(model, directory);
        throw new InputException(
            $"{directory}: expected an adapter (adapter_config.json) or a tuned model (config.json) in the folder"
        );
    }

    /// <summary>The input's folder, for messages.</summary>
    public abstract string Directory { get; }

    /// <summary>The warnings about things that are unusual but harmless, one line each.</summary>
    public abstract IReadOnlyList<string> Warnings { get; }

    /// <summary>What speaks against the input being tuned from the base, in one line; null: nothing.</summary>
    public virtual string? Doubt => null;

    /// <summary>Whether head and embedding, tied in the base, differ with this input.</summary>
    public abstract bool Parts { get; }

    /// <summary>Returns whether a tensor may differ from the base's.</summary>
    public abstract bool Changes(string tensor);

    /// <summary>Opens a tensor that the input <see cref="Changes"/>. That of an adapter is computed here.</summary>
    public abstract InputTensor Open(string tensor);

    /// <summary>
    /// Returns the rank of a tensor's change as low-rank terms, 0 if the input does not change it; null: it has no such
    /// form.
    /// </summary>
    public virtual int? RankOf(string tensor) => Changes(tensor) ? null : 0;

    /// <summary>
    /// Computes the change L R of a tensor that has a rank above 0 (<see cref="RankOf"/>): L [out, rank], with all
    /// scales, and R [rank, in].
    /// </summary>
    public virtual (float[] Left, float[] Right) Factors(string tensor) =>
        throw new InvalidOperationException($"the change of {tensor} is no sum of low-rank terms");

    /// <summary>Reads the factors of a plain LoRA's change of a tensor; null: it is none.</summary>
    public virtual PlainFactors? PlainFactorsOf(string tensor) => null;

    /// <inheritdoc/>
    public abstract void Dispose();
}
