using System.Text.Json.Nodes;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Writes signed bytes with a scale for each row as compressed-tensors does. The settings ask for activations of 8 bits
/// as well, token by token: programs that serve such folders know integer weights only so.
/// </summary>
internal sealed class WrittenInt8 : WrittenForm
{
    /// <inheritdoc/>
    public override IReadOnlyList<WeightFormat> Formats => [WeightFormat.Int8];

    /// <inheritdoc/>
    public override IReadOnlyList<WrittenPart> Parts(
        WeightFormat format,
        int rows,
        int columns,
        bool isNested,
        StoredType type
    ) => [Codes(StoredType.I8, rows, columns), Scales(CompressedTensorsForm.Scales, rows, 1)];

    /// <inheritdoc/>
    public override JsonObject Settings(
        WeightFormat format,
        bool isNested,
        StoredType type,
        IReadOnlyList<string> plain
    ) =>
        new()
        {
            ["quant_method"] = CompressedTensorsForm.MethodName,
            ["format"] = CompressedTensorsForm.IntegerFormat,
            ["quantization_status"] = "compressed",
            ["ignore"] = ListOf(plain),
            ["config_groups"] = new JsonObject
            {
                ["group_0"] = new JsonObject
                {
                    ["targets"] = new JsonArray("Linear"),
                    ["weights"] = Numbers("channel", isDynamic: false),
                    ["input_activations"] = Numbers("token", isDynamic: true),
                },
            },
        };

    private static JsonObject Numbers(string strategy, bool isDynamic) =>
        new()
        {
            ["num_bits"] = 8,
            ["type"] = "int",
            ["symmetric"] = true,
            ["strategy"] = strategy,
            ["dynamic"] = isDynamic,
        };
}
