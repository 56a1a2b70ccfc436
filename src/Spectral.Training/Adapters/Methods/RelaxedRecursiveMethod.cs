using System.Globalization;
using System.Text.RegularExpressions;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Relaxed recursive transformers: the model's depth is a loop over a few blocks, so that layers of one kind share a
/// trained weight, at first the mean of theirs. A layer differs from it by a LoRA, at first the leading part of what
/// its own weight differs by.
/// </summary>
internal sealed partial class RelaxedRecursiveMethod : AdapterMethod
{
    private const string Blocks = "blocks";
    private const string Shared = "recursive_W.";

    public override string Name => "relaxed-recursive";
    public override string Formula =>
        "W_shared + (alpha/rank)·B·A, W_shared the mean of the layers that share it, B·A the best of rank r of "
        + "W - W_shared, at first";
    public override string Source => "Bae et al., 2025, ICLR, arXiv 2410.20672";
    public override string Use =>
        "Makes a deep model a loop over few blocks, which then needs training: the fresh adapter changes the model, "
        + "the less the higher the rank. Trains whole weights, once for all layers that share one.";
    public override bool StartsAtBase => false;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [AdapterSetting.Whole(Blocks, 1, 1, 1 << 12, "Number of different blocks; block i + blocks shares with block i.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        Factor left = LoraMethod.Left(layer, rank);
        Factor right = layer.Trained(LoraNames.A, (rank, layer.In));
        Factor shared = layer.Shared(
            NameOf(layer.Module.Name, layer.Options),
            (layer.Out, layer.In),
            true,
            Start.Zeros
        );
        return new AdapterForm { Weight = shared.Add(left.MatMul(right), 1, layer.Options.Scale) };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (
            IGrouping<string, AdapterStart> sharing in starts.GroupBy(start => NameOf(start.Module.Name, start.Options))
        )
        {
            Tensor mean = sharing.First()[sharing.Key];
            mean.Clear();
            using var wide = Tensor.Empty(mean.Device, mean.Shape);
            foreach (AdapterStart start in sharing)
            {
                Cast.Run(start.Weight, wide);
                start.Release();
                Combine.Run(mean, 1, wide, 1f / sharing.Count(), mean);
            }

            foreach (AdapterStart start in sharing)
            {
                Cast.Run(start.Weight, wide);
                start.Release();
                Combine.Run(wide, 1, mean, -1, wide);
                Begin(start, wide);
            }
        }
    }

    private static void Begin(AdapterStart start, Tensor difference)
    {
        using SvdResult svd = Svd.Compute(
            [difference],
            start.Options.Rank,
            start.Options.Svd,
            new RandomizedSvdOptions { Seed = start.Options.Seed },
            [start.Stream(LoraNames.B)]
        )[0];
        int[] which = [.. Enumerable.Range(0, start.Options.Rank)];
        svd.CopyLeft(start[LoraNames.B], which, sigma => sigma / start.Options.Scale);
        start[LoraNames.A].CopyFrom(svd.Vt);
    }

    /// <summary>Returns the name of the weight that a layer shares: its own, in the loop's first turn.</summary>
    private string NameOf(string module, AdapterOptions options) =>
        Shared
        + Number()
            .Replace(
                module,
                match =>
                    (
                        int.Parse(match.Value, CultureInfo.InvariantCulture) % (int)options.Setting(this, Blocks)
                    ).ToString(CultureInfo.InvariantCulture),
                1
            );

    /// <summary>The number of a block in a layer's name.</summary>
    [GeneratedRegex(@"(?<=\.)\d+(?=\.)")]
    private static partial Regex Number();
}
