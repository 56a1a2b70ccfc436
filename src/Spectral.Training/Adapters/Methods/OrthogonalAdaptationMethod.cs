using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Orthogonal adaptation: A is a slice of one orthonormal basis that all tasks share. Each task has its own rows, so
/// that A_i A_jᵀ = 0. The basis depends only on the number of inputs, not on the seed, so that adapters trained
/// separately are orthogonal.
/// </summary>
internal sealed class OrthogonalAdaptationMethod : AdapterMethod
{
    public override string Name => "orthogonal-adaptation";
    public override string Formula =>
        "W + (alpha/rank)·B·A, A frozen: rows task·rank to (task + 1)·rank of a shared orthonormal basis";
    public override string Source => "Po et al., 2024, arXiv 2312.02432";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "For adapters that are trained separately and added up later: on inputs in one task's rows "
        + "the others change nothing. All tasks need the same rank.";
    public override string PeftType => AdapterConfig.Lora;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(
            "task",
            0,
            0,
            65535,
            "Number of the task, which selects its rows of the basis. Every task needs a different one, "
                + "and (task + 1)·rank rows have to exist."
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, long task) = (layer.Rank, (long)layer.Setting("task"));
        if ((task + 1) * rank > layer.In)
        {
            throw new InputException(
                $"task {task} at rank {rank} for {layer.Module.Name}: expected (task + 1)·rank of at most "
                    + $"{layer.In}, its inputs"
            );
        }

        return new AdapterForm
        {
            Terms =
            [
                new(LoraMethod.Left(layer, rank), layer.Frozen(LoraNames.A, (rank, layer.In)), layer.Options.Scale),
            ],
        };
    }

    /// <summary>
    /// Draws the basis. Rows are orthonormalised from the first one on, so that those of a task do not depend on later
    /// tasks.
    /// </summary>
    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (
            IGrouping<(int In, int Rank), AdapterStart> alike in starts.GroupBy(start =>
                (start.Module.In, start.Options.Rank)
            )
        )
        {
            int first = (int)alike.First().Options.Setting(this, "task") * alike.Key.Rank;
            using var normal = Tensor.Empty(alike.First().Device, (first + alike.Key.Rank, alike.Key.In));
            using var basis = Tensor.Empty(normal.Device, normal.Shape);
            Philox.Normal(normal, 0, RandomStream.For($"{Name}.{alike.Key.In}"), 0, 1);
            Orthonormalization.Rows(normal, basis);
            using Tensor own = basis.Rows(first, alike.Key.Rank);
            foreach (AdapterStart start in alike)
                start[LoraNames.A].CopyFrom(own);
        }
    }
}
