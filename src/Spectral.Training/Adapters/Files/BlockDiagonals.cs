using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Reads BD-LoRA (PEFT's <c>use_bdlora</c>), where A of some layers and B of others is block-diagonal. The file holds
/// the blocks stacked below each other. They are expanded to full matrices, which form a plain LoRA; in further
/// training the zeros train too.
/// </summary>
internal sealed class BlockDiagonals
{
    private const string Key = "use_bdlora";
    private const int MostBlocks = 1 << 16;

    private readonly int _blocks;
    private readonly (string Leaf, IReadOnlyList<string> Modules)[] _sides;

    private BlockDiagonals(JsonFields fields)
    {
        _blocks = fields.Integer("nblocks", 1, MostBlocks) ?? 1;
        _sides =
        [
            ($".{LoraNames.A}", fields.Texts("target_modules_bd_a") ?? []),
            ($".{LoraNames.B}", fields.Texts("target_modules_bd_b") ?? []),
        ];
    }

    /// <summary>Reads the blocks of a config; null if there are none.</summary>
    /// <exception cref="InputException">A value is not valid.</exception>
    public static BlockDiagonals? Of(JsonFields fields) =>
        fields.Find(Key) is { ValueKind: not JsonValueKind.False }
            ? new BlockDiagonals(fields.Object(Key)!.Value)
            : null;

    /// <summary>
    /// Expands a factor [rows, columns of a block] that is stored as blocks to its full matrix. Other tensors are
    /// returned unchanged.
    /// </summary>
    /// <exception cref="InputException">
    /// The rows do not divide into equal blocks, or the full matrix is too large for an array.
    /// </exception>
    public AdapterTensor Expand(AdapterTensor tensor)
    {
        string name = AdapterFolder
            .WithoutPrefix(tensor.Key, out _)
            .Replace(".default.", ".", StringComparison.Ordinal);
        if (tensor.Shape is not [var rows, var columns] || !Array.Exists(_sides, side => IsBlocks(name, side)))
            return tensor;
        if (rows % _blocks != 0)
        {
            throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} has {rows} rows, expected "
                    + $"{_blocks} equal blocks of them ({Key})"
            );
        }

        if (rows * columns * _blocks > Array.MaxLength)
        {
            throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} stands for "
                    + $"{rows * columns * _blocks} elements ({Key}), expected at most {Array.MaxLength}"
            );
        }

        return tensor with
        {
            Shape = [rows, columns * _blocks],
            ToFloats = () => Whole(tensor.ToFloats(), (int)rows, (int)columns),
            Source = null,
        };
    }

    // PEFT looks for the entries anywhere in a module's name.
    private static bool IsBlocks(string name, (string Leaf, IReadOnlyList<string> Modules) side) =>
        name.EndsWith(side.Leaf, StringComparison.Ordinal)
        && side.Modules.Any(entry => name[..^side.Leaf.Length].Contains(entry, StringComparison.Ordinal));

    private float[] Whole(float[] values, int rows, int columns)
    {
        float[] whole = new float[values.Length * _blocks];
        for (int row = 0; row < rows; row++)
        {
            int block = row / (rows / _blocks);
            values.AsSpan(row * columns, columns).CopyTo(whole.AsSpan((row * columns * _blocks) + (block * columns)));
        }
        return whole;
    }
}
