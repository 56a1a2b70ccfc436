using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <content>Gives up whole weights for the entries that a method keeps.</content>
public sealed partial class Adapter
{
    /// <summary>
    /// Replaces whole weights by the entries that the method keeps from a step on, and frees the weights. A caller's
    /// own training loop calls it after <see cref="AfterUpdate"/>. <see cref="Trainer"/> does so by itself.
    /// </summary>
    /// <param name="step">The number of the step, 1 to <paramref name="steps"/>.</param>
    /// <param name="steps">The number of steps of the whole run.</param>
    /// <returns>
    /// Whether it did. <see cref="Parameters"/> is another set then, for which an optimizer has to be made anew.
    /// </returns>
    public bool KeepEntries(int step, int steps)
    {
        if (!ChoosesEntries(step, steps))
            return false;
        Keep(ChooseEntries(step, steps));
        return true;
    }

    /// <summary>Returns whether the method keeps some entries of whole weights from a step on.</summary>
    internal bool ChoosesEntries(int step, int steps) => Method.ChoosesEntries(StepOf(step, steps));

    /// <summary>Returns these entries of each layer.</summary>
    internal IReadOnlyList<ChosenEntries> ChooseEntries(int step, int steps) =>
        Method.ChooseEntries(StepOf(step, steps));

    /// <summary>Goes on with the entries alone. Factors that both forms have keep their values.</summary>
    internal void Keep(IReadOnlyList<ChosenEntries> chosen)
    {
        IReadOnlyList<AdaptedModule> modules = AdaptedModule.Describe(
            Method,
            [.. _modules.Zip(chosen, (module, entries) => (module.Shape, entries.For(module.Options)))]
        );
        BoundFactors old = _factors;
        AdaptedModule? prompt = Method.PromptBeside(Options)?.Describe(_model.Config);
        BoundFactors few = FactorsOf(modules, prompt, [.. old.Saved.Keys]);
        var values = old
            .Trained.Parameters.Concat(old.Frozen)
            .DistinctBy(parameter => parameter.Name)
            .ToDictionary(parameter => parameter.Name);
        foreach (Parameter parameter in few.Trained.Parameters.Concat(few.Frozen))
        {
            if (values.TryGetValue(parameter.Name, out Parameter? before) && before.Shape == parameter.Shape)
                parameter.Master.CopyFrom(before.Master);
        }

        foreach ((SavedTensor tensor, Parameter parameter) in few.Saved.Where(pair => !pair.Key.Trains))
            parameter.Master.CopyFrom(old.Saved[tensor].Master);
        foreach ((AdaptedModule module, ChosenEntries entries) in modules.Zip(chosen))
            entries.WriteTo(module);

        Detach();
        foreach (PackedAdapters packed in _packed)
            packed.Dispose();
        _packed.Clear();
        _prompt?.Dispose();
        old.Dispose();
        (_factors, _modules, _beside, _keptEntries) = (few, [.. modules], prompt, true);
        _head = HeadOf(modules);
        Parameters.Changed += Refresh;
        Parameters.Accumulated += AddPenalties;
        Bind();
    }

    private BoundFactors FactorsOf(
        IReadOnlyList<AdaptedModule> modules,
        AdaptedModule? prompt,
        IReadOnlyList<SavedTensor> saved
    ) => new(_model.Device, prompt is null ? modules : [.. modules, prompt], saved, _model.DType);

    /// <summary>Returns the module of a head that follows the embedding; null: it does not.</summary>
    private AdaptedModule? HeadOf(IReadOnlyList<AdaptedModule> modules) =>
        _headFollows ? modules.FirstOrDefault(module => module.Shape.IsEmbedding)?.For(_model.Config.Head.Name) : null;
}
