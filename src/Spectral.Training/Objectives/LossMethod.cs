using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Settings;

namespace Spectral.Training.Objectives;

/// <summary>Describes one loss: what a training step minimises and an evaluation measures.</summary>
/// <remarks>
/// To add a loss on pairs, add one file with one subclass of <see cref="PairLossMethod"/>. A source generator finds the
/// subclasses; the command, its list and the docs follow.
/// </remarks>
public abstract class LossMethod : MethodDescription
{
    /// <summary>The name of the setting that has an option of its own, <c>--beta</c>.</summary>
    public const string Beta = "beta";

    /// <summary>Whether records are pairs of a chosen and a rejected side; otherwise none may be one.</summary>
    public abstract bool TakesPairs { get; }

    /// <summary>Whether records may also be single answers with labels, which it judges by themselves.</summary>
    public virtual bool TakesLabels => false;

    /// <summary>
    /// Whether the loss compares with the base, without its adapter, which has to be there unchanged all the time.
    /// </summary>
    public virtual bool NeedsBase => false;

    /// <summary>Checks the settings of a loss.</summary>
    /// <exception cref="InputException">One is not the loss's, or out of range.</exception>
    public void Check(IReadOnlyDictionary<string, double> settings) => GivenSettings.Require(this, settings);

    /// <summary>Prepares to compute the loss.</summary>
    /// <param name="model">The model, with its adapter if it has one.</param>
    /// <param name="settings">The settings that differ from their defaults.</param>
    internal abstract StepLoss Begin(CausalLanguageModel model, IReadOnlyDictionary<string, double> settings);
}
