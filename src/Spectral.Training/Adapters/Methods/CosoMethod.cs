using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// CoSO: the whole weight trains, but each step only in the r directions P in which its gradient is largest, which are
/// chosen again every few steps. Of all gradients of a task a sketch is kept; its main directions join the history M,
/// in which later tasks change nothing.
/// </summary>
/// <remarks>
/// Adam runs on Pᵀ times the gradient, as on the A of a LoRA whose B is P. When P is chosen anew, P·A is added to the
/// change D made so far, and A begins at zero. P is orthogonal to M, so that D is too, whatever Adam does.
/// </remarks>
internal sealed class CosoMethod : AdapterMethod
{
    private const string A = "coso_A";
    private const string P = "coso_P";
    private const string D = "coso_delta";
    private const string M = "coso_history";
    private const string Sketch = "coso_sketch";

    private const string History = OrthogonalTasksMethod.PreviousRank;
    private const string Period = "period";
    private const string SketchRank = "sketch";
    private const string Energy = "energy";

    public override string Name => "coso";
    public override string Formula =>
        "W + D + P·A, A trained; P, the main directions of the gradient, orthogonal to the history M of earlier tasks";
    public override string Source => "Cheng et al., 2025, arXiv 2505.11816";
    public override string Use =>
        "One task after another: full fine-tuning outside the directions of earlier tasks, at about its cost, but with "
        + "Adam's moments for rank rows only. D adds up what all directions so far have changed; its rank "
        + "grows with every choice, so that it is stored whole. Alpha is not used.";
    public override TaskSequence Sequence => TaskSequence.KeptAdapters;
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Period, 20, 1, 1 << 20, "Steps from one choice of directions to the next."),
        AdapterSetting.Whole(SketchRank, 16, 1, 1 << 16, "Directions of a task's gradients that are kept."),
        new(Energy, 0.95, 0.01, 1, "Share of the sketch's energy whose directions join the history."),
        AdapterSetting.Whole(History, 0, 0, 1 << 16, "Most directions of earlier tasks; --previous-adapter sets it."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.RankWithin(Math.Min(layer.Out, layer.In));
        int history = Math.Min((int)layer.Setting(History), layer.Out);
        if (history > 0)
            layer.Frozen(M, (layer.Out, history));
        layer.Frozen(Sketch, (Math.Min((int)layer.Setting(SketchRank), Math.Min(layer.Out, layer.In)), layer.Out));
        Factor made = layer.Frozen(D, (layer.Out, layer.In));
        Expression now = layer.Frozen(P, (layer.Out, rank)).MatMul(layer.Trained(A, (rank, layer.In)));
        return new AdapterForm { Weight = new GradientTap(layer.Weight.Add(made).Add(now)) };
    }

    internal override AdapterOptions After(AdapterOptions options, string directory)
    {
        using AdapterReader reader = Earlier(directory);
        double directions = reader.Options.Setting(this, History) + reader.Options.Setting(this, SketchRank);
        return (options with { PreviousAdapter = directory }).With(History, directions);
    }

    /// <summary>
    /// Draws the first P, which lasts until the first gradient is known, and takes over what earlier tasks left.
    /// </summary>
    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        string? previous = starts[0].Options.PreviousAdapter;
        if (previous is null && starts[0].Options.Setting(this, History) > 0)
        {
            throw new InputException(
                $"setting {History}={starts[0].Options.Setting(this, History)}: expected an adapter of the tasks "
                    + "before; without one it is 0"
            );
        }

        using AdapterReader? reader = previous is null ? null : Earlier(previous);
        foreach (AdapterStart start in starts)
        {
            using var normal = Tensor.Empty(start.Device, (start[P].Dim(1), start.Module.Out));
            using var rows = Tensor.Empty(normal.Device, normal.Shape);
            Philox.Normal(normal, start.Options.Seed, start.Stream(P), 0, 1);
            Orthonormalization.Rows(normal, rows);
            Permute.Run(rows, [1, 0], start[P]);
            if (reader?.Modules.FirstOrDefault(module => module.Shape.Name == start.Module.Name) is not { } module)
                continue;
            Continue(start, reader, module, previous!);
            Projection.RemoveColumns(start[P], start[M]);
        }
    }

    public override void BeforeUpdate(AdapterStep step)
    {
        foreach (AdaptedModule module in step.Modules)
        {
            var tap = (GradientTap)module.Form.Weight!;
            if (IsDue(step) && tap.Gradient is { } gradient && double.IsFinite(MatrixScan.Run(gradient).Largest))
                Choose(module, gradient, step.Number);
            tap.Clear();
        }
    }

    public override bool AfterUpdate(AdapterStep step) => IsDue(step);

    private bool IsDue(AdapterStep step) => (step.Number - 1) % (int)step.Options.Setting(this, Period) == 0;

    /// <summary>Chooses the directions for the next steps by the gradient of this one.</summary>
    private static void Choose(AdaptedModule module, Tensor gradient, int step)
    {
        IReadOnlyDictionary<string, Parameter> factors = module.Factors;
        (Tensor p, Tensor a) = (factors[P].Master, factors[A].Master);
        Gemm.Run(p, a, factors[D].Master, 1, 1);
        a.Clear();
        Tensor? history = factors.GetValueOrDefault(M)?.Master;
        if (history is not null)
            Projection.RemoveColumns(gradient, history);
        Tensor sketch = factors[Sketch].Master;
        (int rank, int kept) = (p.Dim(1), sketch.Dim(0));
        var options = new RandomizedSvdOptions
        {
            Seed = module.Options.Seed,
            Stream = RandomStream.For($"{module.Shape.Name}.{P}.{step}"),
        };
        using SvdResult svd = Svd.Compute(gradient, Math.Max(rank, kept), SvdMethod.Auto, options);
        svd.CopyLeft(p, [.. Enumerable.Range(0, rank)], _ => 1);
        // Where little of the gradient is outside the history, its vectors are rounding and may lie inside.
        if (history is not null)
            Projection.RemoveColumns(p, history);
        Gemm.Run(Gemm.Transposed(p), gradient, factors[A].Gradient!);
        using var largest = Tensor.Empty(p.Device, (p.Dim(0), kept));
        svd.CopyLeft(largest, [.. Enumerable.Range(0, kept)], sigma => sigma);
        HostMatrix added = FrequentDirections.Add(
            p.Device,
            HostMatrix.From(sketch.ToArray(), kept, p.Dim(0)),
            HostMatrix.From(largest.ToArray(), p.Dim(0), kept).Transposed()
        );
        sketch.CopyFrom(added.ToFloats());
    }

    private AdapterReader Earlier(string directory)
    {
        var reader = new AdapterReader(directory);
        if (reader.Method == this)
            return reader;
        string found = reader.Method.Name;
        reader.Dispose();
        throw new InputException($"{directory}: an adapter of {found}, expected one of {Name}");
    }

    /// <summary>
    /// Takes over the change of the earlier tasks, and adds the main directions of the last one to the history.
    /// </summary>
    private void Continue(AdapterStart start, AdapterReader reader, AdaptedModule module, string directory)
    {
        (int outputs, int inputs) = (start.Module.Out, start.Module.In);
        if (module.Shape.Out != outputs || module.Shape.In != inputs)
        {
            throw new InputException(
                $"{directory}: {module.Shape.Name} is [{module.Shape.Out}, {module.Shape.In}] there, the model's is "
                    + $"[{outputs}, {inputs}]"
            );
        }

        float[] p = reader.Stored(module, P);
        int rank = p.Length / outputs;
        using var left = Tensor.From(start.Device, p, (outputs, rank));
        using var right = Tensor.From(start.Device, reader.Stored(module, A), (rank, inputs));
        start[D].CopyFrom(reader.Stored(module, D));
        Gemm.Run(left, right, start[D], 1, 1);

        float[] sketched = reader.Stored(module, Sketch);
        float[] history = reader.Options.Setting(this, History) > 0 ? reader.Stored(module, M) : [];
        var sketch = HostMatrix.From(sketched, sketched.Length / outputs, outputs);
        var basis = new OrthonormalBasis(outputs);
        HostMatrix before = HostMatrix.From(history, outputs, history.Length / outputs).Transposed();
        for (int i = 0; i < before.Rows; i++)
            basis.Append(before.Row(i));
        int count = FrequentDirections.CountFor(sketch, start.Options.Setting(this, Energy));
        for (int i = 0; i < count; i++)
            basis.Append(sketch.Row(i));
        // What is missing up to the size of M are directions that were not needed: zeros, which keep nothing.
        var padded = new HostMatrix(start[M].Dim(1), outputs);
        basis.Rows.Values.CopyTo(padded.Values, 0);
        start[M].CopyFrom(padded.Transposed().ToFloats());
    }
}
