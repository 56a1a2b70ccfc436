using Spectral.Training.Settings;

namespace Spectral.Training.Compression;

/// <summary>Describes one way to store the change that tuning made to a model in less space.</summary>
/// <remarks>
/// To add a method, add one file with one subclass. A source generator finds the subclasses; the command, its list and
/// the docs follow.
/// </remarks>
public abstract class CompressionMethod : MethodDescription
{
    /// <summary>The common options that the method reads.</summary>
    public virtual CompressionUses Uses => CompressionUses.None;

    /// <summary>The <see cref="CompressionOptions.Energy"/> unless one or a rank is given.</summary>
    public virtual double DefaultEnergy => 1;

    /// <summary>Whether the method compresses a change of the base's weights, and so needs the base model.</summary>
    public virtual bool NeedsModel => false;

    /// <summary>Compresses the input and writes the result.</summary>
    internal abstract CompressionResult Write(CompressionRun run);
}
