using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;
using Spectral.Training.IO;
using Spectral.Training.Quantization;
using Spectral.Training.Settings;

namespace Spectral.Training.Adapters;

/// <summary>
/// Describes one kind of adapter: its factors for a layer and the form they make. Everything else comes from the shared
/// core.
/// </summary>
/// <remarks>
/// To add a method, add one file with one subclass. It declares the factors of a layer, says how they start and which
/// of them train, and states what they make of the weight as an <see cref="AdapterForm"/>. Forward, backward, packing,
/// saving, loading, merging, export to plain LoRA, counting, help and docs follow from the form. A source generator
/// finds the subclasses; there is no list to extend.
/// </remarks>
public abstract class AdapterMethod : MethodDescription
{
    /// <summary>The value of <c>peft_type</c> in <c>adapter_config.json</c>.</summary>
    public virtual string PeftType => Name.ToUpperInvariant().Replace('-', '_');

    /// <summary>
    /// The <see cref="PeftType"/> that older versions of PEFT or of this library wrote for the method; null: none.
    /// </summary>
    public virtual string? FormerPeftType => null;

    /// <summary>
    /// The reason why folders of <see cref="FormerPeftType"/> that PEFT itself wrote cannot be read; null: they can.
    /// </summary>
    public virtual string? FormerRefusal => null;

    /// <summary>
    /// Returns whether a config of <see cref="PeftType"/> or <see cref="FormerPeftType"/> belongs to this method.
    /// </summary>
    internal virtual bool Reads(JsonFields fields) => true;

    /// <summary>
    /// Corrects the options read from a config that this library did not write, where versions of PEFT differ in what a
    /// key means.
    /// </summary>
    /// <param name="fields">The fields of the config.</param>
    /// <param name="options">The options as its keys say.</param>
    internal virtual AdapterOptions ReadForeign(JsonFields fields, AdapterOptions options) => options;

    /// <summary>
    /// The names of a layer's tensors in files of older versions of PEFT, each with its present name. Null for a tensor
    /// that is redundant.
    /// </summary>
    public virtual IReadOnlyDictionary<string, string?> FormerLeaves => new Dictionary<string, string?>();

    /// <summary>
    /// The keys in PEFT's config of <see cref="PeftType"/>, beyond those of all types and those that settings name
    /// (<see cref="AdapterSetting.PeftKey"/>). Null: PEFT has no such type, and the config is that of LoRA plus the
    /// method's settings.
    /// </summary>
    public virtual IReadOnlyList<PeftField>? PeftFields => PeftType == AdapterConfig.Lora ? PeftField.Lora : null;

    /// <summary>
    /// The value of <c>init_lora_weights</c> that tells this method from others of its type in PEFT's config; null:
    /// none. If the method has a <see cref="AdapterBuilder.Residual"/>, PEFT stores its factors without their start
    /// values, which are then recomputed from the base weight.
    /// </summary>
    public virtual string? PeftInit => null;

    /// <summary>
    /// Returns the settings with which this method recomputes start values that PEFT's config names and its files omit.
    /// Null: it cannot, or there are none.
    /// </summary>
    /// <param name="start">The value of <c>init_lora_weights</c>.</param>
    internal virtual IReadOnlyDictionary<string, double>? SettingsOfStart(string start) =>
        start == PeftInit && !StartsFromData ? new Dictionary<string, double>() : null;

    /// <summary>
    /// The name of a tensor that tells files with the factors of <see cref="AdapterBuilder.Recomputed"/> from PEFT's
    /// files, which omit them; null: the method has none.
    /// </summary>
    internal virtual string? StartTensor => null;

    /// <summary>
    /// Whether files have tensors of each layer; otherwise all are shared, and only a model tells which layers there
    /// are.
    /// </summary>
    internal virtual bool HasTensorsOfLayers => true;

    /// <summary>Whether the config stores <c>top_k</c>.</summary>
    public virtual bool UsesTopK => false;

    /// <summary>
    /// Returns whether, with some settings, <see cref="Initialize"/> computes leading singular triplets in the way that
    /// <see cref="AdapterOptions.Svd"/> names.
    /// </summary>
    /// <param name="options">The adapter's options.</param>
    public virtual bool UsesSvd(AdapterOptions options) => false;

