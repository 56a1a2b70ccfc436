using Spectral.Training.Settings;

namespace Spectral.Training.Compression;

/// <summary>Describes one way to store the change that tuning made to a model in less space.</summary>
/// <remarks>
/// To add a method, add one file with one subclass. A source generator finds the subclasses; the command, its list and
/// the docs follow.
/// </remarks>
public abstract class CompressionMethod
{
    /// <summary>The method's name on the command line, in lower case.</summary>
    public abstract string Name { get; }

    /// <summary>The formula as implemented, in one line.</summary>
    public abstract string Formula { get; }

    /// <summary>The paper: authors, title or number, year.</summary>
    public abstract string Source { get; }

    /// <summary>When to choose the method and what it costs, in a sentence or two.</summary>
    public abstract string Use { get; }

    /// <summary>
    /// Whether the form follows the published one. If not, the paper gives the idea but not every detail.
    /// </summary>
    public virtual bool IsPublishedForm => true;

    /// <summary>The common options that the method reads.</summary>
    public virtual CompressionUses Uses => CompressionUses.None;

    /// <summary>The <see cref="CompressionOptions.Energy"/> unless one or a rank is given.</summary>
    public virtual double DefaultEnergy => 1;

    /// <summary>Settings that only this method has.</summary>
    public virtual IReadOnlyList<Setting> Settings => [];

    /// <summary>Whether the method compresses a change of the base's weights, and so needs the base model.</summary>
    public virtual bool NeedsModel => false;

    /// <summary>Compresses the input and writes the result.</summary>
    internal abstract CompressionResult Write(CompressionRun run);
}
