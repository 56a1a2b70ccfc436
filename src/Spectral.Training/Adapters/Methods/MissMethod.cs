using System.Text.Json;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MiSS (formerly Bone): inputs are summed over their blocks of r, so that the right factor is the identity, repeated.
/// There is no scale. The variant <c>mini</c> repeats columns of B. The variant <c>bat</c> has a matrix per block of
/// outputs and multiplies the weight by it.
/// </summary>
internal sealed class MissMethod : AdapterMethod
{
    private const string Variant = "variant";
    private const string Mini = "mini";
    private const string Bat = "bat";
    private const string MiniRank = "mini-rank";
    private const string Init = "init_weights";
    private const string Block = "miss_block";

    private static readonly AdapterSetting VariantSetting = AdapterSetting.Choice(
        Variant,
        "miss: B as it is; mini: mini-rank columns, repeated; bat: W·B + B in blocks of r×r, which "
            + "recomputes the weight each step.",
        "miss",
        Mini,
        Bat
    );

    public override string Name => "miss";
    public override string Formula =>
        "W + Bᵀ·[I_r I_r …], B [r, out]; bat: each block W_oi of r×r becomes W_oi·(I + B_o) + B_o";
    public override string Source => "Kang and Yin, 2024, arXiv 2409.15371";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(64),
        PeftField.Dropout("miss_dropout"),
        PeftField.Bias("MiSS_only", former: "Bone_only"),
        new(Init) { Read = ReadVariant, Write = WriteVariant },
    ];
    public override string Use =>
        "Only one factor trains, and it has a gradient from the first step, at LoRA's cost: r·out "
        + "numbers a layer. Ranks of 32 to 128 are customary.";
    public override string? FormerPeftType => "BONE";
    public override IReadOnlyDictionary<string, string?> FormerLeaves { get; } =
        new Dictionary<string, string?> { ["bone_block"] = Block };

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            VariantSetting,
            AdapterSetting.Whole(
                MiniRank,
                1,
                1,
                65536,
                "Number of columns of B in the variant mini, a divisor of the outputs."
            ) with
            {
                PeftKey = "mini_r",
            },
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int inputs) = (layer.Rank, layer.In);
        string variant = layer.Choice(Variant);
        if (variant == Bat)
            return Multiplied(layer, rank);
        int columns = variant == Mini ? (int)layer.Setting(MiniRank) : layer.Out;
        if (layer.Out % columns != 0)
        {
            throw new InputException(
                $"{MiniRank} {columns} for {layer.Module.Name} of {layer.Out} outputs: expected a divisor"
            );
        }

        Factor block = layer.Trained(Block, (rank, columns));
        Expression left = (columns == layer.Out ? block : block.Tile(1, layer.Out / columns)).Transpose();
        return new AdapterForm { Terms = [new(left, block.Table((rank, inputs), "identities", Identities))] };

        float[] Identities() =>
            [.. Enumerable.Range(0, rank * inputs).Select(at => at % inputs % rank == at / inputs ? 1f : 0)];
    }

    private static AdapterForm Multiplied(AdapterBuilder layer, int rank)
    {
        if (layer.Out % rank != 0 || layer.In % rank != 0)
        {
            throw new InputException(
                $"rank {rank} for {layer.Module.Name}, which is [{layer.Out}, {layer.In}]: bat "
                    + "cuts it into blocks of r×r, expected a divisor"
            );
        }

        (int down, int across) = (layer.Out / rank, layer.In / rank);
        Factor block = layer.Trained(Block, (down, rank, rank));
        // A row of the weight is a sequence of pieces of length r. The pieces of one block of outputs are the rows of
        // one product.
        Expression turned = layer
            .Weight.Reshape((down, rank * across, rank))
            .MatMul(block)
            .Reshape((layer.Out, layer.In));
        Expression repeated = block.Reshape((layer.Out, rank)).Tile(1, across);
        return new AdapterForm { Weight = layer.Weight.Add(turned).Add(repeated) };
    }

    private static AdapterOptions ReadVariant(JsonFields fields, AdapterOptions options) =>
        fields.Find(Init) switch
        {
            null or { ValueKind: JsonValueKind.True or JsonValueKind.False } => options,
            { ValueKind: JsonValueKind.String } text when text.GetString() is Mini or Bat => options.With(
                Variant,
                VariantSetting.Parse(text.GetString()!)
            ),
            _ => throw fields.Wrong(Init, $"true, false, {Mini} or {Bat}"),
        };

    private static void WriteVariant(Utf8JsonWriter json, AdapterOptions options)
    {
        if (options.Settings.GetValueOrDefault(Variant) is > 0 and var variant)
            json.WriteString(Init, VariantSetting.Describe(variant));
        else
            json.WriteBoolean(Init, true);
    }
}
