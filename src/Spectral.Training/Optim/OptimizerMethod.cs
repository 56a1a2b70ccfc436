using System.Globalization;
using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim;

/// <summary>Describes one optimizer: what it keeps for each parameter and how a step changes the masters.</summary>
/// <remarks>
/// To add an optimizer, add one file with one subclass. A source generator finds the subclasses; the command, its list
/// and the docs follow. Norm, clipping, skipped steps, saving and restoring of the state are those of
/// <see cref="Optimizer"/>.
/// </remarks>
public abstract class OptimizerMethod : MethodDescription
{
    /// <summary>The common settings that the optimizer reads. The others must keep their defaults.</summary>
    public virtual OptimizerUses Uses => OptimizerUses.All;

    /// <summary>
    /// Whether the optimizer needs backward. One that does not measures the loss at changed masters instead.
    /// </summary>
    public virtual bool NeedsGradients => true;

    /// <summary>
    /// Whether what is evaluated and saved is an average that the optimizer keeps, rather than what it trains.
    /// </summary>
    public virtual bool KeepsAverage => false;

    /// <summary>
    /// Whether a step changes each element by its own gradient and state alone, so that it can be run on parts of
    /// tensors.
    /// </summary>
    internal virtual bool ActsOnElements => false;

    /// <summary>Why a step cannot be captured in a CUDA graph, as the end of a sentence; null: it can.</summary>
    public virtual string? GraphRefusal => null;

    /// <summary>
    /// Returns the bytes of state for a parameter, beside its F32 master and gradient, which take 8 bytes a value.
    /// </summary>
    /// <param name="shape">The shape of the parameter.</param>
    /// <param name="settings">The optimizer's own settings that are given.</param>
    public abstract long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings);

    /// <summary>
    /// The bytes of state for both factors of a pair of an adapter, as a formula in the sizes out and in of the weight;
    /// null: those of each factor by itself, which <see cref="StateBytes"/> returns.
    /// </summary>
    public virtual string? PairStateBytes => null;

    /// <summary>
    /// Prepares to train a set of parameters: allocates gradients and state, and resets the step counter.
    /// </summary>
    /// <param name="parameters">The parameters to train, which the caller keeps ownership of.</param>
    /// <param name="options">The common settings.</param>
    /// <param name="settings">The optimizer's own settings that differ from their defaults; null: none do.</param>
    /// <exception cref="InputException">
    /// A setting is unknown or out of range, or a common setting differs from its default although the optimizer does
    /// not read it.
    /// </exception>
    public Optimizer Create(
        ParameterSet parameters,
        AdamWOptions options,
        IReadOnlyDictionary<string, double>? settings = null
    ) => new(parameters, this, options, settings);

    /// <summary>Checks settings before anything is allocated.</summary>
    /// <exception cref="InputException">
    /// A setting is unknown or out of range, or a common setting differs from its default although the optimizer does
    /// not read it.
    /// </exception>
    public void Check(AdamWOptions options, IReadOnlyDictionary<string, double> settings)
    {
        AdamWOptions initial = new();
        RequireRead(OptimizerUses.Beta1, "beta1", options.Beta1, initial.Beta1);
        RequireRead(OptimizerUses.Beta2, "beta2", options.Beta2, initial.Beta2);
        RequireRead(OptimizerUses.Epsilon, "eps", options.Epsilon, initial.Epsilon);
        RequireRead(OptimizerUses.WeightDecay, "weight-decay", options.WeightDecay, initial.WeightDecay);
        RequireRead(OptimizerUses.GradientClip, "grad-clip", options.GradientClip, initial.GradientClip);
        if (options.ClipGroups is { } groups)
        {
            if (!Uses.HasFlag(OptimizerUses.GradientClip))
                throw new InputException($"--clip-groups {groups}: {Name} clips nothing, so it would change nothing");
            ClipGroups.Check(groups, options.GradientClip);
        }

        foreach ((string name, double value) in settings)
        {
            Setting setting =
                Settings.FirstOrDefault(setting => setting.Name == name)
                ?? throw new InputException(
                    Settings.Count == 0
                        ? $"setting {name}: {Name} has no settings of its own"
                        : $"setting {name}: expected one of the settings of {Name}: "
                            + string.Join(", ", Settings.Select(known => known.Name))
                );
            if (!setting.Allows(value))
            {
                throw new InputException(
                    string.Create(CultureInfo.InvariantCulture, $"setting {name}={value}: expected {setting.Expected}")
                );
            }
        }

        CheckValues(options, name => ValueOf(name, settings));
    }

    /// <summary>Returns settings with the defaults of those that the optimizer does not read.</summary>
    internal AdamWOptions Read(AdamWOptions options)
    {
        AdamWOptions initial = new();
        return options with
        {
            Beta1 = Uses.HasFlag(OptimizerUses.Beta1) ? options.Beta1 : initial.Beta1,
            Beta2 = Uses.HasFlag(OptimizerUses.Beta2) ? options.Beta2 : initial.Beta2,
            Epsilon = Uses.HasFlag(OptimizerUses.Epsilon) ? options.Epsilon : initial.Epsilon,
            WeightDecay = Uses.HasFlag(OptimizerUses.WeightDecay) ? options.WeightDecay : initial.WeightDecay,
            GradientClip = Uses.HasFlag(OptimizerUses.GradientClip) ? options.GradientClip : initial.GradientClip,
            ClipGroups = Uses.HasFlag(OptimizerUses.GradientClip) ? options.ClipGroups : null,
        };
    }

    /// <summary>Checks settings that depend on one another.</summary>
    /// <param name="options">The common settings.</param>
    /// <param name="setting">Returns the value of one of the optimizer's own settings.</param>
    /// <exception cref="InputException">They do not go together.</exception>
    internal virtual void CheckValues(AdamWOptions options, Func<string, double> setting) { }

    /// <summary>
    /// Returns whether a parameter is a matrix to rules that treat rows and columns; with a single row or column it is
    /// a vector.
    /// </summary>
    private protected static bool IsMatrix(Shape shape) => shape.Rank == 2 && shape[0] > 1 && shape[1] > 1;

    /// <summary>Declares the state and returns what a step does.</summary>
    internal abstract OptimizerRule Begin(OptimizerRun run);

    private void RequireRead(OptimizerUses use, string name, double value, double initial)
    {
        // The zero of decay and clipping turns off what such an optimizer does not do anyway.
        if (Uses.HasFlag(use) || value.Equals(initial) || (OptimizerUses.DecayAndClip.HasFlag(use) && value == 0))
            return;
        throw new InputException(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{name} {value}: {Name} has no {name}, so it would change nothing"
            )
        );
    }
}