    /// <summary>
    /// Whether <see cref="Form"/> also accepts embeddings. Its form is then low-rank terms only, and L is looked up row
    /// by row.
    /// </summary>
    public virtual bool AdaptsEmbeddings => false;

    /// <inheritdoc/>
    public override IReadOnlyList<AdapterSetting> Settings => [];

    /// <summary>
    /// Whether start values depend on data. <see cref="Distribute"/> and <see cref="Initialize"/> are then given a
    /// calibration.
    /// </summary>
    public virtual bool StartsFromData => false;

    /// <summary>
    /// Whether the data of the calibration stands for what the model is to keep, as opposed to what it is to learn.
    /// </summary>
    public virtual bool CalibratesOnKept => false;

    /// <summary>Whether the model with a fresh adapter computes the same as without it.</summary>
    public virtual bool StartsAtBase => true;

    /// <summary>
    /// Whether the base weights are quantised again without a part of them (<see cref="AdapterForm.Subtracted"/>). The
    /// model then has to be one in full precision that is quantised on loading.
    /// </summary>
    public virtual bool RequantizesBase => false;

    /// <summary>
    /// Returns the number of positions that the adapter takes before every row: the virtual tokens of a soft prompt, or
    /// of one beside the layers; otherwise 0.
    /// </summary>
    /// <param name="options">The adapter's options.</param>
    public virtual int VirtualTokens(AdapterOptions options) => PromptBeside(options)?.VirtualTokens ?? 0;

    /// <summary>
    /// Returns the soft prompt that trains beside the layers, with the seed and the text of the options; null: none.
    /// </summary>
    /// <param name="options">The adapter's options.</param>
    internal virtual SoftPrompt? PromptBeside(AdapterOptions options) => options.SoftPrompt?.Beside(options);

    /// <summary>
    /// Returns the settings of each layer, null for a layer that gets no adapter. By default all layers have the given
    /// ones; a method may distribute its rank by what calibration finds.
    /// </summary>
    /// <param name="modules">The layers that match the targets.</param>
    /// <param name="options">The adapter's settings.</param>
    /// <param name="calibration">Runs the model on data; null unless given.</param>
    /// <exception cref="InputException">The settings do not suit a layer.</exception>
    public virtual IReadOnlyList<AdapterOptions?> Distribute(
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        ICalibration? calibration
    ) => [.. modules.Select(module => Fit(options.For(module.Name), module, modules))];

    /// <summary>
    /// Adjusts sizes in a layer's settings, such as that of blocks, so that they divide the layer. PEFT refuses a
    /// config whose size does not.
    /// </summary>
    /// <param name="options">The layer's settings as requested.</param>
    /// <param name="module">The layer that the sizes have to divide.</param>
    /// <param name="all">All layers, for a size that PEFT's config holds only once.</param>
    /// <exception cref="InputException">The settings do not suit the layer.</exception>
    public virtual AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options;

    /// <summary>
    /// Corrects a layer's settings by the shapes of its stored tensors: PEFT's config may hold the requested size in
    /// place of the one in use.
    /// </summary>
    /// <param name="options">The layer's settings according to the config.</param>
    /// <param name="shape">
    /// Returns the shape of the layer's tensor, or of a shared one, by name; null if there is none.
    /// </param>
    internal virtual AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        options;

    /// <summary>
    /// Converts tensors of a file, which may hold them in another form, to the ones that the method declares.
    /// </summary>
    /// <exception cref="InputException">They are in no known form.</exception>
    internal virtual IEnumerable<AdapterTensor> Unfold(IReadOnlyList<AdapterTensor> tensors, AdapterOptions options) =>
        tensors;

    /// <summary>Declares the factors of one layer and returns what they make of its weight.</summary>
    /// <exception cref="InputException">The options do not suit this layer.</exception>
    public abstract AdapterForm Form(AdapterBuilder layer);

    /// <summary>
    /// Computes start values that need more than a <see cref="Start"/>, e.g. the base weight. It is called once for all
    /// layers, so that costly work can be batched.
    /// </summary>
    public virtual void Initialize(IReadOnlyList<AdapterStart> starts) { }

