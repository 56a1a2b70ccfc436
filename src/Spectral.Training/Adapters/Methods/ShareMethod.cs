using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Share: the changes of all earlier tasks live in one subspace with frames U and V, of bounded rank. A further task
/// trains coefficients E in it and a few new directions B·A, which join the subspace afterwards. An earlier adapter of
/// any method with a low-rank form (<see cref="AdapterOptions.PreviousAdapter"/>) gives the first subspace.
/// </summary>
internal sealed class ShareMethod : AdapterMethod
{
    private const string U = "share_U";
    private const string V = "share_V";
    private const string Earlier = "share_E_previous";
    private const string E = "share_E";

    private const string Frame = "frame";
    private const string SharedRank = OrthogonalTasksMethod.PreviousRank;

    public override string Name => "share";
    public override string Formula =>
        "W + U·(E_p + E)·V + (alpha/rank)·B·A; U·E_p·V the best part of the earlier tasks' change, at most of rank "
        + "frame";
    public override string Source => "Shared LoRA Subspaces for almost Strict Continual Learning, 2026";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "One task after another with an adapter that does not grow. Without --previous-adapter it is LoRA on the first "
        + "task.";
    public override TaskSequence Sequence => TaskSequence.KeptAdapters;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Frame, 32, 1, 1 << 16, "Largest rank of the shared subspace."),
        AdapterSetting.Whole(SharedRank, 0, 0, 1 << 16, "Rank of the shared subspace; --previous-adapter sets it."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm fresh = LoraMethod.Term(layer, layer.Rank);
        int k = Math.Min((int)layer.Setting(SharedRank), Math.Min(layer.Out, layer.In));
        if (k == 0)
            return new AdapterForm { Terms = [fresh] };
        Expression middle = layer.Frozen(Earlier, (k, k)).Add(layer.Trained(E, (k, k)));
        return new AdapterForm
        {
            Terms = [new(layer.Frozen(U, (layer.Out, k)).MatMul(middle), layer.Frozen(V, (k, layer.In))), fresh],
        };
    }

    internal override AdapterOptions After(AdapterOptions options, string directory)
    {
        using var reader = new AdapterReader(directory);
        int rank = new EquivalentLora(reader, directory).Rank;
        AdapterOptions after = options with { PreviousAdapter = directory };
        return after.With(SharedRank, Math.Min(rank, options.Setting(this, Frame)));
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        (string? previous, double shared) = (
            starts[0].Options.PreviousAdapter,
            starts[0].Options.Setting(this, SharedRank)
        );
        if (previous is null && shared > 0)
        {
            throw new InputException(
                $"setting {SharedRank}={shared}: expected an adapter of the tasks before; without one it is 0"
            );
        }

        if (previous is null)
            return;
        using var reader = new AdapterReader(previous);
        var lora = new EquivalentLora(reader, previous);
        foreach (AdapterStart start in starts)
        {
            // A layer that no earlier task changed keeps zeros.
            if (reader.Modules.FirstOrDefault(module => module.Shape.Name == start.Module.Name) is { } module)
                Continue(start, lora, module, previous);
        }
    }

    private static void Continue(AdapterStart start, EquivalentLora lora, AdaptedModule module, string directory)
    {
        (int outputs, int inputs) = (start.Module.Out, start.Module.In);
        if (module.Shape.Out != outputs || module.Shape.In != inputs)
        {
            throw new InputException(
                $"{directory}: {module.Shape.Name} is [{module.Shape.Out}, {module.Shape.In}] there, the model's is "
                    + $"[{outputs}, {inputs}]"
            );
        }

        (float[] left, float[] right) = lora.Factors(module, lora.Rank, start.Device);
        var svd = ProductSvd.Of(start.Device, left, right, outputs, lora.Rank, inputs);
        int k = start[Earlier].Dim(0);
        int held = Math.Min(k, svd.Values.Length);
        var middle = new HostMatrix(k, k);
        var frame = new HostMatrix(k, outputs);
        var directions = new HostMatrix(k, inputs);
        for (int i = 0; i < held; i++)
            middle.Values[i * (k + 1)] = svd.Values[i];
        svd.Left.TakeRows(held).Values.CopyTo(frame.Values, 0);
        svd.Right.TakeRows(held).Values.CopyTo(directions.Values, 0);
        start[Earlier].CopyFrom(middle.ToFloats());
        start[U].CopyFrom(frame.Transposed().ToFloats());
        start[V].CopyFrom(directions.ToFloats());
    }
}
