using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// Collects what a method declares for one layer. A factor declared here is thereby named, stored, counted and trained.
/// </summary>
public sealed class AdapterBuilder
{
    private readonly List<Factor> _factors = [];
    private readonly List<(Factor Factor, Factor Start, bool IsLeft)> _starts = [];
    private readonly HashSet<Factor> _recomputed = [];
    private readonly SharedFactors _shared;
    private BaseTensor? _weight;
    private BaseTensor? _bias;

    internal AdapterBuilder(AdapterMethod method, ModuleShape module, AdapterOptions options, SharedFactors shared) =>
        (Method, Module, Options, _shared) = (method, module, options, shared);

    /// <summary>The layer to adapt: its name, its sizes and whether it has a bias.</summary>
    public ModuleShape Module { get; }

    /// <summary>The settings of this layer, with per-module patterns applied.</summary>
    public AdapterOptions Options { get; }

    /// <summary>The number of output features of the layer.</summary>
    public int Out => Module.Out;

    /// <summary>The number of input features of the layer.</summary>
    public int In => Module.In;

    /// <summary>All layers that the adapter covers. A shared tensor has to suit all of them.</summary>
    public IReadOnlyList<ModuleShape> AllModules => _shared.Modules;

    /// <summary>The rank r, checked to be at least 1.</summary>
    /// <exception cref="InputException">The rank is below 1.</exception>
    public int Rank =>
        Options.Rank >= 1
            ? Options.Rank
            : throw new InputException(
                $"rank {Options.Rank} for {Module.Name}: {Method.Name} needs a rank of at least 1"
            );

    /// <summary>Returns the rank r, checked to be 1 to <paramref name="most"/>.</summary>
    /// <param name="most">
    /// The largest rank, e.g. the number of vectors of length <see cref="In"/> that can be orthonormal.
    /// </param>
    /// <exception cref="InputException">The rank is outside that range.</exception>
    public int RankWithin(int most) =>
        Rank <= most
            ? Rank
            : throw new InputException(
                $"rank {Rank} for {Module.Name}, which is [{Out}, {In}]: {Method.Name} needs a rank of at most {most}"
            );

    /// <summary>
    /// The rank r, checked to be a number of singular triplets that the weight has: 1 to min(out, in).
    /// </summary>
    /// <exception cref="InputException">The rank is outside that range.</exception>
    public int SpectralRank => Triplets("rank", Options.Rank);

    /// <summary>The layer's base weight W [out, in], F32. Using it costs one pass over the weight per step.</summary>
    public Expression Weight => _weight ??= new BaseTensor((Out, In));

    /// <summary>The layer's bias [out]; null when the layer has none.</summary>
    public Expression? Bias => Module.HasBias ? _bias ??= new BaseTensor(Out) : null;

    internal AdapterMethod Method { get; }

    /// <summary>The start of trained factors that would begin at zero; null: zeros.</summary>
    internal Start? InPlaceOfZeros { get; set; }

    internal IReadOnlyList<Factor> Factors => _factors;

    /// <summary>The factors of residuals, each with the frozen factor that holds its start values.</summary>
    internal IReadOnlyList<(Factor Factor, Factor Start, bool IsLeft)> Starts => _starts;

    /// <summary>Returns whether files that omit start values also omit a factor.</summary>
    internal bool IsRecomputed(Factor factor) =>
        _recomputed.Contains(factor) || _starts.Exists(pair => pair.Start == factor);

    internal BaseTensor? BaseWeight => _weight;

    internal BaseTensor? BaseBias => _bias;

    /// <summary>Declares a trainable tensor of this layer.</summary>
    /// <param name="name">
    /// The name in the file, after the module's path. Use PEFT's name where PEFT has the tensor.
    /// </param>
    /// <param name="shape">The shape in the file. Use PEFT's shape where PEFT has the tensor.</param>
    /// <param name="start">
    /// The start values; zeros unless given here or written by <see cref="AdapterMethod.Initialize"/>.
    /// </param>
    /// <param name="rate">The factor on the learning rate, above 0.</param>
    public Factor Trained(string name, Shape shape, Start? start = null, double rate = 1)
    {
        if (InPlaceOfZeros is not null && (start is null || start == Start.Zeros))
            start = InPlaceOfZeros;
        return Add(new Factor(name, shape, true, start ?? Start.Zeros) { Rate = rate });
    }

    /// <summary>Declares a stored tensor of this layer that does not train.</summary>
    /// <param name="name">
    /// The name in the file, after the module's path. Use PEFT's name where PEFT has the tensor.
    /// </param>
    /// <param name="shape">The shape in the file. Use PEFT's shape where PEFT has the tensor.</param>
    /// <param name="start">
    /// The start values; zeros unless given here or written by <see cref="AdapterMethod.Initialize"/>.
    /// </param>
    public Factor Frozen(string name, Shape shape, Start? start = null) =>
        Add(new Factor(name, shape, false, start ?? Start.Zeros));

    /// <summary>
    /// Declares the places of the entries of a sparse change, I32, which <see cref="AdapterMethod.Initialize"/> writes:
    /// row · in + column, ascending and distinct, or −1 for none. Files hold the rows, then the columns, [2, count].
    /// </summary>
    /// <param name="name">The name in the file, after the module's path.</param>
    /// <param name="count">The number of entries.</param>
    /// <exception cref="InputException">The weight has fewer entries.</exception>
    public Factor Places(string name, long count) =>
        count >= 1 && count <= (long)Out * In
            ? Add(new Factor(name, checked((int)count), false, Start.Unused) { PlacesIn = (Out, In) })
            : throw new InputException(
                $"{count} entries of {Module.Name}, which is [{Out}, {In}]: {Method.Name} needs 1 to {(long)Out * In}"
            );

