using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>What distinguishes one adapter method from another. Everything else comes from the shared core.</summary>
/// <remarks>
/// To add a method, add one file with one subclass: it declares the factors of a layer, says how they start and which
/// train, and states what they make of the weight as an <see cref="AdapterForm"/>. Forward, backward, packing, saving,
/// loading, merging, export to plain LoRA, counting, help and docs follow from the form. Methods are found by their
/// name, there is no list to extend.
/// </remarks>
public abstract class AdapterMethod
{
    /// <summary>Name on the command line, lower case.</summary>
    public abstract string Name { get; }

    /// <summary>The formula as it runs, in one line.</summary>
    public abstract string Formula { get; }

    /// <summary>The paper: authors, title or number, year.</summary>
    public abstract string Source { get; }

    /// <summary>What it is for, in a sentence or two: when to choose it, what it costs.</summary>
    public abstract string Use { get; }

    /// <summary>
    /// Whether the form follows the published one. If not, its paper gives the idea but not every detail, and help and
    /// docs say "after NAME (paper); form as implemented: …".
    /// </summary>
    public virtual bool IsPublishedForm => true;

    /// <summary>One line for help and reports: formula and source.</summary>
    public string Summary =>
        IsPublishedForm ? $"{Formula} ({Source})" : $"after {Name} ({Source}); form as implemented: {Formula}";

    /// <summary><c>peft_type</c> in <c>adapter_config.json</c>.</summary>
    public virtual string PeftType => Name.ToUpperInvariant().Replace('-', '_');

    /// <summary>
    /// A <see cref="PeftType"/> that older versions of PEFT, or of this library, gave it; null: none.
    /// </summary>
    public virtual string? FormerPeftType => null;

    /// <summary>
    /// Why folders of <see cref="FormerPeftType"/> that PEFT itself wrote cannot be read; null: they can.
    /// </summary>
    public virtual string? FormerRefusal => null;

    /// <summary>
    /// Whether a config of <see cref="PeftType"/> or <see cref="FormerPeftType"/> is one of this method's.
    /// </summary>
    internal virtual bool Reads(JsonFields fields) => true;

    /// <summary>
    /// What the config of a folder that this library did not write means where versions of PEFT differ in it.
    /// </summary>
    /// <param name="fields">The config.</param>
    /// <param name="options">What its keys say.</param>
    internal virtual AdapterOptions ReadForeign(JsonFields fields, AdapterOptions options) => options;

    /// <summary>
    /// Names that tensors of a layer have in files of older versions of PEFT, each with the present one; null: it
    /// says nothing that is not known otherwise.
    /// </summary>
    public virtual IReadOnlyDictionary<string, string?> FormerLeaves => new Dictionary<string, string?>();

    /// <summary>
    /// The keys of PEFT's config of <see cref="PeftType"/> beyond those that all types have and those that settings
    /// name (<see cref="AdapterSetting.PeftKey"/>); null: PEFT has no such type, and the config is LoRA's with the
    /// method's settings beside.
    /// </summary>
    public virtual IReadOnlyList<PeftField>? PeftFields => PeftType == AdapterConfig.Lora ? PeftField.Lora : null;

    /// <summary>
    /// The value of <c>init_lora_weights</c> by which PEFT's config tells this method from others of its type; null:
    /// none. If the method has a <see cref="AdapterBuilder.Residual"/>, PEFT stores its factors without their start,
    /// which is found again from the base weight.
    /// </summary>
    public virtual string? PeftInit => null;

    /// <summary>
    /// The settings by which this method finds a start again that PEFT's config names and its files lack; null: it
    /// cannot, or the start is none.
    /// </summary>
    /// <param name="start">The value of <c>init_lora_weights</c>.</param>
    internal virtual IReadOnlyDictionary<string, double>? SettingsOfStart(string start) =>
        start == PeftInit && !StartsFromData ? new Dictionary<string, double>() : null;

    /// <summary>
    /// A tensor of a layer by which files that hold what <see cref="AdapterBuilder.FoundAgain"/> declares are told from
    /// PEFT's, which lack it; null: there is no such thing.
    /// </summary>
    internal virtual string? StartTensor => null;

    /// <summary>Whether the config stores <c>top_k</c>.</summary>
    public virtual bool UsesTopK => false;

