using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// The start values of LoRA's factors that PEFT's <c>init_lora_weights</c> offers. Starts that depend on data are
/// methods of their own.
/// </summary>
internal static class LoraStarts
{
    private const string Name = "init";

    /// <summary>The setting with the starts whose product is zero.</summary>
    public static AdapterSetting AtBase { get; } =
        AdapterSetting.Choice(
            Name,
            "Start of A: Kaiming-uniform; Gaussian of deviation 1/rank; or A and B nonzero and "
                + "orthogonal to each other (even rank).",
            "kaiming",
            "gaussian",
            "orthogonal"
        );

    /// <summary>The setting with these starts and those that are subtracted from the base.</summary>
    public static AdapterSetting All { get; } =
        AdapterSetting.Choice(
            Name,
            "Start of A and B: A Kaiming-uniform or Gaussian of deviation 1/rank and B zero; both "
                + "nonzero and orthogonal to each other (even rank); or as in pissa or olora, subtracted from "
                + "the base.",
            "kaiming",
            "gaussian",
            "orthogonal",
            "pissa",
            "olora"
        );

    private enum Kind
    {
        Kaiming,
        Gaussian,
        Orthogonal,
        Pissa,
        Olora,
    }

    /// <summary>Returns whether the start values are subtracted again.</summary>
    public static bool IsResidual(AdapterBuilder layer) => (Kind)layer.Setting(Name) >= Kind.Pissa;

    /// <summary>Returns whether the start consists of singular triplets.</summary>
    public static bool UsesSvd(AdapterMethod method, AdapterOptions options) =>
        (Kind)options.Setting(method, Name) == Kind.Pissa;

    /// <summary>Returns the start of A, unless <see cref="Begin"/> writes it.</summary>
    /// <exception cref="InputException">The rank does not suit the start.</exception>
    public static Start Right(AdapterBuilder layer)
    {
        var kind = (Kind)layer.Setting(Name);
        if (kind == Kind.Orthogonal && layer.Rank % 2 != 0)
        {
            throw new InputException(
                $"rank {layer.Rank} for {layer.Module.Name}: {layer.Method.Name} with init=orthogonal needs an "
                    + "even rank"
            );
        }

        return kind == Kind.Gaussian ? Start.Normal(1.0 / layer.Rank) : Start.KaimingUniform;
    }

    /// <summary>Writes the starts that involve more than one factor.</summary>
    /// <param name="method">The method, which has one of these settings.</param>
    /// <param name="starts">The layers to start.</param>
    public static void Begin(AdapterMethod method, IReadOnlyList<AdapterStart> starts)
    {
        if (starts.Count == 0)
            return;
        switch ((Kind)starts[0].Options.Setting(method, Name))
        {
            case Kind.Orthogonal:
                foreach (AdapterStart start in starts)
                    Orthogonal(start);
                break;
            case Kind.Pissa:
                Principal(starts);
                break;
            case Kind.Olora:
                Orthonormal(starts);
                break;
        }
    }

    /// <summary>Starts B and A as the leading r singular triplets of the weight, with σ split evenly (PiSSA).</summary>
    public static void Principal(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
                svd.CopyBalanced(
                    start[LoraNames.B],
                    start[LoraNames.A],
                    [.. Enumerable.Range(0, start.Options.Rank)],
                    start.Options.Scale
                )
        );

    /// <summary>
    /// Starts B as the first r columns of Q in the weight's QR decomposition, and A as the first r rows of QᵀW (OLoRA).
    /// </summary>
    public static void Orthonormal(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            (Tensor weight, int rank) = (start.Weight, start.Options.Rank);
            using var wide = Tensor.Empty(weight.Device, weight.Shape);
            Cast.Run(weight, wide);
            start.Release();
            using var columns = Tensor.Empty(start.Device, (wide.Dim(0), rank));
            CopyBlock.Run(new ColumnRange(wide, 0, rank), columns, 0, 0);
            using var rows = Tensor.Empty(start.Device, (rank, wide.Dim(0)));
            Permute.Run(columns, [1, 0], rows);
            using var q = Tensor.Empty(start.Device, rows.Shape);
            Orthonormalization.Rows(rows, q);
            Permute.Run(q, [1, 0], start[LoraNames.B]);
            Gemm.Run(q, wide, start[LoraNames.A]);
        }
    }

    /// <summary>
    /// Starts A = Q_aᵀ N_a/10 and B = N_b Q_b/10, where Q [r, r] is a random rotation with upper half Q_a and lower
    /// half Q_b, and N_a and N_b are Gaussian. Their product is zero since Q_b Q_aᵀ is.
    /// </summary>
    private static void Orthogonal(AdapterStart start)
    {
        (int rank, Device device, ulong seed) = (start.Options.Rank, start.Device, start.Options.Seed);
        using var normal = Tensor.Empty(device, (rank, rank));
        using var rotation = Tensor.Empty(device, (rank, rank));
        using var right = Tensor.Empty(device, (rank / 2, start.Module.In));
        using var left = Tensor.Empty(device, (start.Module.Out, rank / 2));
        foreach ((Tensor tensor, string tag) in new[] { (normal, "Q"), (right, "A"), (left, "B") })
            Philox.Normal(tensor, seed, start.Stream($"orthogonal.{tag}"), 0, 1);
        Orthonormalization.Rows(normal, rotation);
        using Tensor upper = rotation.Rows(0, rank / 2);
        using Tensor lower = rotation.Rows(rank / 2, rank / 2);
        Gemm.Run(Gemm.Transposed(upper), right, start[LoraNames.A], 0.1f);
        Gemm.Run(left, lower, start[LoraNames.B], 0.1f);
    }
}
