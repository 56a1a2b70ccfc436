using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MoS: rows of A and columns of B are put together from shards. Most are drawn from a pool that all layers with the
/// same inputs or outputs share, for A and B apart; some belong to the layer alone.
/// </summary>
internal sealed class MosMethod : AdapterMethod
{
    private const string Shards = "shards";
    private const string Equal = "equivalent-rank";
    private const string Private = "private-rank";
    private const string Seed = "index-seed";

    public override string Name => "mos";
    public override string Formula =>
        "W + (alpha/rank)·B·A, their rows and columns put together from shards of fixed random places in shared pools";
    public override string Source => "Wang et al., 2025, ICLR, arXiv 2410.00938";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "LoRA of a higher rank in the memory of a lower one: all layers together train what LoRA does at "
        + "equivalent-rank. Costs what LoRA does.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(
            Shards,
            4,
            1,
            1 << 10,
            "Number of shards in a row or column: the largest up to this that divides all layers’ inputs and outputs."
        ),
        AdapterSetting.Whole(Equal, 2, 1, 1 << 16, "Rank of the LoRA that trains as many numbers; at most rank."),
        AdapterSetting.Whole(
            Private,
            1,
            0,
            1 << 16,
            "Directions of a layer that are its own; at most equivalent-rank."
        ),
        AdapterSetting.Whole(Seed, 0, 0, int.MaxValue, "Seed of the places in the pools; needed to read a file."),
    ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options.With(Shards, Divisors.Common((int)options.Setting(this, Shards), Divisors.Sizes(all)));

    /// <exception cref="InputException">The ranks do not fit each other.</exception>
    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int own, int equal) = (layer.Rank, (int)layer.Setting(Private), (int)layer.Setting(Equal));
        if (own > equal || equal > rank || (own == equal && equal < rank))
        {
            throw new InputException(
                $"{Private} {own}, {Equal} {equal} and rank {rank} for {layer.Module.Name}: expected none to be larger "
                    + "than the next, and all equal if the first two are"
            );
        }

        int sharing = layer.AllModules.Count(module => module.In == layer.In);
        int sharingOut = layer.AllModules.Count(module => module.Out == layer.Out);
        Expression right = Rows(layer, "A", layer.In, sharing, Start.Uniform(1 / Math.Sqrt(layer.In)));
        Expression left = Rows(layer, "B", layer.Out, sharingOut, Start.Zeros).Transpose();
        return new AdapterForm { Terms = [new(left, right, layer.Options.Scale)] };
    }

    /// <summary>Returns rows [rank, length] that are put together from a layer's pool and its own shards.</summary>
    private static Expression Rows(AdapterBuilder layer, string factor, int length, int layers, Start start)
    {
        int rank = layer.Rank;
        int shards = Divisors.Common((int)layer.Setting(Shards), Divisors.Sizes(layer.AllModules));
        (int own, int equal) = ((int)layer.Setting(Private), (int)layer.Setting(Equal));
        (int width, int pooled) = (length / shards, (equal - own) * shards * layers);
        Factor? held = own == 0 ? null : layer.Trained($"mos_{factor}", (own * shards, width), start);
        if (pooled == 0)
            return held!.Reshape((rank, length));
        Expression pool = layer.Shared($"mos_pool_{factor}.{length}", (pooled, width), true, start);
        string stream = $"{layer.Module.Name}.mos_{factor}.{layer.Setting(Seed)}";
        int[] index = Places(Drawn((rank - own) * shards, pooled, stream), own * shards, pooled, width);
        Expression all = held is null ? pool : ExpressionOperations.ConcatRows(pool, held);
        return all.Gather((rank, length), index);
    }

    /// <summary>Draws shards of a pool. None is drawn again before all others have been.</summary>
    private static int[] Drawn(int count, int pooled, string stream) =>
        [
            .. Enumerable
                .Range(0, (count + pooled - 1) / pooled)
                .SelectMany(round =>
                    TorchPermutation.First(pooled, pooled, (uint)RandomStream.For($"{stream}.{round}"))
                )
                .Take(count),
        ];

    private static int[] Places(int[] drawn, int own, int pooled, int width) =>
        [.. drawn.Concat(Enumerable.Range(pooled, own)).SelectMany(shard => Enumerable.Range(shard * width, width))];
}
