using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MAP around another method, <c>map(NAME)</c>: the weight and the change of that method are both treated as one vector
/// with a trained norm. Trained factors that would begin at zero begin at N(0, 0.02²), because a change of zero has no
/// direction; the norm of the change begins at zero instead.
/// </summary>
/// <param name="inner">The method whose change it is. It has to consist of low-rank terms.</param>
internal sealed class MapOfMethod(AdapterMethod inner) : AdapterMethod
{
    public override string Name => $"map({inner.Name})";
    public override string Formula =>
        $"alpha·W/|W| + beta·ΔW/|ΔW|, Frobenius norms, ΔW as in {inner.Name}: {inner.Formula}";
    public override string Source => "MAP, 2025, arXiv 2505.23094";
    public override string Use => $"Two norms a layer beside the numbers of {inner.Name}. {inner.Use}";
    public override bool IsPublishedForm => false;
    public override string PeftType => "MAP_" + inner.PeftType;
    public override IReadOnlyList<PeftField>? PeftFields => inner.PeftFields;
    public override IReadOnlyDictionary<string, string?> FormerLeaves => inner.FormerLeaves;
    public override IReadOnlyList<AdapterSetting> Settings => inner.Settings;
    public override bool UsesTopK => inner.UsesTopK;
    public override bool StartsFromData => inner.StartsFromData;
    public override bool CalibratesOnKept => inner.CalibratesOnKept;
    public override bool ActsBetweenSteps => inner.ActsBetweenSteps;
    internal override string? StartTensor => inner.StartTensor;

    public override bool UsesSvd(AdapterOptions options) => inner.UsesSvd(options);

    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        inner.Fit(options, module, all);

    public override IReadOnlyList<AdapterOptions?> Distribute(
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        ICalibration? calibration
    ) => inner.Distribute(modules, options, calibration);

    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        inner.Observe(options, shape);

    internal override IEnumerable<AdapterTensor> Unfold(IReadOnlyList<AdapterTensor> tensors, AdapterOptions options) =>
        inner.Unfold(tensors, options);

    /// <exception cref="InputException">
    /// The inner method changes the weight by more than low-rank terms, or begins with a part of it.
    /// </exception>
    public override AdapterForm Form(AdapterBuilder layer)
    {
        layer.InPlaceOfZeros = Start.Normal(MapMethod.Deviation);
        AdapterForm form = inner.Form(layer);
        layer.InPlaceOfZeros = null;
        return form.AddsTermsOnly && form.Entries.Count == 0 && layer.Starts.Count == 0
            ? MapMethod.Normalized(layer, form)
            : throw new InputException(
                $"{Name}: {inner.Name} does more than add low-rank terms to a weight, expected a method that does not, "
                    + "such as lora or vera"
            );
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        inner.Initialize(starts);
        MapMethod.Begin(starts);
    }

    public override bool BeforeForward(AdapterStep step) => inner.BeforeForward(step);

    public override void BeforeUpdate(AdapterStep step) => inner.BeforeUpdate(step);

    public override bool AfterUpdate(AdapterStep step) => inner.AfterUpdate(step);

    internal override bool IsClosed(AdaptedModule module) => inner.IsClosed(module);
}