    /// <summary>Refuses a base that is not quantised on loading, if the method needs one that is.</summary>
    /// <param name="quantization">The form in which the base is kept; null: as it is stored.</param>
    /// <exception cref="InputException">The method <see cref="RequantizesBase"/>, and the base is not.</exception>
    public void RequireSuits(BaseQuantization? quantization)
    {
        if (RequantizesBase && quantization is null)
        {
            throw new InputException(
                $"{Name} starts from what quantising a weight loses, expected a model in full precision and --quantize"
            );
        }
    }

    /// <summary>Computes these start values, and frees what they needed of quantised weights.</summary>
    internal void BeginAll(IReadOnlyList<AdapterStart> starts)
    {
        try
        {
            Initialize(starts);
        }
        finally
        {
            foreach (AdapterStart start in starts)
                start.Dispose();
        }
    }

    /// <summary>
    /// Returns the method that does with the change of another one what this method does with its own, called
    /// <c>NAME(INNER)</c>; null: there is none.
    /// </summary>
    /// <param name="inner">The other method.</param>
    internal virtual AdapterMethod? Around(AdapterMethod inner) => null;

    /// <summary>
    /// Whether what it adds to a layer differs from token to token (<see cref="AdapterForm.Change"/>). It then adapts
    /// layers of the blocks alone, through which all tokens pass in order, and no step can be replayed.
    /// </summary>
    internal virtual bool FollowsTokens => false;

    /// <summary>How the adapter of a further task builds on that of the tasks before it.</summary>
    public virtual TaskSequence Sequence => TaskSequence.OneAdapter;

    /// <summary>Returns the settings for training on a further task (<see cref="AdapterOptions.After"/>).</summary>
    /// <param name="options">The options of the further training.</param>
    /// <param name="directory">The folder of the adapter of the earlier tasks.</param>
    /// <exception cref="InputException">The method cannot build on an earlier adapter, or not on this one.</exception>
    internal virtual AdapterOptions After(AdapterOptions options, string directory) =>
        throw new InputException($"{directory}: {Name} takes no adapter of the tasks before; o-lora does");

    /// <summary>
    /// Returns whether training has closed a module, whose factors then change nothing. Files leave it out.
    /// </summary>
    internal virtual bool IsClosed(AdaptedModule module) => false;

    /// <summary>
    /// Whether <see cref="BeforeForward"/>, <see cref="BeforeUpdate"/> or <see cref="AfterUpdate"/> does anything. If
    /// so, steps cannot be captured in one graph, and the number of steps has to be known. Each call costs host time,
    /// and a wait for the device where it reads values.
    /// </summary>
    public virtual bool ActsBetweenSteps => false;

    /// <summary>
    /// Acts before the forward passes of a step, for what holds in training alone. Evaluations and saved files see what
    /// <see cref="AfterUpdate"/> leaves.
    /// </summary>
    /// <param name="step">The step. The values of any factor may be changed.</param>
    /// <returns>Whether any value was changed, so that what derives from the factors has to be recomputed.</returns>
    public virtual bool BeforeForward(AdapterStep step) => false;

    /// <summary>Acts when the gradients of a step are complete, penalties included, before the update.</summary>
    /// <param name="step">The step. The gradients of its parameters may be changed.</param>
    public virtual void BeforeUpdate(AdapterStep step) { }

    /// <summary>
    /// Returns whether some entries are all that is kept of whole weights after a step. From then on the form is that
    /// of the setting <see cref="ChosenEntries.Kept"/>.
    /// </summary>
    /// <param name="step">The step, after <see cref="AfterUpdate"/>.</param>
    internal virtual bool ChoosesEntries(AdapterStep step) => false;

    /// <summary>Returns the entries of each layer that are kept, in a step that <see cref="ChoosesEntries"/>.</summary>
    /// <param name="step">The step, after <see cref="AfterUpdate"/>.</param>
    internal virtual IReadOnlyList<ChosenEntries> ChooseEntries(AdapterStep step) =>
        throw new NotSupportedException($"{Name} keeps whole weights");

    /// <summary>Acts after the masters of a step were updated.</summary>
    /// <param name="step">The step. The values of any factor may be changed.</param>
    /// <returns>Whether any value was changed, so that what derives from the factors has to be recomputed.</returns>
    public virtual bool AfterUpdate(AdapterStep step) => false;
}
