using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Quantises weights while they are written, on a device, and measures what was rounded. One weight at a time is in
/// memory: its values are computed once more for each width of its parts, as a file has its tensors sorted by width.
/// </summary>
internal sealed class WeightQuantizer : IDisposable
{
    private readonly Device _device;
    private readonly WeightFormat _format;
    private readonly bool _isNested;
    private readonly WrittenForm _form;
    private readonly HashSet<string> _measured = new(StringComparer.Ordinal);
    private (string Name, QuantizedMatrix Matrix)? _last;
    private double _error;
    private double _norm;

    /// <summary>Prepares quantising weights in one format.</summary>
    /// <param name="device">The device to compute on.</param>
    /// <param name="format">The format of the codes.</param>
    /// <param name="isNested">Whether to quantise scales too.</param>
    /// <exception cref="InputException">The format is not written, or its scales are not quantised.</exception>
    public WeightQuantizer(Device device, WeightFormat format, bool isNested)
    {
        (_device, _format, _isNested, _form) = (device, format, isNested, WrittenForms.For(format));
        if (isNested && format.Bits() != 4)
            throw new InputException($"scales of {format.Name()} are not quantised, expected nf4 or fp4");
    }

    /// <summary>‖W − Q‖ / ‖W‖ over all weights that were quantised, by Frobenius' norm; 0 if there were none.</summary>
    public double RelativeError => _norm == 0 ? 0 : Math.Sqrt(_error / _norm);

    /// <summary>The number of weights that were quantised.</summary>
    public int Count => _measured.Count;

    /// <summary>Makes the settings for <c>config.json</c>.</summary>
    /// <inheritdoc cref="WrittenForm.Settings"/>
    public JsonObject Settings(StoredType type, IReadOnlyList<string> plain) =>
        _form.Settings(_format, _isNested, type, plain);

    /// <summary>Returns the tensors that a weight is written as.</summary>
    /// <param name="dense">The weight in F32, a matrix whose name ends with <c>.weight</c>.</param>
    /// <param name="type">The type that it would have if it were not quantised.</param>
    public IEnumerable<TensorToWrite> Quantize(TensorToWrite dense, StoredType type)
    {
        (int rows, int columns) = ((int)dense.Shape[0], (int)dense.Shape[1]);
        return _form
            .Parts(_format, rows, columns, _isNested, type)
            .Select(part => new TensorToWrite(
                NameOf(dense.Name, part.Name),
                part.Type,
                part.Shape,
                stream => stream.Write(part.Bytes(Quantized(dense)))
            ));
    }

    /// <summary>
    /// Returns the tensors of a weight that is stored as this quantiser would write it, so that nothing is rounded;
    /// null: it is stored otherwise.
    /// </summary>
    public IEnumerable<TensorToWrite>? Same(StoredWeight weight)
    {
        IReadOnlyList<WrittenPart> parts = _form.Parts(_format, weight.Rows, weight.Columns, _isNested, weight.Type);
        bool isSame =
            weight.Layout == QuantizedLayout.For(_format)
            && weight.Parts.Count == parts.Count
            && parts.All(part => Stored(part) is not null);
        return isSame ? parts.Select(part => TensorToWrite.Copy(Stored(part)!, NameOf(weight.Name, part.Name))) : null;

        SafetensorsTensor? Stored(WrittenPart part) =>
            weight.Parts.FirstOrDefault(stored =>
                stored.Type == part.Type && stored.Name.EndsWith($".{part.Name}", StringComparison.Ordinal)
            );
    }

    /// <inheritdoc/>
    public void Dispose() => _last?.Matrix.Dispose();

    private static string NameOf(string weight, string part) => weight[..^StoredForm.Weight.Length] + part;

    private QuantizedMatrix Quantized(TensorToWrite dense)
    {
        if (_last is { } last && last.Name == dense.Name)
            return last.Matrix;
        Dispose();
        _last = null;
        ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(Values(dense));
        QuantizedMatrix matrix = new(_device, (int)dense.Shape[0], (int)dense.Shape[1], QuantizedLayout.For(_format));
        _last = (dense.Name, matrix);
        foreach ((int row, int count) in RowPieces.Of(matrix))
        {
            using var piece = Tensor.Empty(_device, (count, matrix.Columns));
            piece.CopyFrom(Part(values, matrix, row, piece));
            matrix.Fill(row, piece);
        }
        if (_isNested)
            matrix.CompressScales();
        if (_measured.Add(dense.Name))
            Measure(matrix, values);
        return matrix;
    }

    private void Measure(QuantizedMatrix matrix, ReadOnlySpan<float> values)
    {
        foreach ((int row, int count) in RowPieces.Of(matrix))
        {
            using var piece = Tensor.Empty(_device, (count, matrix.Columns));
            matrix.Dequantize(row, piece);
            float[] found = piece.ToArray();
            ReadOnlySpan<float> wanted = Part(values, matrix, row, piece);
            for (int i = 0; i < found.Length; i++)
            {
                double difference = (double)wanted[i] - found[i];
                _error += difference * difference;
                _norm += (double)wanted[i] * wanted[i];
            }
        }
    }

    private static ReadOnlySpan<float> Part(
        ReadOnlySpan<float> values,
        QuantizedMatrix matrix,
        int row,
        Tensor piece
    ) => values.Slice(row * matrix.Columns, (int)piece.Count);

    private static byte[] Values(TensorToWrite dense)
    {
        byte[] bytes = new byte[SafetensorsWriter.Bytes(dense)];
        using MemoryStream stream = new(bytes);
        dense.Write(stream);
        return bytes;
    }
}
