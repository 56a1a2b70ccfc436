using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// Where a method states its form for one layer: its factors are declared here, and so named, stored, counted and
/// trained.
/// </summary>
public sealed class AdapterBuilder
{
    private readonly List<Factor> _factors = [];
    private readonly List<(Factor Factor, Factor Start, bool IsLeft)> _starts = [];
    private readonly HashSet<Factor> _foundAgain = [];
    private readonly SharedFactors _shared;
    private BaseTensor? _weight;
    private BaseTensor? _bias;

    internal AdapterBuilder(AdapterMethod method, ModuleShape module, AdapterOptions options, SharedFactors shared) =>
        (Method, Module, Options, _shared) = (method, module, options, shared);

    /// <summary>The layer.</summary>
    public ModuleShape Module { get; }

    /// <summary>The settings, any per-module pattern applied.</summary>
    public AdapterOptions Options { get; }

    /// <summary>Output features.</summary>
    public int Out => Module.Out;

    /// <summary>Input features.</summary>
    public int In => Module.In;

    /// <summary>All layers that the adapter covers: what a shared tensor has to suit.</summary>
    public IReadOnlyList<ModuleShape> AllModules => _shared.Modules;

    /// <summary>Rank r, checked to be at least 1.</summary>
    /// <exception cref="InputException">It is not.</exception>
    public int Rank =>
        Options.Rank >= 1
            ? Options.Rank
            : throw new InputException(
                $"rank {Options.Rank} for {Module.Name}: {Method.Name} needs a rank of at least 1"
            );

    /// <summary>Rank r, checked to be 1 to <paramref name="most"/>.</summary>
    /// <param name="most">How many vectors of their space, such as rows of <see cref="In"/> elements, can be
    /// orthonormal.</param>
    /// <exception cref="InputException">It is not.</exception>
    public int RankWithin(int most) =>
        Rank <= most
            ? Rank
            : throw new InputException(
                $"rank {Rank} for {Module.Name}, which is [{Out}, {In}]: {Method.Name} needs a rank of at most {most}"
            );

    /// <summary>Rank r, checked to be a number of singular triplets that the weight has: 1 to min(out, in).</summary>
    /// <exception cref="InputException">It is not.</exception>
    public int SpectralRank => Triplets("rank", Options.Rank);

    /// <summary>W [out, in] of the base, F32. A method that reads it pays a pass over it per step.</summary>
    public Expression Weight => _weight ??= new BaseTensor((Out, In));

    /// <summary>The layer's bias [out]; null when it has none.</summary>
    public Expression? Bias => Module.HasBias ? _bias ??= new BaseTensor(Out) : null;

    internal AdapterMethod Method { get; }

    internal IReadOnlyList<Factor> Factors => _factors;

    /// <summary>The factors that a residual was made of, each with its start.</summary>
    internal IReadOnlyList<(Factor Factor, Factor Start, bool IsLeft)> Starts => _starts;

    /// <summary>Whether a file without starts lacks a factor.</summary>
    internal bool IsFoundAgain(Factor factor) =>
        _foundAgain.Contains(factor) || _starts.Exists(pair => pair.Start == factor);

    internal BaseTensor? BaseWeight => _weight;

    internal BaseTensor? BaseBias => _bias;

    /// <summary>Declares a trainable tensor of this layer.</summary>
    /// <param name="name">Its name in the file, behind the module's path; PEFT's where PEFT has it.</param>
    /// <param name="shape">Its shape, likewise.</param>
    /// <param name="start">How it begins; zeros unless given or written by <see
    /// cref="AdapterMethod.Initialize"/>.</param>
    /// <param name="rate">Factor of the learning rate, above 0.</param>
    public Factor Trained(string name, Shape shape, Start? start = null, double rate = 1) =>
        Add(new Factor(name, shape, true, start ?? Start.Zeros) { Rate = rate });

    /// <summary>Declares a stored tensor of this layer that does not train.</summary>
    /// <param name="name">Its name in the file, behind the module's path; PEFT's where PEFT has it.</param>
    /// <param name="shape">Its shape, likewise.</param>
    /// <param name="start">How it begins; zeros unless given or written by <see
    /// cref="AdapterMethod.Initialize"/>.</param>
    public Factor Frozen(string name, Shape shape, Start? start = null) =>
        Add(new Factor(name, shape, false, start ?? Start.Zeros));

    /// <summary>
    /// Declares a stored tensor that does not train and that <see cref="AdapterMethod.Initialize"/> writes from the
    /// base weight alone: a file may lack it (<see cref="AdapterMethod.StartTensor"/>).
    /// </summary>
    /// <param name="name">Its name in the file, behind the module's path.</param>
    /// <param name="shape">Its shape.</param>
    internal Factor FoundAgain(string name, Shape shape)
    {
        Factor factor = Frozen(name, shape);
        _foundAgain.Add(factor);
        return factor;
    }

    /// <summary>
    /// Declares a tensor that is not in the adapter's file: what a schedule between steps needs (<see
    /// cref="AdapterMethod.ActsBetweenSteps"/>), or a constant. It begins as given also in an adapter that is loaded.
    /// </summary>
    /// <param name="name">Its name among the layer's factors.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="start">How it begins; zeros unless given.</param>
    public Factor State(string name, Shape shape, Start? start = null) =>
        Add(new Factor(name, shape, false, start ?? Start.Zeros) { IsSaved = false });

    /// <summary>
    /// Declares a tensor that all layers have in common, stored once under <c>base_model.</c><paramref name="name"/>.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">Its shape, the same for all layers: see <see cref="AllModules"/>.</param>
    /// <param name="trains">Whether it trains.</param>
    /// <param name="start">How it begins.</param>
    public Factor Shared(string name, Shape shape, bool trains, Start start) =>
        Add(_shared.Declare(name, shape, trains, start));

    /// <summary>
    /// A trained term beside its own start values, frozen and subtracted: the weight begins unchanged although the
    /// factors do not begin at zero. It stands for a base from which the start was taken away, without touching the
    /// base (1 rank more per rank in the core).
    /// </summary>
    /// <param name="left">The trained L.</param>
    /// <param name="right">The trained R.</param>
    /// <param name="scale">s.</param>
    public LowRankTerm[] Residual(Factor left, Factor right, double scale) =>
        [new(StartOf(left, true), StartOf(right, false), -scale), new(left, right, scale)];

    /// <summary>The value of one of the method's own settings.</summary>
    public double Setting(string name) => Options.Setting(Method, name);

    /// <summary>The value of one of the method's own choices, as written.</summary>
    public string Choice(string name) => Method.Settings.First(setting => setting.Name == name).Describe(Setting(name));

    /// <summary>Whether one of the method's own switches is on.</summary>
    public bool IsOn(string name) => Choice(name) == "on";

    /// <summary>A number of singular triplets, checked to be one that the weight has: 1 to min(out, in).</summary>
    /// <param name="setting">Its name, for the message.</param>
    /// <param name="count">The number.</param>
    /// <exception cref="InputException">It has not so many.</exception>
    public int Triplets(string setting, int count)
    {
        int largest = Math.Min(Out, In);
        return count >= 1 && count <= largest
            ? count
            : throw new InputException(
                $"{setting} {count} for {Module.Name}, which is [{Out}, {In}]: expected 1 to {largest}"
            );
    }

    /// <summary>The layer's bias, trained; stored under the name that PEFT's wrapped layers give it.</summary>
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