    /// <summary>
    /// Whether, with some settings of its own, <see cref="Initialize"/> finds leading singular triplets, by the way
    /// that <see cref="AdapterOptions.Svd"/> names.
    /// </summary>
    /// <param name="options">The settings.</param>
    public virtual bool UsesSvd(AdapterOptions options) => false;

    /// <summary>
    /// Whether its <see cref="Form"/> knows embeddings too: it is then low-rank terms alone, of which L is looked up
    /// row by row.
    /// </summary>
    public virtual bool AdaptsEmbeddings => false;

    /// <summary>Settings that only this method has.</summary>
    public virtual IReadOnlyList<AdapterSetting> Settings => [];

    /// <summary>
    /// Whether it starts from data: <see cref="Distribute"/> and <see cref="Initialize"/> then have a calibration to
    /// ask.
    /// </summary>
    public virtual bool StartsFromData => false;

    /// <summary>Whether the model with a fresh adapter computes what it does without.</summary>
    public virtual bool StartsAtBase => true;

    /// <summary>
    /// The settings of each layer, null for one that gets no adapter: the given ones for all, unless a method shares
    /// out its rank by what it finds.
    /// </summary>
    /// <param name="modules">The layers that match the targets.</param>
    /// <param name="options">The adapter's settings.</param>
    /// <param name="calibration">The model on data; null unless given.</param>
    /// <exception cref="InputException">The settings do not suit a layer.</exception>
    public virtual IReadOnlyList<AdapterOptions?> Distribute(
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        ICalibration? calibration
    ) => [.. modules.Select(module => Fit(options.For(module.Name), module, modules))];

    /// <summary>
    /// A layer's settings with sizes of blocks and the like as they come out for it: where PEFT refuses a layer that
    /// a size does not divide, its config has to hold one that does.
    /// </summary>
    /// <param name="options">The layer's settings as asked for.</param>
    /// <param name="module">The layer.</param>
    /// <param name="all">All layers, for a size that PEFT's config has once.</param>
    /// <exception cref="InputException">The settings do not suit the layer.</exception>
    public virtual AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options;

    /// <summary>
    /// A layer's settings in a file, as far as its tensors show them: PEFT's config may have what was asked for in
    /// place of what came out.
    /// </summary>
    /// <param name="options">The layer's settings by the config.</param>
    /// <param name="shape">The shape of the layer's tensor, or one all share, by its name; null: there is none.</param>
    internal virtual AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        options;

    /// <summary>
    /// The tensors of a file as the method declares them, where a file may hold them in another form.
    /// </summary>
    /// <exception cref="InputException">They are not of that form either.</exception>
    internal virtual IEnumerable<AdapterTensor> Unfold(IReadOnlyList<AdapterTensor> tensors, AdapterOptions options) =>
        tensors;

    /// <summary>The factors of one layer and what they make of its weight.</summary>
    /// <exception cref="InputException">The options do not suit this layer.</exception>
    public abstract AdapterForm Form(AdapterBuilder layer);

    /// <summary>
    /// Start values that need more than a <see cref="Start"/>, such as the weight: of all layers together, so that what
    /// is costly can be done in batches.
    /// </summary>
    public virtual void Initialize(IReadOnlyList<AdapterStart> starts) { }

    /// <summary>
    /// The same settings for a task after others, as <see cref="AdapterOptions.After"/> hands them on.
    /// </summary>
    /// <param name="options">The settings.</param>
    /// <param name="directory">The adapter of the tasks before.</param>
    /// <exception cref="InputException">The method takes no such adapter, or cannot use this one.</exception>
    internal virtual AdapterOptions After(AdapterOptions options, string directory) =>
        throw new InputException($"{directory}: {Name} takes no adapter of the tasks before; o-lora does");

    /// <summary>
    /// Whether <see cref="BeforeUpdate"/> or <see cref="AfterUpdate"/> do anything: steps then cannot be one captured
    /// graph, and have to be counted. Each call costs host time, and a wait for the device where it reads values.
    /// </summary>
    public virtual bool ActsBetweenSteps => false;

    /// <summary>Called when a step's gradients are complete, penalties included, and nothing is updated yet.</summary>
    /// <param name="step">The step; gradients of its parameters may be changed.</param>
    public virtual void BeforeUpdate(AdapterStep step) { }

    /// <summary>Called when a step's masters are updated.</summary>
    /// <param name="step">The step; values of any factor may be changed.</param>
    /// <returns>Whether any value was changed: what derives from the factors is then renewed.</returns>
    public virtual bool AfterUpdate(AdapterStep step) => false;
}
