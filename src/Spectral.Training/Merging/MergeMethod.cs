using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging;

/// <summary>Describes one way to merge several tuned models of one base.</summary>
/// <remarks>
/// To add a method, add one file with one subclass, as a rule of <see cref="OneModelMerge"/>. A source generator finds
/// the subclasses; the command, its list and the docs follow. Reading adapters and checkpoints, checks and passes over
/// the tensors are the engine's.
/// </remarks>
public abstract class MergeMethod : MethodDescription
{
    /// <summary>The common options that the method reads.</summary>
    public virtual MergeUses Uses => MergeUses.None;

    /// <summary>The records that the method needs.</summary>
    public virtual MergeData Data => MergeData.None;

    /// <summary>The <see cref="MergeOptions.Density"/> unless one is given.</summary>
    public virtual double DefaultDensity => 1;

    /// <summary>Settings that only this method has and whose values are text.</summary>
    public virtual IReadOnlyList<TextSetting> TextSettings => [];

    /// <summary>
    /// Whether the method can merge the factors of LoRAs one by one: it treats each tensor by itself, whatever it is.
    /// </summary>
    public virtual bool MergesFactors => false;

    /// <summary>
    /// What the method costs beyond reading its inputs, in a sentence; null: less than reading them takes.
    /// </summary>
    public virtual string? Cost => null;

    /// <summary>The smallest number of inputs.</summary>
    public virtual int LeastInputs => 1;

    /// <summary>The largest number of inputs.</summary>
    public virtual int MostInputs => int.MaxValue;

    /// <summary>Whether the order of the inputs changes the result.</summary>
    public virtual bool DependsOnOrder => false;

    /// <summary>Whether the inputs have to be tuned from one base; if not, their weights may be anything.</summary>
    internal virtual bool NeedsCommonBase => true;

    /// <summary>
    /// Whether a tensor that no input changes may become another than the base's. If not, it is copied bit for bit.
    /// </summary>
    internal virtual bool ChangesUntouched => false;

    /// <summary>
    /// The name of the text setting with the model that the inputs were tuned from; null: they were tuned from the
    /// base.
    /// </summary>
    internal virtual string? OriginSetting => null;

    /// <summary>
    /// Returns how often the method reads the whole model (<see cref="MergeRun.Scan"/>) beside writing it.
    /// </summary>
    internal virtual int Scans(MergeRun run) => 0;

    /// <summary>Writes the result into an existing folder and returns the number of tensors written.</summary>
    /// <exception cref="InputException">
    /// A setting does not suit the inputs, or a value is not finite or too large for the type of the result.
    /// </exception>
    internal abstract int Write(MergeRun run, string directory);
}