    /// <summary>
    /// Declares a frozen tensor that <see cref="AdapterMethod.Initialize"/> computes from the base weight alone. Files
    /// may omit it (<see cref="AdapterMethod.StartTensor"/>).
    /// </summary>
    /// <param name="name">The name in the file, after the module's path.</param>
    /// <param name="shape">The shape of the tensor.</param>
    internal Factor Recomputed(string name, Shape shape)
    {
        Factor factor = Frozen(name, shape);
        _recomputed.Add(factor);
        return factor;
    }

    /// <summary>
    /// Declares a frozen tensor that <see cref="AdapterMethod.Initialize"/> computes from the base weight alone, and
    /// that no file holds. <see cref="AdapterMethod.StartTensor"/> is then the name of one of these tensors, so that
    /// they are computed again whenever a folder is read.
    /// </summary>
    /// <param name="name">The name among the layer's factors.</param>
    /// <param name="shape">The shape of the tensor.</param>
    internal Factor RecomputedState(string name, Shape shape)
    {
        Factor factor = State(name, shape);
        _recomputed.Add(factor);
        return factor;
    }

    /// <summary>
    /// Declares a tensor that is not stored in files: state of a schedule
    /// (<see cref="AdapterMethod.ActsBetweenSteps"/>), or a constant. It has its start values again in a loaded
    /// adapter.
    /// </summary>
    /// <param name="name">The name among the layer's factors.</param>
    /// <param name="shape">The shape of the tensor.</param>
    /// <param name="start">The start values; zeros unless given.</param>
    public Factor State(string name, Shape shape, Start? start = null) =>
        Add(new Factor(name, shape, false, start ?? Start.Zeros) { IsSaved = false });

    /// <summary>
    /// Declares a trainable tensor that is not stored in files, because they hold what it makes instead.
    /// </summary>
    /// <param name="name">The name among the module's factors.</param>
    /// <param name="shape">The shape of the tensor.</param>
    /// <param name="start">The start values.</param>
    internal Factor TrainedState(string name, Shape shape, Start start) =>
        Add(new Factor(name, shape, true, start) { IsSaved = false });

    /// <summary>
    /// Declares a tensor that all layers share, stored once under <c>base_model.</c><paramref name="name"/>.
    /// </summary>
    /// <param name="name">The name, without that prefix.</param>
    /// <param name="shape">The shape, which has to suit all layers (<see cref="AllModules"/>).</param>
    /// <param name="trains">Whether the tensor trains.</param>
    /// <param name="start">The start values.</param>
    public Factor Shared(string name, Shape shape, bool trains, Start start) =>
        Add(_shared.Declare(name, shape, trains, start));

    /// <summary>
    /// Declares a trained tensor that some layers have together. Files have it with each of them, as PEFT's do.
    /// </summary>
    /// <param name="group">What these layers have in common, their sizes among it.</param>
    /// <param name="name">The name in the file, after the path of each of them.</param>
    /// <param name="shape">The shape of the tensor.</param>
    /// <param name="start">The start values.</param>
    internal Factor OfGroup(string group, string name, Shape shape, Start start) =>
        Add(_shared.OfGroup(group, name, shape, start));

    /// <summary>
    /// Returns a trained term and, subtracted from it, a term of its frozen start values. The weight thus begins
    /// unchanged although the factors do not begin at zero, as if the start had been subtracted from the base. Each
    /// rank costs one more rank in the core.
    /// </summary>
    /// <param name="left">The trained L [out, r].</param>
    /// <param name="right">The trained R [r, in].</param>
    /// <param name="scale">The scale s of both terms.</param>
    public LowRankTerm[] Residual(Factor left, Factor right, double scale) =>
        [new(StartOf(left, true), StartOf(right, false), -scale), new(left, right, scale)];

    /// <summary>Returns the value of one of the method's own settings.</summary>
    /// <param name="name">The name of the setting.</param>
    public double Setting(string name) => Options.Setting(Method, name);

    /// <summary>Returns the value of one of the method's own choices, as written on the command line.</summary>
    public string Choice(string name) => Method.Settings.First(setting => setting.Name == name).Describe(Setting(name));

    /// <summary>Returns whether one of the method's own switches is on.</summary>
    public bool IsOn(string name) => Choice(name) == "on";

    /// <summary>Checks that the weight has a number of singular triplets: 1 to min(out, in).</summary>
    /// <param name="setting">The name of the setting, for the message.</param>
    /// <param name="count">The number to check.</param>
    /// <exception cref="InputException">The weight does not have that many.</exception>
    public int Triplets(string setting, int count)
    {
        int largest = Math.Min(Out, In);
        return count >= 1 && count <= largest
            ? count
            : throw new InputException(
                $"{setting} {count} for {Module.Name}, which is [{Out}, {In}]: expected 1 to {largest}"
            );
    }

    /// <summary>
    /// Declares the layer's bias as trained, stored under the name that PEFT gives it in wrapped layers.
    /// </summary>
    internal Factor TrainedBias() => Trained(AdapterTensors.WrappedBias, Out, Start.CopyOf(Bias!));

    private Factor StartOf(Factor factor, bool isLeft)
    {
        Factor start = Frozen(factor.Name + Factor.StartSuffix, factor.Shape, Start.CopyOf(factor));
        _starts.Add((factor, start, isLeft));
        return start;
    }

    private Factor Add(Factor factor)
    {
        if (_factors.Any(other => other.Name == factor.Name))
            throw new InvalidOperationException($"{Method.Name} declares {factor.Name} twice");
        _factors.Add(factor);
        return factor;
    }
}
