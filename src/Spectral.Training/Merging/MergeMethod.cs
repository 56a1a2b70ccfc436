using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging;

/// <summary>
/// Describes one way to merge several tuned models of one base θ0: with the change τ_i = θ_i − θ0 of each, what becomes
/// of a tensor.
/// </summary>
/// <remarks>
/// To add a method, add one file with one subclass. A source generator finds the subclasses; the command, its list and
/// the docs follow. Reading adapters and checkpoints, checks, passes over the tensors and writing are the engine's.
/// </remarks>
public abstract class MergeMethod
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
    /// Whether the form follows the published one. If not, the paper gives the idea but not every detail, and help and
    /// docs say "after NAME (paper); form as implemented: …".
    /// </summary>
    public virtual bool IsPublishedForm => true;

    /// <summary>One line for help and reports: formula and source.</summary>
    public string Summary =>
        IsPublishedForm ? $"{Formula} ({Source})" : $"after {Name} ({Source}); form as implemented: {Formula}";

    /// <summary>The common options that the method reads.</summary>
    public virtual MergeUses Uses => MergeUses.None;

    /// <summary>The <see cref="MergeOptions.Density"/> unless one is given.</summary>
    public virtual double DefaultDensity => 1;

    /// <summary>Settings that only this method has.</summary>
    public virtual IReadOnlyList<Setting> Settings => [];

    /// <summary>Settings that only this method has and whose values are text.</summary>
    public virtual IReadOnlyList<TextSetting> TextSettings => [];

    /// <summary>The smallest number of inputs.</summary>
    public virtual int LeastInputs => 1;

    /// <summary>The largest number of inputs.</summary>
    public virtual int MostInputs => int.MaxValue;

    /// <summary>Whether the order of the inputs changes the result.</summary>
    public virtual bool DependsOnOrder => false;

    /// <summary>
    /// Whether a tensor that no input changes may become another than the base's. If not, it is copied bit for bit.
    /// </summary>
    internal virtual bool ChangesUntouched => false;

    /// <summary>
    /// The name of the text setting with the model that the inputs were tuned from; null: they were tuned from the
    /// base.
    /// </summary>
    internal virtual string? OriginSetting => null;

    /// <summary>Returns how often <see cref="Begin"/> reads the whole model (<see cref="MergeRun.Scan"/>).</summary>
    internal virtual int Scans(MergeRun run) => 0;

    /// <summary>Measures what concerns the whole model and returns what to do with a tensor.</summary>
    /// <exception cref="InputException">A setting does not suit the inputs.</exception>
    internal abstract TensorMerge Begin(MergeRun run);
}
